"""What is refused, and how: one violation per thing that is wrong."""

import json
import uuid

import pytest

ID = "0f0e0d0c-0b0a-4900-8807-060504030201"
NOW = "2026-11-14T10:00:00Z"
PHONES = {"phoneNumbers": ["+4930555001"]}
RECORD = {"id": ID, "startDate": NOW, "identifiers": PHONES}
JOIN = {
    "type": "EXTERNAL",
    "dialogId": ID,
    "channelId": "Voice",
    "channelType": "VOICE",
    "timestamp": NOW,
    "callingNumber": "+4930555001",
    "dialledNumber": "+4930555002",
}
TYPE = {"name": "memberIds", "identifierStrength": "STRONG"}


def assert_violation(answer, field, code):
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = {(one["field"], one["code"]) for one in answer.json()["violations"]}
    assert found == {(field, code)}
    assert all(one["message"] for one in answer.json()["violations"])


def without(body, name):
    return {key: value for key, value in body.items() if key != name}


SEARCHES = [
    ({"identifiers": {}}, "identifiers", 1004),
    ({"identifiers": None}, "identifiers", 1002),
    ({"identifiers": []}, "identifiers", 1002),
    ({"identifiers": {f"name{n}": ["abc"] for n in range(11)}}, "identifiers", 1005),
    ({"identifiers": {"phoneNumbers": ["12"]}}, "identifiers.phoneNumbers[0]", 1004),
    ({"identifiers": {"loyaltyCards": [""]}}, "identifiers.loyaltyCards[0]", 1004),
    (
        {"identifiers": {"phoneNumbers": ["1" * 257]}},
        "identifiers.phoneNumbers[0]",
        1005,
    ),
    ({"identifiers": {"phoneNumbers": ["123"] * 6}}, "identifiers.phoneNumbers", 1005),
    ({"identifiers": {"phoneNumbers": [123]}}, "identifiers.phoneNumbers[0]", 1002),
    ({"startDate": "2026-11-14"}, "startDate", 1007),
    ({"startDate": "2026-02-30T00:00:00Z"}, "startDate", 1007),
    ({"endDate": 1}, "endDate", 1007),
    ({"conversation": "ab"}, "conversation", 1004),
    ({"conversation": "x" * 257}, "conversation", 1005),
    ({"agentId": "ab"}, "agentId", 1004),
    ({"agentId": "x" * 37}, "agentId", 1005),
    ({"agentId": None}, "agentId", 1002),
    ({"channelIds": []}, "channelIds", 1004),
    ({"channelIds": [f"Voice{n}" for n in range(11)]}, "channelIds", 1005),
    ({"channelIds": ["Voice", "Voice"]}, "channelIds", 1008),
    ({"channelIds": ["x" * 21]}, "channelIds[0]", 1005),
]
RECORDS = [
    (without(RECORD, "id"), "id", 1001),
    ({**RECORD, "id": "x" * 36}, "id", 1006),
    (without(RECORD, "startDate"), "startDate", 1001),
    (without(RECORD, "identifiers"), "identifiers", 1001),
    ({**RECORD, "identifiers": {"unknownIds": ["abc"]}}, "identifiers", 1012),
    ({**RECORD, "conversations": ["topic"] * 11}, "conversations", 1005),
    ({**RECORD, "conversations": ["ab"]}, "conversations[0]", 1004),
    ({**RECORD, "data": {f"key{n}": "value" for n in range(21)}}, "data", 1005),
    ({**RECORD, "data": {"k" * 65: "value"}}, "data.*", 1005),
    ({**RECORD, "data": {"key": "ab"}}, "data.*", 1004),
    ({**RECORD, "data": {"key": "x" * 1025}}, "data.*", 1005),
]
JOINS = [
    ({**JOIN, "type": "ROBOT"}, "type", 1003),
    (without(JOIN, "callingNumber"), "callingNumber", 1001),
    ({**without(JOIN, "callingNumber"), "type": "AGENT"}, "extension", 1001),
    ({**JOIN, "type": "TREATMENT"}, "automationType", 1001),
    (
        {**JOIN, "type": "TREATMENT", "automationType": "PARROT"},
        "automationType",
        1003,
    ),
    ({**JOIN, "dialogId": "no"}, "dialogId", 1004),
    ({**JOIN, "channelId": "ab"}, "channelId", 1004),
    (without(JOIN, "timestamp"), "timestamp", 1001),
    ({**JOIN, "id": "x" * 37}, "id", 1005),
]
TYPES = [
    (without(TYPE, "identifierStrength"), "identifierStrength", 1001),
    ({**TYPE, "identifierStrength": "MILD"}, "identifierStrength", 1003),
    ({**TYPE, "name": "no spaces"}, "name", 1006),
    ({**TYPE, "name": "ab"}, "name", 1004),
    ({**TYPE, "name": "x" * 51}, "name", 1005),
    ({**TYPE, "displayName": "ab"}, "displayName", 1004),
    ({**TYPE, "name": "phoneNumbers"}, "name", 1011),
]


def ids(cases):
    return [f"{field}-{code}-{place}" for place, (_, field, code) in enumerate(cases)]


@pytest.mark.parametrize(("body", "field", "code"), SEARCHES, ids=ids(SEARCHES))
def test_a_search_out_of_bounds_is_refused(empty, body, field, code):
    assert_violation(empty.call("POST", "/journeys:search", json=body), field, code)


@pytest.mark.parametrize(("body", "field", "code"), RECORDS, ids=ids(RECORDS))
def test_an_engagement_out_of_bounds_is_refused(empty, body, field, code):
    assert_violation(empty.call("POST", "/engagements", json=body), field, code)


@pytest.mark.parametrize(("body", "field", "code"), JOINS, ids=ids(JOINS))
def test_a_participant_out_of_bounds_is_refused(empty, body, field, code):
    path = f"/engagements/{ID}/participants/somebody:add"
    assert_violation(empty.call("POST", path, json=body), field, code)


@pytest.mark.parametrize(("body", "field", "code"), TYPES, ids=ids(TYPES))
def test_an_identifier_type_out_of_bounds_is_refused(empty, body, field, code):
    assert_violation(empty.call("POST", "/identifiers", json=body), field, code)


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("pageSize=0", "pageSize", 1004),
        ("pageSize=51", "pageSize", 1005),
        ("pageSize=many", "pageSize", 1002),
        ("pageNumber=0", "pageNumber", 1004),
        ("pageNumber=2147483648", "pageNumber", 1005),
        ("pageNumber=%D9%A3", "pageNumber", 1002),
    ],
)
def test_a_page_out_of_bounds_is_refused(empty, query, field, code):
    answer = empty.call("POST", f"/journeys:search?{query}", json={})
    assert_violation(answer, field, code)


def test_list_engagements_takes_one_to_fifty_different_ids(empty):
    def ask(query):
        return empty.call("GET", f"/engagements{query}")

    many = ",".join(str(uuid.uuid4()) for _ in range(51))
    assert_violation(ask(""), "engagementIds", 1001)
    assert_violation(ask(f"?engagementIds={many}"), "engagementIds", 1005)
    assert_violation(ask(f"?engagementIds={ID},{ID}"), "engagementIds", 1008)
    assert_violation(ask("?engagementIds=x"), "engagementIds[0]", 1004)
    assert ask(f"?engagementIds={many[: 36 * 50 + 49]}").status_code == 404


