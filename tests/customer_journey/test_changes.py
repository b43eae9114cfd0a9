"""Changes on request and live traffic: the source moves while it is read."""

import json
import time

import pytest

CLOCK = "2026-11-15T02:00:00Z"
TODAY = {"startDate": "2026-11-15T00:00:00Z", "endDate": "2026-11-15T23:59:59.999Z"}


@pytest.fixture(scope="module")
def changing(tmp_path_factory, serving):
    folder = tmp_path_factory.mktemp("changing")
    with serving(
        folder / "journey.db", "--engagements", "300", "--clock", CLOCK
    ) as running:
        running.folder = folder
        yield running


def change(service, **body):
    answer = service.admin.post("/changes", json={"account": "ABCDEF", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()["engagementIds"]


def get(service, engagement):
    return service.call("GET", f"/engagements/{engagement}")


def test_inserted_engagements_begin_now_or_when_asked(changing):
    (now,) = change(changing, action="insert")
    assert get(changing, now).json()["startDate"] == "2026-11-15T02:00:00.000Z"
    made = change(changing, action="insert", count=3, start="2026-11-02T08:00:00Z")
    for one in made:
        assert get(changing, one).json()["startDate"] == "2026-11-02T08:00:00.000Z"
    truth = (changing.folder / "journey.db.truth.jsonl").read_text()
    behind = {
        one for line in truth.splitlines() for one in json.loads(line)["engagements"]
    }
    assert {now, *made} <= behind


def test_those_who_come_are_the_people_the_generator_knows(tmp_path, serving):
    options = ("--engagements", "200", "--seed", "9", "--clock", CLOCK)
    with serving(tmp_path / "journey.db", *options) as service:
        truth = tmp_path / "journey.db.truth.jsonl"
        known = {}
        for line in truth.read_text().splitlines():
            told = json.loads(line)
            known[told["person"]] = told["name"]
        change(service, action="insert", count=150)
        came = [
            json.loads(line) for line in truth.read_text().splitlines()[len(known) :]
        ]
    again = [one for one in came if one["person"] in known]
    assert again
    assert all(known[one["person"]] == one["name"] for one in again)


def test_a_back_dated_engagement_appears_in_a_past_window(changing):
    past = {"endDate": "2026-11-15T00:00:00Z"}
    before = changing.search(**past).json()["pagination"]["total"]
    (made,) = change(changing, action="back-date")
    after = changing.search(**past).json()["pagination"]["total"]
    assert after == before + 1
    document = get(changing, made).json()
    assert document["startDate"] < "2026-11-15T00:00:00.000Z"
    assert document["updateDate"] == "2026-11-15T02:00:00.000Z"


def test_an_update_moves_the_update_date_and_keeps_the_start(changing):
    (made,) = change(changing, action="insert", start="2026-11-14T09:00:00Z")
    before = get(changing, made).json()
    changing.set_clock(advance_seconds=60)
    for _ in range(3):
        assert change(changing, action="update", ids=[made]) == [made]
        after = get(changing, made).json()
        assert after["startDate"] == before["startDate"]
        assert after["updateDate"] > before["updateDate"]
        before = after
    changing.set_clock(now=CLOCK)


def test_a_completed_engagement_has_ended_for_everybody(changing):
    opened = change(changing, action="insert", count=8)
    assert any(get(changing, one).json()["status"] != "COMPLETED" for one in opened)
    change(changing, action="complete", ids=opened)
    for one in opened:
        document = get(changing, one).json()
        assert document["status"] == "COMPLETED"
        assert "endDate" in document
        assert all("leftAt" in who for who in document["participants"])


def test_an_erased_engagement_is_gone_from_every_read(changing):
    (made,) = change(changing, action="insert", start="2026-11-15T01:00:00Z")
    found = [one["id"] for one in changing.search(**TODAY).json()["engagements"]]
    assert made in found
    identifiers = get(changing, made).json()["identifiers"]
    change(changing, action="erase", ids=[made])
    assert get(changing, made).status_code == 404
    found = [one["id"] for one in changing.search(**TODAY).json()["engagements"]]
    assert made not in found
    if identifiers:
        linked = changing.search(identifiers=identifiers).json()["engagements"]
        assert made not in {one["id"] for one in linked}


def test_a_burst_is_many_in_one_millisecond(changing):
    start = "2026-11-13T12:00:00.123Z"
    made = change(changing, action="burst", start=start)
    answer = changing.search(startDate=start, endDate=start).json()
    assert answer["pagination"]["total"] == len(made) == 60
    ids = [one["id"] for one in answer["engagements"]]
    assert ids == sorted(made, reverse=True)[:50]


def test_a_document_can_be_given(changing):
    (made,) = change(changing, action="insert", document={"attributes": ["Skill.Rare"]})
    assert get(changing, made).json()["attributes"] == ["Skill.Rare"]


@pytest.mark.parametrize(
    "body",
    [
        {"account": "NOBODY", "action": "insert"},
        {"account": "ABCDEF", "action": "explode"},
        {"account": "ABCDEF", "action": "insert", "count": 0},
        {"account": "ABCDEF", "action": "insert", "start": "soon"},
        {"account": "ABCDEF", "action": "erase", "ids": "all"},
        [],
    ],
)
def test_a_change_that_makes_no_sense_is_refused(changing, body):
    assert changing.admin.post("/changes", json=body).status_code == 400


def test_live_traffic_goes_on_until_it_is_ended(changing):
    def counted():
        return sum(changing.admin.get("/stats").json()["engagements"].values())

    before = counted()
    assert changing.admin.post("/live", json={"per_minute": 6000}).status_code == 200
    deadline = time.monotonic() + 30
    while counted() < before + 10 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert counted() >= before + 10
    changing.admin.post("/live", json={"per_minute": 0})
    still = counted()
    time.sleep(0.1)
    assert counted() == still


def test_a_running_clock_runs_and_a_set_one_stands(changing):
    assert changing.admin.get("/clock").json() == {
        "now": "2026-11-15T02:00:00.000Z",
        "rate": 0.0,
        "set": True,
    }
    changing.set_clock(now=CLOCK, rate=3600)
    time.sleep(0.05)
    assert changing.admin.get("/clock").json()["now"] > "2026-11-15T02:01:00.000Z"
    changing.set_clock(now=CLOCK, rate=0)
    assert changing.admin.get("/clock").json()["now"] == "2026-11-15T02:00:00.000Z"


def test_accepted_writes_that_wait_outlive_a_restart(tmp_path, serving):
    database = tmp_path / "journey.db"
    engagement = "0f0e0d0c-0b0a-4900-8807-060504030201"
    record = {
        "id": engagement,
        "startDate": CLOCK,
        "identifiers": {"accountIds": ["C-1"]},
    }
    options = ("--clock", CLOCK, "--write-lag", "30")
    with serving(database, *options) as first:
        assert first.call("POST", "/engagements", json=record).status_code == 202
        assert get(first, engagement).status_code == 404
    with serving(database, *options) as second:
        assert get(second, engagement).status_code == 404
        second.set_clock(advance_seconds=31)
        assert get(second, engagement).status_code == 200
