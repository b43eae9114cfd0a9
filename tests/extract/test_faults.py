"""Under every fault profile of the local service the lake is the truth it claims."""

import logging
from datetime import date, timedelta

import orjson
import pytest
from live_service import ACCOUNT, NOW, serving

from journeyport import extract
from journeyport.clock import SetClock
from journeyport.extract import ExtractOptions
from journeyport.lake import Lake
from journeyport.state import State

DAYS = [date(2026, 3, day) for day in (12, 13, 14)]

PROFILES = {
    "rate-limit": "PROVED",
    "quota": "PROVED",
    "server-errors": "PROVED",
    "html-errors": "PROVED",
    "empty-errors": "PROVED",
    "forbidden-flips": "PROVED or AccessError",
    "token-expiry": "PROVED",
    "truncated-json": "PROVED",
    "slow-bytes": "PROVED",
    "dropped-connections": "PROVED",
    "lost-answers": "PROVED",
    "write-lag": "PROVED",
    "stale-replica": "PROVED",
    "inserts": "PROVED",
    "back-dates": "PROVED",
    "updates": "PROVED",
    "erases": "PROVED",
    "paired": "PROVED",
    "one-millisecond": "PROVED or HELD",
    "capped-total": "PROVED",
    "wrong-total": "PROVED",
    "small-pages": "PROVED",
    "broken-order": "PROVED",
    "require-filter": "PROVED",
    "deep-paging": "PROVED",
    "empty-is-404": "PROVED",
    "microseconds": "PROVED",
    "nulls": "PROVED",
    "unknown-fields": "PROVED",
    "unknown-enums": "PROVED",
    "missing-update-date": "PROVED",
    "late-leavers": "PROVED",
    "no-date-header": "PROVED",
    "retention": "PROVED",
}
"""Each profile and how a walk of three days under it ends."""

HOSTILE = (
    ("inserts", "erases", "updates", "server-errors", "small-pages"),
    ("back-dates", "paired", "rate-limit", "truncated-json"),
    ("broken-order", "inserts", "dropped-connections", "token-expiry"),
    ("capped-total", "small-pages", "microseconds", "empty-is-404", "html-errors"),
)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("faults")) as running:
        yield running


def export(live, folder, days=DAYS):
    """Walk the days into a new lake; the report, and the ids of its raw documents."""
    clock = SetClock(NOW)
    lake, state = Lake(folder / "lake"), State(f"sqlite:///{folder / 'state.db'}")
    options = ExtractOptions(
        settle=timedelta(minutes=1), channels=("Voice", "Chat", "Email", "Messaging")
    )
    try:
        with live.client(clock) as source:
            report = extract.land(
                source,
                lake,
                state,
                account=ACCOUNT,
                days=days,
                run_id="run",
                clock=clock,
                options=options,
            )
    finally:
        state.close()
    held = {}
    for day in days:
        for row in lake.read_raw(ACCOUNT, day).to_pylist():
            held.setdefault(row["engagement_id"], []).append(
                orjson.loads(row["payload"])
            )
    return report, held


def check(live, profiles, tmp_path, seed=1):
    before = live.truth(DAYS)
    live.faults(*profiles, seed=seed)
    try:
        report, held = export(live, tmp_path)
    finally:
        live.faults()
    after = live.truth(DAYS)
    if report.failure is None and not report.held:
        claimed = before.keys() & after.keys()
        if "require-filter" in profiles:
            assert report.coverage.startswith("channels ")
        assert claimed <= held.keys(), f"{len(claimed - held.keys())} lost"
        unchanged = {key for key in claimed if before[key] == after[key]}
        for key in unchanged:
            ends = {document.get("endDate") for document in held[key]}
            assert before[key].get("endDate") in ends
    return report


def ended(live, profile, folder, seed=1):
    """PROVED, HELD, or the error that ended the walk."""
    try:
        report = check(live, [profile], folder, seed)
    except extract.report.JourneyportError as error:
        return type(error).__name__
    if report.failure is not None:
        return type(report.failure).__name__
    return "HELD" if report.held else "PROVED"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_claim_holds_under(live, profile, tmp_path):
    assert ended(live, profile, tmp_path) in PROFILES[profile]


@pytest.mark.parametrize("profiles", HOSTILE, ids="+".join)
def test_the_claim_holds_under_several_at_once(live, profiles, tmp_path):
    report = check(live, profiles, tmp_path, seed=3)
    assert report.failure is None
    # Only a tick of more rows than a page that does not settle may hold a day back.
    assert all("tick" in landing.breaches for landing in report.held)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(20))
def test_the_claim_holds_under_every_profile_for_many_seeds(live, seed, tmp_path):
    for profile, may in PROFILES.items():
        folder = tmp_path / profile
        folder.mkdir()
        assert ended(live, profile, folder, 100 + seed) in may


def test_no_secret_and_no_identifier_is_in_what_is_logged(live, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    report = check(live, ["server-errors", "token-expiry", "rate-limit"], tmp_path, 5)
    texts = [caplog.text, repr(report), repr(live.config())]
    known = live.accounts[ACCOUNT]
    values = {known["client_secret"], known["app_key"]}
    for document in live.truth(DAYS).values():
        for found in document.get("identifiers", {}).values():
            values.update(value for value in found if len(value) > 4)
    assert len(values) > 50
    assert caplog.text
    assert not [value for value in values for text in texts if value in text]


def test_refusals_tell_neither_secrets_nor_identifiers(live, tmp_path):
    clock = SetClock(NOW)
    config = live.config()
    wrong = config.accounts[0].__class__(ACCOUNT, "nobody", "planted-secret", "planted")
    source = extract.doctor.SourceClient(
        config.__class__(live.url, (wrong,), attempts=2), clock
    )
    with source, pytest.raises(extract.report.JourneyportError) as caught:
        source.by_ids(ACCOUNT, ["0" * 36])
    assert "planted" not in str(caught.value)
    assert "JOURNEYPORT_APP_KEY" in str(caught.value)


def test_an_account_that_is_refused_stops_no_other(live, tmp_path):
    clock = SetClock(NOW)
    good, other = live.config().accounts[:2]
    stolen = other.__class__(
        other.account_id, good.client_id, good.client_secret, good.app_key
    )
    config = live.config().__class__(live.url, (good, stolen))
    lake, state = Lake(tmp_path / "lake"), State(f"sqlite:///{tmp_path / 'state.db'}")
    ended = {}
    with extract.doctor.SourceClient(config, clock) as source:
        for account in (other.account_id, good.account_id):
            try:
                report = extract.land(
                    source,
                    lake,
                    state,
                    account=account,
                    days=DAYS[:1],
                    run_id="run",
                    clock=clock,
                )
                ended[account] = report.days[0].status
            except extract.report.JourneyportError as error:
                ended[account] = type(error).__name__
    state.close()
    assert ended == {other.account_id: "AccessError", good.account_id: "PROVED"}


def test_the_doctor_asks_at_most_ten_questions(live):
    clock = SetClock(NOW)
    with live.client(clock) as source:
        diagnosis = extract.diagnose(source, ACCOUNT, first=DAYS[0], last=DAYS[-1])
    assert diagnosis.questions <= 10
    assert diagnosis.ok, diagnosis.lines
    assert diagnosis.estimate.engagements == len(live.truth(DAYS))
    assert "calls" in diagnosis.lines[-1]
