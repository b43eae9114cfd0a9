"""Searching and getting what is there."""

import json
from random import Random

DAY = {"startDate": "2026-11-10T00:00:00Z", "endDate": "2026-11-10T23:59:59.999Z"}


def walk(service, account="ABCDEF", **filters):
    found, page = [], 1
    while True:
        answer = service.search(account, page=page, **filters).json()
        found += answer["engagements"]
        if len(found) >= answer["pagination"]["total"]:
            return found
        page += 1


def test_a_search_by_dates_answers_newest_first_and_its_total(filled):
    answer = filled.search(**DAY)
    assert answer.status_code == 200
    body = answer.json()
    starts = [one["startDate"] for one in body["engagements"]]
    assert starts == sorted(starts, reverse=True)
    assert len(starts) == min(50, body["pagination"]["total"]) > 10
    assert all(DAY["startDate"] <= start <= DAY["endDate"] for start in starts)


def test_both_bounds_are_inclusive(filled):
    start = filled.search(**DAY).json()["engagements"][0]["startDate"]
    answer = filled.search(startDate=start, endDate=start).json()
    assert answer["pagination"]["total"] >= 1
    assert {one["startDate"] for one in answer["engagements"]} == {start}


def test_bounds_finer_than_a_millisecond_are_cut_to_one(filled):
    start = filled.search(**DAY).json()["engagements"][0]["startDate"]
    total = filled.search(startDate=start, endDate=start).json()["pagination"]["total"]
    within = {"startDate": f"{start[:-1]}7Z", "endDate": f"{start[:-1]}9Z"}
    assert filled.search(**within).json()["pagination"]["total"] == total


def test_the_total_is_what_lies_between_any_two_bounds(filled):
    starts = sorted(one["startDate"] for one in walk(filled))
    rng = Random(3)
    for _ in range(60):
        low, high = sorted(rng.sample(starts, 2))
        if rng.random() < 0.3:
            high = low
        bounds = {"startDate": low, "endDate": high}
        if rng.random() < 0.2:
            del bounds[rng.choice(list(bounds))]
        expected = sum(
            bounds.get("startDate", "") <= one <= bounds.get("endDate", "9")
            for one in starts
        )
        answer = filled.search(size=1, **bounds).json()
        assert answer["pagination"]["total"] == expected
    backwards = filled.search(startDate=starts[-1], endDate=starts[0]).json()
    assert backwards["pagination"]["total"] == 0


def test_pages_together_are_the_whole_search(filled):
    everything = walk(filled)
    assert len({one["id"] for one in everything}) == len(everything)
    stats = filled.admin.get("/stats").json()
    assert len(everything) == stats["engagements"]["ABCDEF"]


def test_filters_find_exactly_what_a_reader_of_everything_would(filled):
    everything = walk(filled)
    some = next(
        one
        for one in everything
        if one["conversations"]
        and any(who["type"] == "AGENT" for who in one["participants"])
    )
    agent = next(who["id"] for who in some["participants"] if who["type"] == "AGENT")
    topic = some["conversations"][0]
    channels = ["Chat", "Email"]

    def by(document, *, agent=None, topic=None, channels=None):
        people = {who["id"] for who in document["participants"]}
        return (
            (agent is None or agent in people)
            and (topic is None or topic in document["conversations"])
            and (
                channels is None
                or any(one["id"] in channels for one in document["channels"])
            )
        )

    for asked, expected in (
        ({"agentId": agent}, {"agent": agent}),
        ({"conversation": topic}, {"topic": topic}),
        ({"channelIds": channels}, {"channels": channels}),
        (
            {"agentId": agent, "conversation": topic, "channelIds": ["Voice"]},
            {"agent": agent, "topic": topic, "channels": ["Voice"]},
        ),
    ):
        found = [one["id"] for one in walk(filled, **asked)]
        assert found == [one["id"] for one in everything if by(one, **expected)]
        assert found or len(asked) > 1


def test_a_search_by_identifier_answers_the_whole_linked_journey(filled):
    everything = walk(filled)
    some = next(
        one
        for one in everything
        if {"phoneNumbers", "accountIds"} <= set(one["identifiers"])
        and "anonymous" not in one["identifiers"]["phoneNumbers"]
    )
    linked = {(n, v) for n, vs in some["identifiers"].items() for v in vs}
    grown = True
    while grown:
        grown = False
        for one in everything:
            pairs = {(n, v) for n, vs in one["identifiers"].items() for v in vs}
            if pairs & linked and not pairs <= linked:
                linked |= pairs
                grown = True
    expected = [
        one["id"]
        for one in everything
        if linked & {(n, v) for n, vs in one["identifiers"].items() for v in vs}
    ]
    asked = {"accountIds": some["identifiers"]["accountIds"]}
    assert [one["id"] for one in walk(filled, identifiers=asked)] == expected
    answer = filled.search(identifiers=asked).json()["identifiers"]
    assert {(n, v) for n, vs in answer.items() for v in vs} == linked


def test_a_search_that_finds_nothing_answers_an_empty_list(filled):
    nothing = {"emailAddresses": ["nobody@shop.example"]}
    answer = filled.search(identifiers=nothing)
    assert answer.status_code == 200
    body = answer.json()
    assert body["engagements"] == []
    assert body["pagination"] == {"pageNumber": 1, "pageSize": 50, "total": 0}


def test_engagements_by_id_come_in_the_order_asked_for(filled):
    ids = [one["id"] for one in filled.search(**DAY).json()["engagements"]][:7]
    asked = [ids[3], "0" * 8 + "-0000-4000-8000-" + "0" * 12, *ids[:3]]
    answer = filled.call(
        "GET", "/engagements", params={"engagementIds": ",".join(asked)}
    )
    assert [one["id"] for one in answer.json()["engagements"]] == [ids[3], *ids[:3]]
    one = filled.call("GET", f"/engagements/{ids[3]}")
    assert one.json() == answer.json()["engagements"][0]


def test_the_date_header_tells_the_services_own_clock(filled):
    answer = filled.search(**DAY)
    assert answer.headers["date"] == "Sun, 15 Nov 2026 02:00:00 GMT"


def test_the_log_says_which_page_was_asked_and_names_nobody(filled):
    phone = "+4915212345678"
    filled.search(page=3, size=10, identifiers={"phoneNumbers": [phone]})
    text = (filled.folder / "requests.jsonl").read_text()
    last = json.loads(text.splitlines()[-1])
    assert (last["method"], last["operation"]) == ("POST", "getJourneys")
    assert (last["pageNumber"], last["pageSize"], last["status"]) == (3, 10, 200)
    assert last["path"] == "/api/journey/v1/accounts/{accountId}/journeys:search"
    assert phone not in text
    for secret in ("client_secret", "app_key", "client_id"):
        assert filled.accounts["ABCDEF"][secret] not in text
