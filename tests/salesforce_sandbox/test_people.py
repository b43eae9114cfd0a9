"""What people do in the org: edits, deletions, merges; and the steering of time."""

from datetime import UTC, datetime

import pytest


@pytest.fixture
def family(client):
    """Two Contacts of one person, each with an engagement."""
    keys = [client.contact(JP_Customer_Id__c=f"c{n}") for n in (1, 2)]
    records = [
        {"JP_Engagement_Id__c": f"e{n}", "JP_Contact__c": key}
        for n, key in enumerate(keys, start=1)
    ]
    client.upsert("JP_Engagement__c", "JP_Engagement_Id__c", records)
    return keys


def parents(client):
    rows = client.rows("JP_Engagement__c")
    return {r["JP_Engagement_Id__c"]: r["JP_Contact__c"] for r in rows}


def test_a_merge_keeps_the_winner_and_bins_the_loser(client, family):
    """Merging records: SOAP API Developer Guide, "merge()": MasterRecordId names the
    winner, child records are re-parented."""
    winner, loser = family
    body = {"losers": [loser], "values": {"FirstName": "Chosen"}}
    client.admin("POST", f"rows/Contact/{winner}/merge", json=body)
    rows = {r["Id"]: r for r in client.rows("Contact")}
    assert rows[loser]["IsDeleted"] is True
    assert rows[loser]["MasterRecordId"] == winner
    assert rows[winner]["FirstName"] == "Chosen"
    assert parents(client) == {"e1": winner, "e2": winner}
    found = client.query(
        "SELECT Id, MasterRecordId FROM Contact WHERE IsDeleted = true", door="queryAll"
    )
    assert [(r["Id"], r["MasterRecordId"]) for r in found] == [(loser, winner)]


def test_upserting_a_merged_key_makes_a_new_record(client, family):
    winner, loser = family
    client.admin("POST", f"rows/Contact/{winner}/merge", json={"losers": [loser]})
    record = {"JP_Customer_Id__c": "c2", "LastName": "Again"}
    (result,) = client.upsert("Contact", "JP_Customer_Id__c", [record])
    assert result["created"] is True
    assert result["id"] not in family


def test_deleting_empties_lookups_and_undeleting_fills_them_again(client, family):
    first, _ = family
    client.call("DELETE", f"sobjects/Contact/{first}")
    assert parents(client)["e1"] is None
    client.admin("POST", f"rows/Contact/{first}/undelete")
    assert parents(client)["e1"] == first
    assert len(client.query("SELECT Id FROM Contact")) == 2


def test_a_taken_key_keeps_a_record_in_the_bin(client, address, family):
    """DUPLICATE_VALUE: SOAP API Developer Guide, "undelete()"."""
    first, _ = family
    client.call("DELETE", f"sobjects/Contact/{first}")
    client.contact(JP_Customer_Id__c="c1")
    url = f"{address.admin_url}/rows/Contact/{first}/undelete"
    answer = client.http.post(url)
    assert answer.json()[0]["errorCode"] == "DUPLICATE_VALUE"


def test_undeleting_what_is_not_in_the_bin_is_refused(client, address, family):
    """UNDELETE_FAILED: "Core Data Types Used in API Calls", StatusCode."""
    url = f"{address.admin_url}/rows/Contact/{family[0]}/undelete"
    assert client.http.post(url).json()[0]["errorCode"] == "UNDELETE_FAILED"


def test_a_merge_that_makes_no_sense_is_refused(client, address, family):
    """INVALID_OPERATION: SOAP API Developer Guide, "merge()"."""
    first, second = family
    for losers in ([], [first], [second, second, second]):
        url = f"{address.admin_url}/rows/Contact/{first}/merge"
        answer = client.http.post(url, json={"losers": losers})
        assert answer.json()[0]["errorCode"] == "INVALID_OPERATION"


def test_an_emptied_bin_is_gone_for_good(client, family):
    client.call("DELETE", f"sobjects/Contact/{family[0]}")
    assert client.admin("DELETE", "bin/Contact") == {"purged": 1}
    assert len(client.query("SELECT Id FROM Contact", door="queryAll")) == 1


def test_a_persons_edit_carries_the_persons_name_and_time(client, family):
    client.admin("PUT", "clock", json={"now": "2030-01-01T00:00:00Z", "frozen": True})
    edit = {"FirstName": "By hand"}
    client.admin("PATCH", f"rows/Contact/{family[0]}", json=edit)
    found = client.query(
        "SELECT FirstName, LastModifiedBy.Name, CreatedBy.Name, SystemModstamp "
        "FROM Contact WHERE SystemModstamp >= 2030-01-01T00:00:00Z"
    )
    (record,) = found
    assert record["LastModifiedBy"]["Name"] == "A Person"
    assert record["CreatedBy"]["Name"] == "Integration User"
    assert record["SystemModstamp"] == "2030-01-01T00:00:00.000+0000"