def test_list_agents_and_deletes_have_bounds_of_their_own(empty):
    agents = {"identifiers": PHONES, "channelId": "Voice"}
    path = "/journeys:listAgents"
    assert_violation(
        empty.call("POST", f"{path}?pageSize=11", json=agents), "pageSize", 1005
    )
    assert_violation(
        empty.call("POST", f"{path}?orderBy=up", json=agents), "orderBy", 1003
    )
    assert_violation(
        empty.call("POST", path, json=without(agents, "channelId")), "channelId", 1001
    )
    assert_violation(empty.call("POST", "/identifiers:delete", json=[]), "body", 1004)
    one = {"identifiers": PHONES, "unlinkIdentifier": {}}
    path = "/journeys:unlinkIdentifier"
    assert_violation(empty.call("POST", path, json=one), "unlinkIdentifier", 1004)


def test_all_that_is_wrong_is_said_at_once(empty):
    body = {"channelIds": [], "startDate": "soon", "agentId": "x"}
    answer = empty.call("POST", "/journeys:search", json=body)
    fields = [one["field"] for one in answer.json()["violations"]]
    assert sorted(fields) == ["agentId", "channelIds", "startDate"]


DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000
HOSTILE = [
    (b"", 400),
    (b"{", 400),
    (b"null", 400),
    (b"[]", 400),
    (b'{"startDate": NaN}', 400),
    (b'{"pageSize": 1e999}', 400),
    (b'{"conversation": "\xff\xfe"}', 400),
    (b'{"conversation": "\\ud800abc"}', 400),
    (b'{"conversation": "a\\u0000bc"}', 400),
    (b'{"extra": {"a\\u0000": 1}}', 400),
    (b'{"conversation": "a\x00bc"}', 400),
    (DEEP, 400),
    (b'{"extra": ' + b"[" * 90 + b"]" * 90 + b"}", 400),
    (b'{"a": 1}' * 3, 400),
    (b"\xef\xbb\xbf{}", 400),
    (b'{"x": "' + b"y" * 400_000 + b'"}', 413),
    ('{"conversation": "\u202eΩ𝒳🤷🏽‍♀️ﷺ"}'.encode(), 200),
    (b'{"number": ' + b"9" * 4000 + b"}", 400),
]


@pytest.mark.parametrize(("raw", "status"), HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bodies_get_a_clear_answer(empty, raw, status):
    headers = {"content-type": "application/json"}
    answer = empty.call("POST", "/journeys:search", content=raw, headers=headers)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "application/json; charset=utf-16", ""]
)
def test_another_media_type_is_refused(empty, kind):
    answer = empty.call(
        "POST", "/journeys:search", content=b"{}", headers={"content-type": kind}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/journeys:search", 405),
        ("PATCH", "/engagements", 405),
        ("GET", f"/engagements/{ID}:update", 405),
        ("GET", "/nothing", 404),
        ("GET", "/engagements/", 404),
        ("GET", "/engagements/%00", 400),
        ("GET", "/engagements/not-a-uuid", 400),
        ("POST", f"/engagements/{ID}/participants/%00:remove", 404),
        ("PUT", f"/engagements/{ID}/agent-note/{'%00' * 20}", 400),
    ],
)
def test_odd_paths_get_a_clear_answer(empty, method, path, status):
    answer = empty.call(method, path, json={"note": "text"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_account_id_that_is_none_is_refused(empty):
    headers = empty.headers()
    for account in ("abc", "ABCDEFG", "ABCDE1", "%00%00%00%00%00%00"):
        answer = empty.http.get(
            f"/api/journey/v1/accounts/{account}/identifiers", headers=headers
        )
        assert answer.status_code == 403


def test_no_answer_repeats_what_was_sent(empty):
    secret = "+4930999888777"
    for body in (
        {"identifiers": {"phoneNumbers": [secret, 1]}},
        {"identifiers": {secret: "x"}},
        {"conversation": secret * 60},
    ):
        answer = empty.call("POST", "/journeys:search", json=body)
        assert answer.status_code == 400
        assert secret not in answer.text
    broken = json.dumps({"x": secret})[:-1].encode()
    headers = {"content-type": "application/json"}
    answer = empty.call("POST", "/journeys:search", content=broken, headers=headers)
    assert secret not in answer.text
