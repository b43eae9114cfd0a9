"""Bulk 2.0 query jobs."""

import csv
import io

import pytest


@pytest.fixture
def job(client):
    """Makes a query job that is complete."""
    for name in ("Ada", "Bo", "Cy"):
        client.contact(LastName=name, JP_Open_Engagement__c=name == "Bo")

    def make(query, operation="query"):
        body = {"operation": operation, "query": query}
        made = client.call("POST", "jobs/query", json=body).json()
        assert made["state"] == "UploadComplete"
        info = client.get(f"jobs/query/{made['id']}").json()
        assert info["state"] == "JobComplete"
        return info

    return make


def test_an_answer_comes_part_by_part(client, job):
    """Bulk API 2.0 Developer Guide, "Get Results for a Query Job"."""
    info = job(
        "SELECT LastName, Account.Name, JP_Open_Engagement__c FROM Contact ORDER BY Id"
    )
    assert info["numberRecordsProcessed"] == 3
    rows, locator = [], "0"
    while locator != "null":
        params = {"locator": locator, "maxRecords": 2}
        answer = client.get(f"jobs/query/{info['id']}/results", params=params)
        part = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert answer.headers["Sforce-NumberOfRecords"] == str(len(part))
        locator = answer.headers["Sforce-Locator"]
        rows += part
    assert [(r["LastName"], r["JP_Open_Engagement__c"]) for r in rows] == [
        ("Ada", "false"),
        ("Bo", "true"),
        ("Cy", "false"),
    ]
    assert {r["Account.Name"] for r in rows} == {""}


def test_query_all_sees_the_bin(client, job):
    gone = client.contact(LastName="Gone")
    client.call("DELETE", f"sobjects/Contact/{gone}")
    query = "SELECT LastName FROM Contact WHERE LastName = 'Gone'"
    assert job(query)["numberRecordsProcessed"] == 0
    assert job(query, "queryAll")["numberRecordsProcessed"] == 1


def test_simple_salesforce_reads_in_bulk(salesforce, job):
    del job  # its fixture made the Contacts
    parts = salesforce.bulk2.Contact.query("SELECT LastName FROM Contact")
    assert sorted("".join(parts).split()) == ['"Ada"', '"Bo"', '"Cy"', '"LastName"']


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"operation": "insert", "query": "SELECT Id FROM Contact"}, "INVALIDJOB"),
        ({"operation": "query", "query": "SELECT"}, "MALFORMED_QUERY"),
        (
            {"operation": "query", "query": "SELECT COUNT() FROM Contact"},
            "INVALIDJOB",
        ),
    ],
)
def test_a_query_job_that_makes_no_sense_is_refused(client, body, code):
    """INVALIDJOB, MALFORMED_QUERY: Bulk API 2.0 Developer Guide, "Create a Query
    Job"."""
    answer = client.call("POST", "jobs/query", json=body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_a_query_job_can_be_aborted_and_removed(client):
    """INVALIDJOBSTATE: Bulk API 2.0 Developer Guide, "Abort a Query Job"."""
    body = {"operation": "query", "query": "SELECT Id FROM Contact"}
    job = client.call("POST", "jobs/query", json=body).json()["id"]
    early = client.get(f"jobs/query/{job}/results")
    assert early.json()[0]["errorCode"] == "INVALIDJOBSTATE"
    change = {"state": "Aborted"}
    aborted = client.call("PATCH", f"jobs/query/{job}", json=change).json()
    assert aborted["state"] == "Aborted"
    assert [r["id"] for r in client.get("jobs/query").json()["records"]] == [job]
    assert client.call("DELETE", f"jobs/query/{job}").status_code == 204
    assert client.get(f"jobs/query/{job}").status_code == 404