def test_re_pointing_children_moves_their_system_stamp_only(client, family):
    client.admin("PUT", "clock", json={"now": "2030-01-01T00:00:00Z", "frozen": True})
    winner, loser = family
    client.admin("POST", f"rows/Contact/{winner}/merge", json={"losers": [loser]})
    rows = {r["JP_Engagement_Id__c"]: r for r in client.rows("JP_Engagement__c")}
    assert rows["e2"]["SystemModstamp"] == "2030-01-01T00:00:00.000+0000"
    assert rows["e2"]["LastModifiedDate"] < "2030"
    assert rows["e1"]["SystemModstamp"] < "2030"


def test_the_clock_stands_moves_and_comes_back(client):
    client.admin("PUT", "clock", json={"now": "2030-01-01T00:00:00Z", "frozen": True})
    moved = client.admin("PUT", "clock", json={"advance": 86_400})
    assert moved["now"] == "2030-01-02T00:00:00.000+0000"
    assert client.admin("GET", "")["now"] == moved["now"]
    back = client.admin("DELETE", "clock")["now"]
    assert back.startswith(str(datetime.now(UTC).year))


def test_people_may_make_what_rules_would_refuse(client):
    people = [
        {"LastName": "Twice", "Email": "t@e.org", "MobilePhone": "1"},
        {"LastName": "Twice", "Email": "t@e.org", "MobilePhone": "1"},
        {"LastName": "Once", "Account": {"Name": "Engines"}},
        {"LastName": "Also", "Account": {"Name": "engines"}},
    ]
    made = client.admin("POST", "rows/Contact", json=people)["ids"]
    assert len(made) == 4
    found = client.query("SELECT COUNT(Id) n, Email FROM Contact GROUP BY Email")
    assert sorted(r["n"] for r in found) == [2, 2]
    assert len(client.rows("Account")) == 1


def test_seeding_is_all_or_nothing(client, address):
    people = [{"LastName": "A"}, {"FirstName": "B"}]
    answer = client.http.post(f"{address.admin_url}/rows/Contact", json=people)
    assert answer.status_code == 400
    assert client.rows("Contact") == []


def test_calls_are_counted_by_kind_writes_and_reads_apart(client):
    client.admin("DELETE", "calls")
    client.query("SELECT Id FROM Contact")
    client.get("sobjects/Contact/describe")
    client.get("limits")
    client.contact()
    record = {"JP_Customer_Id__c": "c1", "LastName": "X"}
    client.upsert("Contact", "JP_Customer_Id__c", [record])
    body = {"operation": "insert", "object": "Contact"}
    job = client.call("POST", "jobs/ingest", json=body).json()["id"]
    client.call(
        "PUT",
        f"jobs/ingest/{job}/batches",
        data="LastName\nX\n",
        headers={"Content-Type": "text/csv"},
    )
    client.call("PATCH", f"jobs/ingest/{job}", json={"state": "Aborted"})
    client.get(f"jobs/ingest/{job}")
    client.get(f"jobs/ingest/{job}/failedResults")
    report = client.admin("GET", "calls")
    assert report["by_kind"] == {
        "query": 1,
        "describe": 1,
        "limits": 1,
        "record_write": 1,
        "collections_write": 1,
        "job_create": 1,
        "job_upload_write": 1,
        "job_state": 1,
        "job_poll": 1,
        "job_result": 1,
    }
    assert (report["writes"], report["reads"], report["tokens"]) == (5, 5, 0)


def test_every_answer_says_what_was_used(client):
    """Sforce-Limit-Info: REST API Developer Guide, "Limit Info Header"."""
    client.admin("PUT", "limits", json={"used": 10, "DailyApiRequests": 50})
    answers = [client.get("limits"), client.get("nothing")]
    seen = [a.headers["Sforce-Limit-Info"] for a in answers]
    assert seen == ["api-usage=11/50", "api-usage=12/50"]


def test_storage_shrinks_with_every_record(client):
    """ "Limits" and "Data and File Storage Allocations": 2 KB a record."""
    client.admin("PUT", "limits", json={"DataStorageMB": 10})
    records = [
        {"JP_Engagement_Id__c": f"e{k}-{n}"} for k in range(3) for n in range(200)
    ]
    for start in range(0, 600, 200):
        chunk = records[start : start + 200]
        client.upsert("JP_Engagement__c", "JP_Engagement_Id__c", chunk)
    storage = client.get("limits").json()["DataStorageMB"]
    assert storage == {"Max": 10, "Remaining": 9}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "limits", {"Moons": 1}),
        ("PUT", "clock", {"now": "soon"}),
        ("POST", "faults", {"kind": "earthquake"}),
        ("POST", "faults", {"kind": "row_lock", "colour": "red"}),
        ("GET", "rows/Nothing", None),
        ("POST", "rows/Contact", [5]),
        ("POST", "rows/Contact/x/merge", {"losers": 5}),
    ],
)
def test_the_administrators_door_says_what_it_cannot_read(
    client, address, method, path, body
):
    answer = client.http.request(method, f"{address.admin_url}/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] == "INVALID_INPUT"
    assert answer.json()[0]["message"]


def test_the_two_doors_do_not_answer_for_each_other(client, address):
    assert client.http.get(f"{address.url}/calls").status_code == 404
    answer = client.http.get(f"{address.admin_url}/services/data/v66.0/limits")
    assert answer.status_code == 404
