"""The same SQL on PostgreSQL: both databases answer everything alike."""

import uuid

import pytest

OPTIONS = ("--engagements", "150", "--clock", "2026-11-15T02:00:00Z")
SEARCHES = (
    {},
    {"startDate": "2026-11-05T00:00:00Z", "endDate": "2026-11-09T12:00:00Z"},
    {"channelIds": ["Chat", "Email"], "startDate": "2026-11-04T00:00:00Z"},
    {"conversation": "Billing"},
    {"identifiers": {"phoneNumbers": ["anonymous"]}},
)


@pytest.fixture(scope="module")
def postgresql(make_database):
    """The URL of a PostgreSQL database that is there for this module."""
    with make_database() as url:
        yield url.render_as_string(hide_password=False)


def write(service):
    """A few writes of every kind; answers the ids they were about."""
    ids = [str(uuid.UUID(int=number)) for number in range(3)]
    for number, engagement in enumerate(ids):
        record = {
            "id": engagement,
            "startDate": "2026-11-15T01:00:00Z",
            "identifiers": {"accountIds": [f"C-{number}", "C-all"]},
            "conversations": ["Written"],
        }
        service.call("POST", "/engagements", json=record)
    join = {
        "type": "AGENT",
        "dialogId": ids[0],
        "channelId": "Video",
        "channelType": "VIDEO",
        "timestamp": "2026-11-15T01:00:00Z",
        "extension": "4001",
    }
    service.call("POST", f"/engagements/{ids[0]}/participants/me:add", json=join)
    more = {"identifiers": {"emailAddresses": ["ada@shop.example"]}}
    service.call("POST", f"/engagements/{ids[1]}:appendIdentifiers", json=more)
    one = {"accountIds": ["C-2"]}
    body = {"identifiers": one, "unlinkIdentifier": {"accountIds": "C-2"}}
    service.call("POST", "/journeys:unlinkIdentifier", json=body)
    service.admin.post(
        "/changes", json={"account": "ABCDEF", "action": "erase", "ids": [ids[2]]}
    )
    return ids


def answers(service):
    ids = write(service)
    read = [service.search(size=20, **filters).json() for filters in SEARCHES]
    read.append(service.search(identifiers={"accountIds": ["C-all"]}).json())
    read.append(service.search(agentId="me", channelIds=["video"]).json())
    read.append(service.call("GET", f"/engagements/{ids[0]}").json())
    read.append(service.call("GET", f"/engagements/{ids[2]}").status_code)
    return read


def test_postgresql_answers_as_sqlite_does(tmp_path, serving, postgresql):
    truth = ("--truth", str(tmp_path / "truth.jsonl"))
    with serving(tmp_path / "journey.db", *OPTIONS) as service:
        expected = answers(service)
    with serving(postgresql, *OPTIONS, *truth) as service:
        found = answers(service)
    assert found == expected
    assert expected[0]["pagination"]["total"] > 50


def test_faults_that_need_more_of_a_database_work_there_too(
    tmp_path, serving, postgresql
):
    profiles = ("stale-replica", "microseconds", "write-lag", "paired")
    options = ("--truth", str(tmp_path / "truth.jsonl"), "--faults", ",".join(profiles))
    with serving(postgresql, *options) as service:
        for number in range(15):
            assert service.search(size=5).status_code == 200
            record = {
                "id": str(uuid.uuid4()),
                "startDate": "2026-11-15T01:00:00Z",
                "identifiers": {"accountIds": [f"D-{number}"]},
            }
            assert service.call("POST", "/engagements", json=record).status_code == 202
        counts = service.admin.get("/faults").json()["counts"]
    assert set(counts) == set(profiles)
