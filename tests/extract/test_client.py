"""The client against a transport that misbehaves on the wire."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from model_source import ACCOUNT

from journeyport import extract, wire
from journeyport.client import (
    AccountAccess,
    RefusedError,
    RoleError,
    SourceClient,
    SourceConfig,
    is_loopback,
)
from journeyport.clock import SetClock
from journeyport.errors import (
    AccessError,
    ArgumentError,
    ContractError,
    QuotaError,
    SettingsError,
    TransientError,
)
from journeyport.extract.identifiers import OUT_OF_THE_BOX
from journeyport.lake import Lake
from journeyport.pacing import START, Pace

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ASK = wire.Ask(NOW - timedelta(days=1), NOW)
ACCESS = AccountAccess(ACCOUNT, "client", "planted-secret", "planted-key")
EMPTY = {"engagements": [], "pagination": {"total": 0}}


class Wire:
    """Answers in a row; the last one is repeated. A token is always given."""

    def __init__(self, *answers, life=900):
        self.answers = list(answers)
        self.life = life
        self.tokens = 0
        self.seen = []
        self.slept = []

    def __call__(self, request):
        if request.url.path.startswith("/api/auth/"):
            self.tokens += 1
            token = f"token-{self.tokens}"
            return httpx.Response(
                200, json={"access_token": token, "expires_in": self.life}
            )
        self.seen.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, base_url="https://source.example", **changes):
        config = SourceConfig(base_url, (ACCESS,), **changes)
        client = SourceClient(config, SetClock(NOW), self.slept.append)
        client._http._transport = httpx.MockTransport(self)
        client._http._mounts = {}
        return client


def ok(**headers):
    return httpx.Response(200, json=EMPTY, headers=headers)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(502, html="<html>Bad gateway</html>"),
        httpx.Response(503, content=b""),
        httpx.Response(429),
        httpx.Response(200, content=b'{"engagements": [{"id"'),
        httpx.Response(200, content=b"[]"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("gone"),
    ],
    ids=str,
)
def test_what_may_pass_is_asked_again(answer):
    wired = Wire(answer, ok())
    with wired.client() as source:
        assert source.search(ACCOUNT, ASK).total == 0
    assert len(wired.seen) == 2


def test_a_source_that_stays_down_is_a_transient_error_after_all_attempts():
    wired = Wire(httpx.Response(503))
    with wired.client(attempts=3) as source, pytest.raises(TransientError, match="503"):
        source.search(ACCOUNT, ASK)
    assert len(wired.seen) == 3


def test_a_body_that_stays_broken_breaks_the_contract():
    wired = Wire(httpx.Response(200, content=b"{"))
    with wired.client(attempts=2) as source, pytest.raises(ContractError):
        source.search(ACCOUNT, ASK)


def test_retry_after_is_honoured_in_seconds_and_as_a_date():
    for told in ("7", "Mon, 02 Mar 2026 00:00:07 GMT"):
        wired = Wire(httpx.Response(429, headers={"retry-after": told}), ok())
        with wired.client() as source:
            source.search(ACCOUNT, ASK)
        assert max(wired.slept) >= 6.5


def test_an_exhausted_ratelimit_is_waited_for():
    headers = {"ratelimit-remaining": "0", "ratelimit-reset": "9"}
    wired = Wire(httpx.Response(429, headers=headers), ok())
    with wired.client() as source:
        source.search(ACCOUNT, ASK)
    assert max(wired.slept) >= 8.5


@pytest.mark.parametrize(
    ("answer", "slept"),
    [
        (ok(**{"ratelimit-remaining": "0", "ratelimit-reset": "9"}), True),
        (ok(**{"ratelimit-remaining": "1", "ratelimit-reset": "9"}), False),
        # a quota that ends tomorrow is not slept through: the next answer tells it
        (ok(**{"ratelimit-remaining": "0", "ratelimit-reset": "86400"}), False),
        (httpx.Response(503, headers={"retry-after": "9"}), True),
    ],
)
def test_a_source_that_names_its_limit_in_time_is_not_asked_beyond_it(answer, slept):
    wired = Wire(answer, ok())
    with wired.client(rate=1000) as source:
        source.search(ACCOUNT, ASK)
        source.search(ACCOUNT, ASK)
        assert source.pace.rate == 1000
    assert (max(wired.slept, default=0) >= 8.5) is slept
    assert max(wired.slept, default=0) < 60


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(429, headers={"retry-after": "86400"}),
        httpx.Response(429, json={"detail": "The quota is used up."}),
    ],
)
def test_a_quota_ends_the_run_at_once(answer):
    wired = Wire(answer)
    with wired.client() as source, pytest.raises(QuotaError, match="later run"):
        source.search(ACCOUNT, ASK)
    assert len(wired.seen) == 1


def test_a_refused_token_is_renewed_once():
    wired = Wire(httpx.Response(401), ok())
    with wired.client() as source:
        source.search(ACCOUNT, ASK)
    assert wired.tokens == 2
    assert wired.seen[1].headers["authorization"] == "Bearer token-2"


def test_a_fresh_token_that_is_refused_is_an_access_error():
    wired = Wire(httpx.Response(401))
    with wired.client() as source, pytest.raises(AccessError, match="APP_KEY"):
        source.search(ACCOUNT, ASK)


def test_a_token_is_renewed_at_four_fifths_of_its_life():
    wired = Wire(ok(), life=100)
    with wired.client() as source:
        source.search(ACCOUNT, ASK)
        session = source._sessions[ACCOUNT]
        assert 70 < session.renew_at - time.monotonic() <= 80
        session.renew_at = time.monotonic()
        source.search(ACCOUNT, ASK)
    assert wired.tokens == 2


def test_a_token_whose_life_is_not_told_is_taken_for_the_usual_one():
    wired = Wire(ok(), life=None)
    with wired.client() as source:
        assert source.search(ACCOUNT, ASK).total == 0
        left = source._sessions[ACCOUNT].renew_at - time.monotonic()
    assert 600 < left <= 720


def test_a_403_says_which_role_is_missing():
    wired = Wire(httpx.Response(403))
    with wired.client() as source:
        with pytest.raises(AccessError, match="role Agent"):
            source.search(ACCOUNT, ASK)
        with pytest.raises(AccessError, match="Account Administrator"):
            source.identifier_types(ACCOUNT)


def listed(*answers):
    with Wire(*answers).client() as source:
        return extract.identifier_types(source, ACCOUNT, {"cardIds": "STRONG"})


def test_a_missing_role_costs_a_warning_and_a_refused_sign_in_is_a_failure():
    found = listed(httpx.Response(403))
    assert "role Account Administrator" in found.warning
    assert found.strengths == {**OUT_OF_THE_BOX, "cardIds": "STRONG"}
    for refused in (httpx.Response(401), httpx.Response(503)):
        with pytest.raises((AccessError, TransientError)) as caught:
            listed(refused)
        assert not isinstance(caught.value, RoleError)


def test_a_role_that_was_taken_away_changes_no_strengths(tmp_path):
    lake = Lake(tmp_path)
    types = {"name": "cardIds", "identifierId": "7", "identifierStrength": "WEAK"}
    types = [types, {"name": "taxIds", "identifierStrength": "VERY_STRONG"}]
    tables = []
    for answer in (httpx.Response(200, json=types), httpx.Response(403)):
        extract.write_identifier_types(lake, [listed(answer)], run_id="run")
        tables.append(lake.read_snapshot("identifier_types").to_pylist())
    assert tables[0] == tables[1]
    strengths = {row["identifier_type"]: row["strength"] for row in tables[1]}
    assert strengths == {"cardIds": "STRONG", "taxIds": "VERY_STRONG"}


def test_a_400_is_permanent_and_names_the_fields():
    problem = {"detail": "no", "violations": [{"field": "startDate", "message": "x"}]}
    wired = Wire(httpx.Response(400, json=problem))
    with wired.client() as source, pytest.raises(RefusedError, match="startDate"):
        source.search(ACCOUNT, ASK)
    assert len(wired.seen) == 1


def test_a_404_is_an_answer_to_be_judged():
    wired = Wire(httpx.Response(404))
    with wired.client() as source:
        assert source.search(ACCOUNT, ASK).not_found


def test_the_budget_counts_every_call_and_stops_the_next():
    wired = Wire(ok())
    with wired.client(budget=3) as source:
        source.search(ACCOUNT, ASK)
        source.search(ACCOUNT, ASK)
        assert source.tally.by_purpose == {"token": 1, "walk": 2}
        with pytest.raises(QuotaError, match="budget of 3"):
            source.search(ACCOUNT, ASK)


def test_the_time_is_the_sources_own_where_it_says_so():
    wired = Wire(ok(date="Mon, 02 Mar 2026 00:10:00 GMT"), ok())
    with wired.client() as source:
        assert source.now() == (NOW, False)
        source.search(ACCOUNT, ASK)
        assert source.now() == (NOW + timedelta(minutes=10), True)


def test_plain_http_is_refused_off_loopback_only():
    with pytest.raises(SettingsError, match="plain http"):
        Wire(ok()).client("http://source.example")
    Wire(ok()).client("http://127.0.0.1:1").close()
    assert is_loopback("::1")
    assert not is_loopback("127.0.0.1.example.com")


@pytest.mark.parametrize("name", ["client_id", "client_secret", "app_key"])
def test_a_key_with_a_line_end_is_refused_without_being_shown(name):
    values = {"client_id": "c", "client_secret": "s", "app_key": "k"}
    access = AccountAccess(ACCOUNT, **{**values, name: "planted\n"})
    with pytest.raises(SettingsError, match=name.upper()) as caught:
        SourceClient(SourceConfig("https://source.example", (access,)))
    assert "planted" not in str(caught.value)


def test_nothing_that_is_shown_holds_a_secret():
    assert "planted" not in repr(SourceConfig("https://source.example", (ACCESS,)))


def test_a_real_host_is_asked_slowly_and_loopback_without_limit():
    with Wire(ok()).client() as source:
        assert source.pace.rate == START == 2.0
    with Wire(ok()).client("http://127.0.0.1:1") as source:
        assert source.pace.rate is None


def test_the_pace_halves_when_refused_and_creeps_up_after():
    pace = Pace(8.0, 10.0, lambda _: None)
    pace.too_many(None)
    pace.too_many(None)  # the same spike, seen by another thread
    assert pace.rate == 4.0
    for _ in range(50):
        pace.went_well()
    assert pace.rate == pytest.approx(4.4)
    unlimited = Pace(None, None, lambda _: None)
    unlimited.too_many(None)
    assert unlimited.rate == 25.0


def test_an_account_that_is_no_account_is_refused_before_any_call():
    with pytest.raises(ArgumentError):
        wire.account_path("../etc")


def test_ids_go_out_comma_separated_at_most_fifty():
    wired = Wire(ok())
    with wired.client() as source:
        source.by_ids(ACCOUNT, ["a", "b"])
        assert wired.seen[0].url.params["engagementIds"] == "a,b"
        with pytest.raises(ArgumentError):
            source.by_ids(ACCOUNT, ["x"] * 51)


def test_a_document_keeps_its_own_bytes():
    body = b'{"id":"e1" , "startDate":"2026-03-02T10:00:00.1234567Z","x":[1, 2]}'
    page = b'{"engagements":[' + body + b'],"pagination":{"total":1}}'
    answer = wire.read_answer(page)
    row = answer.rows[0]
    assert row.body == body
    assert row.start == datetime(2026, 3, 2, 10, 0, 0, 123456, UTC)
    assert row.upper == row.start + timedelta(microseconds=1)
    assert orjson.loads(row.body)["x"] == [1, 2]


@pytest.mark.parametrize("total", ["7", None, -1, True, 1.5])
def test_a_total_that_is_no_count_is_no_total(total):
    page = orjson.dumps({"engagements": [], "pagination": {"total": total}})
    assert wire.read_answer(page).total is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-02T10:00:00Z", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("2026-03-02T10:00:00+02:00", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("2026-03-02T10:00:00", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
        (17, None),
    ],
)
def test_instants_are_read_in_utc_or_not_at_all(text, instant):
    assert wire.parse_instant(text) == instant
