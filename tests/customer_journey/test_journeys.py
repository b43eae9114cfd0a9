"""Which identifiers the source holds together, and what it collects."""

import sqlite3
import uuid

import pytest

AT = "2026-11-14T10:00:00Z"


@pytest.fixture
def mark():
    return uuid.uuid4().hex[:8]


def record(service, identifiers, account="ABCDEF", **more):
    engagement = str(uuid.uuid4())
    body = {"id": engagement, "startDate": AT, "identifiers": identifiers, **more}
    answer = service.call("POST", "/engagements", account=account, json=body)
    assert answer.status_code == 202, answer.text
    return engagement


def found(service, identifiers):
    body = service.search(identifiers=identifiers).json()
    return {one["id"] for one in body["engagements"]}, body["identifiers"]


def test_identifiers_that_come_together_are_linked_transitively(empty, mark):
    phone, email, number = f"+49{mark}", f"{mark}@shop.example", f"C-{mark}"
    first = record(empty, {"phoneNumbers": [phone]})
    second = record(empty, {"emailAddresses": [email]})
    assert found(empty, {"phoneNumbers": [phone]})[0] == {first}
    third = record(empty, {"phoneNumbers": [phone], "accountIds": [number]})
    empty.call(
        "POST",
        "/journeys",
        json={"identifiers": {"accountIds": [number], "emailAddresses": [email]}},
    )
    for asked in (
        {"phoneNumbers": [phone]},
        {"emailAddresses": [email]},
        {"accountIds": [number]},
    ):
        engagements, linked = found(empty, asked)
        assert engagements == {first, second, third}
        assert linked == {
            "phoneNumbers": [phone],
            "emailAddresses": [email],
            "accountIds": [number],
        }


@pytest.mark.parametrize(
    "nested", [False, True], ids=["as-in-examples", "as-in-schema"]
)
def test_an_unlinked_identifier_is_found_by_itself_alone(empty, mark, nested):
    phone, email = f"+49{mark}", f"{mark}@shop.example"
    both = record(empty, {"phoneNumbers": [phone], "emailAddresses": [email]})
    only_phone = record(empty, {"phoneNumbers": [phone]})
    rest = {"emailAddresses": [email]}
    answer = empty.call(
        "POST",
        "/journeys:unlinkIdentifier",
        json={
            "identifiers": {"identifiers": rest} if nested else rest,
            "unlinkIdentifier": {"phoneNumbers": phone},
        },
    )
    assert answer.json() == {"identifiers": rest}
    assert found(empty, {"phoneNumbers": [phone]}) == (
        {both, only_phone},
        {"phoneNumbers": [phone]},
    )
    assert found(empty, rest) == ({both}, rest)


def test_appending_nothing_changes_nothing(empty, mark):
    engagement = record(empty, {"accountIds": [mark]})
    path = f"/engagements/{engagement}"
    before = empty.call("GET", path).json()
    for body in ({}, {"identifiers": {"neverConfigured": ["abc"]}}):
        answer = empty.call("POST", f"{path}:appendIdentifiers", json=body)
        assert answer.status_code == 202
    assert empty.call("GET", path).json() == before


def test_a_deleted_type_leaves_what_was_collected_and_collects_no_more(empty, mark):
    name = f"clubs.{mark}"
    body = {"name": name, "identifierStrength": "STRONG"}
    created = empty.call("POST", "/identifiers", json=body).json()
    kept = record(empty, {name: ["M-1"], "accountIds": [mark]})
    deleted = empty.call("POST", "/identifiers:delete", json=[created["identifierId"]])
    assert deleted.status_code == 200
    assert found(empty, {name: ["M-1"]})[0] == {kept}
    later = record(empty, {name: ["M-2"], "accountIds": [f"{mark}-2"]})
    document = empty.call("GET", f"/engagements/{later}").json()
    assert document["identifiers"] == {"accountIds": [f"{mark}-2"]}
    assert found(empty, {name: ["M-2"]})[0] == set()


def test_a_thousand_identifier_types_is_the_most(tmp_path, serving):
    database = tmp_path / "journey.db"
    with serving(database) as service:
        room = 999 - len(service.call("GET", "/identifiers").json())
        connection = sqlite3.connect(database)
        with connection:
            connection.executemany(
                "INSERT INTO identifier_types VALUES (?, ?, ?, NULL, 'WEAK', ?)",
                [("ABCDEF", f"type{n}", str(uuid.uuid4()), n) for n in range(room)],
            )
        connection.close()
        statuses = [
            service.call(
                "POST",
                "/identifiers",
                json={"name": name, "identifierStrength": "WEAK"},
            ).status_code
            for name in ("theThousandth", "oneMore")
        ]
    assert statuses == [200, 400]


def test_a_participant_added_again_is_updated(empty, mark):
    engagement = record(empty, {"accountIds": [mark]})
    path = f"/engagements/{engagement}/participants/a b%2Fc"
    for extension in ("4001", "4002"):
        body = {
            "type": "AGENT",
            "dialogId": engagement,
            "channelId": "Video",
            "channelType": "VIDEO",
            "timestamp": AT,
            "extension": extension,
            "state": "HELD",
        }
        assert empty.call("POST", f"{path}:add", json=body).status_code == 202
    document = empty.call("GET", f"/engagements/{engagement}").json()
    (one,) = document["participants"]
    assert (one["id"], one["extension"], one["state"]) == ("a b/c", "4002", "HELD")
    assert document["channels"] == [{"id": "Video", "type": "VIDEO"}]
    answer = empty.search(channelIds=["Video"], identifiers={"accountIds": [mark]})
    assert answer.json()["pagination"]["total"] == 1


def test_fields_that_nobody_announced_are_kept(empty, mark):
    more = {"loyaltyLevel": {"name": "gold"}, "status": "COMPLETED", "queues": "none"}
    engagement = record(empty, {"accountIds": [mark]}, direction="OUTBOUND", **more)
    document = empty.call("GET", f"/engagements/{engagement}").json()
    assert document["loyaltyLevel"] == {"name": "gold"}
    assert document["direction"] == "OUTBOUND"
    assert document["status"] == "CREATED"
    assert document["queues"] == []
