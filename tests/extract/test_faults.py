"""Under every fault profile of the local service the lake is the truth it claims."""

import contextlib
import functools
import itertools
import logging
import os
import shutil
from collections import Counter
from datetime import date, timedelta

import httpx
import orjson
import pytest
from live_service import ACCOUNT, NOW, serving

from customer_journey.faults import CHANCES, Faults
from journeyport import extract, normalise
from journeyport.client import RefusedError
from journeyport.clock import SetClock
from journeyport.errors import JourneyportError
from journeyport.extract import ExtractOptions
from journeyport.lake import Lake
from journeyport.normalise import AccountRules
from journeyport.state import State
from journeyport.wire import Ask, format_instant

DAYS = [date(2026, 3, day) for day in (12, 13, 14)]

SEEDS = int(os.environ.get("JOURNEYPORT_TEST_FAULT_SEEDS", "20"))
"""Seeds of the long sweep, for each profile."""

CHANNELS = ("Voice", "Chat", "Email", "Messaging")

PROFILES = {
    "rate-limit": "PROVED",
    "quota": "PROVED",
    "server-errors": "PROVED",
    "html-errors": "PROVED",
    "empty-errors": "PROVED",
    "forbidden-flips": "PROVED, RoleError, or AccessError where signing in is refused",
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

MORE_DAYS = {
    # A quota strikes from the 36th request on, a token is spent after 25.
    "quota": [date(2026, 3, day) for day in (2, 3, 4, 5, 6)],
    "token-expiry": [date(2026, 3, day) for day in (2, 3, 4)],
    "retention": [date(2026, 3, day) for day in (8, 9, 10)],
    "empty-is-404": [date(2025, 3, 9)],
}
"""Days to walk under a profile beside the three, for it to strike."""

OF_WRITES = {"write-lag", "lost-answers"}
"""Profiles that strike only what is written: somebody writes while it is walked."""

ODD = {
    "nulls",
    "unknown-fields",
    "unknown-enums",
    "missing-update-date",
    "late-leavers",
}
"""Profiles that make documents look odd, the same way whenever they are read."""

NEVER_MET = {"deep-paging"}
"""Profiles that a walk cannot meet."""

HOSTILE = (
    ("inserts", "erases", "updates", "server-errors", "small-pages"),
    ("back-dates", "paired", "rate-limit", "truncated-json"),
    ("broken-order", "inserts", "dropped-connections", "token-expiry"),
    ("capped-total", "small-pages", "microseconds", "empty-is-404", "html-errors"),
)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """One service for all profiles; some of them leave their marks in it."""
    with filled(tmp_path_factory.mktemp("faults")) as running:
        yield running


@contextlib.contextmanager
def filled(folder):
    with serving(folder, engagements=1500) as running:
        running.empty = folder / "empty.db"
        State(f"sqlite:///{running.empty}").close()
        yield running


def early(profiles, first=1):
    """A seed under which those that strike by chance do so before the 12th request."""
    chances = CHANCES | {"rate-limit": 0.1}

    def strikes(seed, profile):
        faults = Faults(profiles, seed)
        draws = (faults.draw(profile, request) for request in range(3, 12))
        return any(draw.random() < chances[profile] for draw in draws)

    named = [profile for profile in profiles if profile in chances]
    seeds = itertools.count(first)
    return next(s for s in seeds if all(strikes(s, profile) for profile in named))


def days_under(profiles):
    """The days to walk under some profiles."""
    return DAYS + [day for name in profiles for day in MORE_DAYS.get(name, ())]


def export(live, folder, days=DAYS, while_asking=None, window_rows=20, *, attempts=8):
    """Walk the days into a new lake; the report, and its raw documents by id."""
    clock = SetClock(NOW)
    shutil.copy(live.empty, folder / "state.db")  # faster than making its tables
    lake, state = Lake(folder / "lake"), State(f"sqlite:///{folder / 'state.db'}")
    options = ExtractOptions(
        settle=timedelta(minutes=1), window_rows=window_rows, channels=CHANNELS
    )
    try:
        with live.client(clock, attempts=attempts) as source:
            if while_asking is not None:
                disturb(source, while_asking)
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


def disturb(source, what):
    """Do something before every search."""
    search = source.search

    def disturbed(account, ask):
        what()
        return search(account, ask)

    source.search = disturbed


def check(live, profiles, tmp_path, seed=None, while_asking=None, *, attempts=8):
    """Walk under the profiles and compare with the truth; the report, the strikes."""
    seed, days = seed or early(profiles), days_under(profiles)
    live.faults(*profiles, seed=seed)
    seen = {"profiles": [one for one in profiles if one in ODD], "seed": seed}
    before = live.truth(days, **seen)
    try:
        report, held = export(live, tmp_path, days, while_asking, attempts=attempts)
    finally:
        live.strikes = live.struck()
        live.faults()
    after = live.truth(days, **seen)
    if "retention" in profiles:
        # What is older than seven days cannot be seen; nor what came to be meanwhile.
        oldest = format_instant(NOW - timedelta(days=7) + timedelta(minutes=5))
        before = {key: d for key, d in before.items() if d["startDate"] > oldest}
    if report.failure is None and not report.held:
        if "require-filter" in profiles:
            assert report.coverage.startswith("channels ")
        compare(before, after, held)
    return report, live.strikes


def compare(before, after, held):
    """What was there all the time is held, whole; what changed, in a version of then.

    As it may be stored, that is: the field policy drops texts of notes, among others.
    """
    policy = extract.load_policy()
    claimed = before.keys() & after.keys()
    assert claimed <= held.keys(), f"{len(claimed - held.keys())} lost"
    wrong = 0
    for key in claimed:
        first, last = before[key], after[key]
        if first == last:
            wrong += held[key] != [policy.apply(first, Counter())]
        elif "updateDate" in first:
            since, until = first["updateDate"], last["updateDate"]
            wrong += not all(since <= one["updateDate"] <= until for one in held[key])
    assert not wrong, f"{wrong} of {len(claimed)} are not what the source holds"


def ended(report):
    """PROVED, HELD, or the error that ended the walk."""
    if report.failure is not None:
        return type(report.failure).__name__
    return "HELD" if report.held else "PROVED"


def under(live, profile, folder, seed=None):
    """How a walk under a profile ended, and how often the profile struck."""
    if profile in OF_WRITES:
        ids = itertools.cycle(sorted(live.truth(DAYS)))
        with live.signed_in() as client:
            what = functools.partial(write, client, ids)
            report, struck = check(live, [profile], folder, seed, what)
        return ended(report), struck.get(profile, 0)
    try:
        report, struck = check(live, [profile], folder, seed)
    except JourneyportError as error:
        return type(error).__name__, sum(live.strikes.values())
    return ended(report), struck.get(profile, 0)


def write(client, ids):
    """Two updates of engagements of the days; the answers may never arrive."""
    for key in itertools.islice(ids, 2):
        body = {"timestamp": format_instant(NOW), "conversations": ["Billing"]}
        with contextlib.suppress(httpx.HTTPError):
            answer = client.post(f"/engagements/{key}:update", json=body)
            assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("profile", PROFILES)
def test_the_claim_holds_under(live, profile, tmp_path):
    outcome, strikes = under(live, profile, tmp_path)
    assert outcome in PROFILES[profile]
    assert (strikes > 0) is (profile not in NEVER_MET)


def test_the_walk_never_asks_for_a_page_so_deep_that_it_is_refused(live):
    # That the profile is in force: whoever pages by number is refused.
    live.faults("deep-paging")
    with live.client(SetClock(NOW)) as source:
        ask = Ask(NOW - timedelta(days=1), NOW, page_number=201)
        with pytest.raises(RefusedError):
            source.search(ACCOUNT, ask)
    assert live.struck() == {"deep-paging": 1}
    live.faults()


@pytest.mark.parametrize("profiles", HOSTILE, ids="+".join)
def test_the_claim_holds_under_several_at_once(live, profiles, tmp_path):
    # Several windows ask at once: chance decides which request meets which fault, and
    # waits are cut short here: eight refusals in a row do come, one walk in a hundred.
    report, struck = check(live, profiles, tmp_path, attempts=24)
    assert report.failure is None
    assert struck.keys() == set(profiles)
    # Only a tick of more rows than a page that does not settle may hold a day back.
    assert all("tick" in landing.breaches for landing in report.held)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("profile", PROFILES)
def test_the_claim_holds_under_every_profile_for_many_seeds(live, profile, tmp_path):
    strikes = 0
    for seed in range(100, 100 + SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        # Rows bunched in one tick stay there: 60 more a search, seed after seed.
        own = filled(folder) if profile == "one-millisecond" else None
        with own or contextlib.nullcontext(live) as running:
            outcome, struck = under(running, profile, folder, seed)
        assert outcome in PROFILES[profile], f"seed {seed}"
        strikes += struck
    assert (strikes > 0) is (profile not in NEVER_MET)


def test_no_secret_and_no_identifier_is_in_what_is_logged(live, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    report, _ = check(live, ["server-errors", "token-expiry", "rate-limit"], tmp_path)
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
    with source, pytest.raises(JourneyportError) as caught:
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
            except JourneyportError as error:
                ended[account] = type(error).__name__
    state.close()
    assert ended == {other.account_id: "AccessError", good.account_id: "PROVED"}


def test_more_channels_than_one_search_takes_are_walked_and_audited(live, tmp_path):
    # Ten names a search: the four that there are fall into two of them.
    names = (*CHANNELS, *(f"Desk{number}" for number in range(8)))
    shutil.copy(live.empty, tmp_path / "state.db")
    lake, state = Lake(tmp_path / "lake"), State(f"sqlite:///{tmp_path / 'state.db'}")
    clock, options = SetClock(NOW), ExtractOptions(channels=names)
    common = {"account": ACCOUNT, "clock": clock, "options": options}
    live.faults("require-filter")
    with live.client(clock) as source:
        landed = extract.land(
            source, lake, state, days=DAYS[:1], run_id="run", **common
        )
        rules = AccountRules(ACCOUNT)
        made = normalise.conform_days(lake, rules, DAYS[:1], run_id="run", strengths={})
        assert len(list(made)) == 1
        calm = extract.audit(source, lake, state, **common)
        ids = [min(live.truth(DAYS[:1]))]
        live.change("erase", ids=ids)
        after = extract.audit(source, lake, state, **common)
    live.faults()
    state.close()
    assert landed.coverage.count(",") == 11
    assert landed.days[0].status == "PROVED"
    assert landed.days[0].rows == len(live.truth(DAYS[:1])) + 1
    assert (calm.audited, calm.differing) == (DAYS[:1], [])
    assert (after.audited, after.differing) == (DAYS[:1], DAYS[:1])


@pytest.fixture
def untouched(tmp_path):
    """A service of one's own, where no profile was ever in force."""
    with filled(tmp_path) as running:
        yield running


def test_the_doctor_asks_ten_questions_and_knows_what_an_export_takes(
    untouched, tmp_path
):
    live = untouched
    with live.client(SetClock(NOW), budget=20) as source:
        diagnosis = extract.diagnose(source, ACCOUNT, first=DAYS[0], last=DAYS[-1])
    assert diagnosis.questions <= 10
    assert diagnosis.ok, diagnosis.lines
    estimate, truth = diagnosis.estimate, live.truth(DAYS)
    assert estimate.engagements == len(truth)
    report, _ = export(live, tmp_path, window_rows=1000)
    taken = sum(report.calls.values())
    assert taken <= estimate.calls <= 2 * taken
    assert estimate.nights == -(-estimate.calls // 20)
    sent = sum(len(orjson.dumps(document)) for document in truth.values())
    assert 0.7 < estimate.bytes_sent / sent < 1.4
    assert "runs of JOURNEYPORT_CALL_BUDGET" in diagnosis.lines[-1]
