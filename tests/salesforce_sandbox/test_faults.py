"""Seeded faults: each strikes where and as often as it was told."""

import pytest
import requests

from salesforce_sandbox.faults import KINDS, Fault, Faults

KEY = "JP_Customer_Id__c"
PATH = f"composite/sobjects/Contact/{KEY}"


def body(*keys):
    records = [
        {"attributes": {"type": "Contact"}, KEY: k, "LastName": "X"} for k in keys
    ]
    return {"allOrNone": False, "records": records}


def statuses(client, times=3):
    return [client.get("limits").status_code for _ in range(times)]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("unavailable", 503),
        ("server_error", 500),
        ("request_limit", 403),
        ("gateway_timeout", 504),
    ],
)
def test_a_request_fails_as_often_as_told(client, kind, status):
    """REST API Developer Guide, "Status Codes and Error Responses"."""
    client.fault(kind, times=2, after=1)
    assert statuses(client, 4) == [200, status, status, 200]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("unavailable", "SERVER_UNAVAILABLE"),
        ("server_error", "UNKNOWN_EXCEPTION"),
        ("request_limit", "REQUEST_LIMIT_EXCEEDED"),
        ("session_expired", "INVALID_SESSION_ID"),
    ],
)
def test_a_failed_request_has_the_platforms_code(client, kind, code):
    """SERVER_UNAVAILABLE, UNKNOWN_EXCEPTION: REST API Developer Guide, "Status Codes
    and Error Responses"; "Core Data Types Used in API Calls", ExceptionCode."""
    client.fault(kind)
    assert client.get("limits").json()[0]["errorCode"] == code


def test_a_fault_waits_for_its_method_and_path(client):
    client.fault("unavailable", times=None, method="PATCH", path="composite/sobjects")
    assert statuses(client) == [200, 200, 200]
    assert client.call("PATCH", PATH, json=body("c1")).status_code == 503
    assert client.rows("Contact") == []
    client.admin("DELETE", "faults")
    assert client.call("PATCH", PATH, json=body("c1")).status_code == 200


def test_an_answer_can_be_lost_after_the_write(client):
    client.fault("lost_answer", method="PATCH")
    with pytest.raises(requests.RequestException):
        client.call("PATCH", PATH, json=body("c1"))
    assert len(client.rows("Contact")) == 1
    (result,) = client.call("PATCH", PATH, json=body("c1")).json()
    assert result["created"] is False


def test_a_gateway_may_give_up_after_the_write(client):
    client.fault("gateway_timeout", method="PATCH")
    answer = client.call("PATCH", PATH, json=body("c1"))
    assert (answer.status_code, answer.content) == (504, b"")
    assert len(client.rows("Contact")) == 1


def test_a_session_may_expire_in_the_middle(client):
    client.fault("session_expired", after=1)
    assert statuses(client) == [200, 401, 401]
    client.sign_in()
    assert statuses(client) == [200, 200, 200]


def test_polling_may_be_unavailable_while_the_job_goes_on(client):
    job = client.call(
        "POST", "jobs/ingest", json={"operation": "insert", "object": "Contact"}
    ).json()["id"]
    client.fault("unavailable_polling")
    assert client.get("limits").status_code == 200
    assert client.get(f"jobs/ingest/{job}").status_code == 503
    assert client.get(f"jobs/ingest/{job}").json()["state"] == "Open"


def test_an_answer_may_be_slow(client):
    client.fault("slow_answer", seconds=5)
    url = f"{client.address.url}/services/data/v66.0/limits"
    with pytest.raises(requests.Timeout):
        client.http.get(url, timeout=0.2)


def test_locked_rows_are_only_those_of_the_object_named(client):
    client.fault("row_lock", sobject="JP_Engagement__c", times=1)
    assert client.call("PATCH", PATH, json=body("c1")).json()[0]["success"] is True
    record = {"JP_Engagement_Id__c": "e1"}
    (first,) = client.upsert("JP_Engagement__c", "JP_Engagement_Id__c", [record])
    (second,) = client.upsert("JP_Engagement__c", "JP_Engagement_Id__c", [record])
    assert (first["success"], second["success"]) == (False, True)


def test_the_same_seed_strikes_the_same_chances():
    def struck(seed):
        faults = Faults()
        faults.arm(Fault("row_lock", times=None, probability=0.3, seed=seed))
        return [faults.on("row_lock") is not None for _ in range(200)]

    assert struck(1) == struck(1) != struck(2)
    assert 30 < sum(struck(1)) < 90


def test_armed_faults_can_be_read_with_how_often_they_struck(client):
    client.fault("unavailable")
    statuses(client)
    shown = client.admin("GET", "faults")
    (fault,) = shown["armed"]
    assert (fault["kind"], fault["struck"]) == ("unavailable", 1)
    assert set(shown["kinds"]) == set(KINDS)


def test_the_guide_lists_every_fault(request):
    guide = request.config.rootpath / "docs" / "sandbox.md"
    text = guide.read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []
