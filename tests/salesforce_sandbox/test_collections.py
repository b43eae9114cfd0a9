"""Collections and composite: many records, or many requests, in one call."""

from concurrent.futures import ThreadPoolExecutor

import pytest

KEY = "JP_Customer_Id__c"


def typed(kind, *records):
    return [{"attributes": {"type": kind}, **r} for r in records]


def test_answers_come_in_the_order_asked(client):
    """Collections: "Upsert Records Using sObject Collections"."""
    known = client.contact(JP_Customer_Id__c="c2")
    records = [
        {KEY: "c1", "LastName": "A"},
        {KEY: "c2", "LastName": "B"},
        {KEY: "c3"},
        {KEY: "c4", "LastName": "D"},
    ]
    results = client.upsert("Contact", KEY, records)
    assert [r["success"] for r in results] == [True, True, False, True]
    assert [r.get("created") for r in results] == [True, False, None, True]
    assert results[1]["id"] == known
    assert "id" not in results[2]


def test_all_or_none_leaves_nothing_behind(client):
    """ALL_OR_NONE_OPERATION_ROLLED_BACK: "Core Data Types Used in API Calls",
    StatusCode."""
    records = [{KEY: "c1", "LastName": "A"}, {KEY: "c2"}, {KEY: "c3", "LastName": "C"}]
    results = client.upsert("Contact", KEY, records, allOrNone=True)
    assert [r["errors"][0]["statusCode"] for r in results] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    ]
    assert client.rows("Contact") == []


def test_create_update_retrieve_and_delete_take_many(client):
    records = typed("Contact", {"LastName": "A"}, {"LastName": "B"})
    records += typed("Account", {"Name": "C"})
    made = client.call("POST", "composite/sobjects", json={"records": records}).json()
    keys = [r["id"] for r in made]
    assert [k[:3] for k in keys] == ["003", "003", "001"]
    changed = typed("Contact", {"id": keys[0], "LastName": "Z"})
    client.call("PATCH", "composite/sobjects", json={"records": changed})
    asked = {"ids": ",".join([*keys[:2], "003Sb0000000999"]), "fields": "LastName"}
    found = client.get("composite/sobjects/Contact", params=asked).json()
    assert [r and r["LastName"] for r in found] == ["Z", "B", None]
    body = {"ids": keys[:2], "fields": ["LastName"]}
    again = client.call("POST", "composite/sobjects/Contact", json=body).json()
    assert again == found[:2]
    gone = client.call(
        "DELETE", "composite/sobjects", params={"ids": ",".join([*keys, "nonsense"])}
    )
    assert [r["success"] for r in gone.json()] == [True, True, True, False]
    assert client.query("SELECT Id FROM Contact") == []


def test_parents_and_children_may_be_loaded_in_one_evening(client):
    customers = [{KEY: f"c{n}", "LastName": "X"} for n in range(3)]
    client.upsert("Contact", KEY, customers)
    engagements = [
        {"JP_Engagement_Id__c": f"e{n}", "JP_Contact__r": {KEY: f"c{n % 3}"}}
        for n in range(6)
    ]
    kind = "JP_Engagement__c"
    results = client.upsert(kind, "JP_Engagement_Id__c", engagements)
    assert all(r["created"] for r in results)
    found = client.query(
        f"SELECT Name, JP_Contact__r.JP_Customer_Id__c FROM {kind} ORDER BY Name"
    )
    assert [r["JP_Contact__r"][KEY] for r in found] == ["c0", "c1", "c2"] * 2
    assert found[0]["Name"].startswith("E-")


def test_external_ids_match_whatever_their_case(client):
    """Object Reference, "Custom Fields": unique text is case-insensitive unless the
    field says otherwise."""
    made = client.contact(JP_Customer_Id__c="AbC")
    record = {KEY: "aBc", "FirstName": "F"}
    (result,) = client.upsert("Contact", KEY, [record])
    assert (result["id"], result["created"]) == (made, False)
    (found,) = client.query(f"SELECT {KEY} FROM Contact")
    assert found[KEY] == "AbC"


def test_keys_that_differ_beyond_a_to_z_are_two(client):
    records = [{KEY: key, "LastName": "X"} for key in ("straße", "strasse", "Ä", "ä")]
    results = client.upsert("Contact", KEY, records)
    assert [r["success"] for r in results] == [True] * 4


def test_writers_at_once_make_one_record_of_one_key(client):
    def write(number):
        record = {KEY: "c1", "LastName": f"X{number}"}
        (result,) = client.upsert("Contact", KEY, [record])
        return result

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(write, range(24)))
    assert sum(r["created"] for r in results) == 1
    assert len({r["id"] for r in results}) == len(client.rows("Contact")) == 1


def test_null_empties_and_an_absent_field_stays(client):
    client.contact(JP_Customer_Id__c="c1", FirstName="F", Email="a@b.org")
    client.upsert("Contact", KEY, [{KEY: "c1", "FirstName": None}])
    (found,) = client.query("SELECT FirstName, Email, Name FROM Contact")
    assert (found["FirstName"], found["Email"]) == (None, "a@b.org")
    assert found["Name"] == "X"


def test_values_are_kept_as_the_platform_keeps_them(client):
    client.contact(
        LastName="  Ada  ",
        FirstName="",
        JP_First_Contact__c="2026-03-02T10:00:00.987+02:00",
        JP_Engagement_Count__c=2.6,
        Birthdate="2026-03-02",
    )
    (found,) = client.query("SELECT FIELDS(ALL) FROM Contact LIMIT 1")
    assert (found["LastName"], found["FirstName"]) == ("Ada", None)
    assert found["JP_First_Contact__c"] == "2026-03-02T08:00:00.000+0000"
    assert found["JP_Engagement_Count__c"] == 3
    assert found["JP_Open_Engagement__c"] is False


def composite(client, *parts, **options):
    body = {"compositeRequest": list(parts)} | options
    return client.call("POST", "composite", json=body).json()["compositeResponse"]


def part(method, path, reference, body=None):
    return {
        "method": method,
        "url": f"/services/data/v66.0/{path}",
        "referenceId": reference,
        "body": body,
    }


def test_a_composite_request_uses_earlier_answers(client):
    """REST API Developer Guide, "Composite"."""
    child = {"JP_Contact__c": "@{one.id}"}
    answers = composite(
        client,
        part("POST", "sobjects/Contact", "one", {"LastName": "X"}),
        part("POST", "sobjects/JP_Engagement__c", "two", child),
        part("GET", "query?q=SELECT+JP_Contact__r.LastName+FROM+JP_Engagement__c", "q"),
    )
    assert [a["httpStatusCode"] for a in answers] == [201, 201, 200]
    (found,) = answers[2]["body"]["records"]
    assert found["JP_Contact__r"]["LastName"] == "X"


def test_a_composite_request_goes_on_after_a_failure_unless_told(client):
    """PROCESSING_HALTED: REST API Developer Guide, "allOrNone Parameters in Composite
    and Collections Requests"."""
    parts = (
        part("POST", "sobjects/Contact", "one", {"LastName": "X"}),
        part("POST", "sobjects/Contact", "two", {}),
        part("POST", "sobjects/Contact", "three", {"LastName": "Y"}),
    )
    whole = composite(client, *parts, allOrNone=True)
    assert [a["httpStatusCode"] for a in whole] == [400, 400, 400]
    codes = [a["body"][0]["errorCode"] for a in whole]
    assert codes == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING", "PROCESSING_HALTED"]
    assert client.rows("Contact") == []
    each = composite(client, *parts)
    assert [a["httpStatusCode"] for a in each] == [201, 400, 201]
    assert len(client.rows("Contact")) == 2


def test_a_reference_to_nothing_is_refused(client):
    """PROCESSING_HALTED: REST API Developer Guide, "Composite"."""
    body = {"LastName": "@{nobody.id}"}
    (answer,) = composite(client, part("POST", "sobjects/Contact", "one", body))
    assert answer["body"][0]["errorCode"] == "PROCESSING_HALTED"


def test_more_than_25_parts_are_refused(client):
    """REST API Developer Guide, "Composite": up to 25 subrequests."""
    parts = [part("GET", "limits", f"r{n}") for n in range(26)]
    answer = client.call("POST", "composite", json={"compositeRequest": parts})
    assert answer.status_code == 400


def test_simple_salesforce_speaks_to_it(salesforce, client):
    made = salesforce.Contact.create({"LastName": "Lovelace"})
    assert made["success"] is True
    assert salesforce.Contact.update(made["id"], {"FirstName": "Ada"}) == 204
    assert salesforce.Contact.get(made["id"])["Name"] == "Ada Lovelace"
    path = f"{KEY}/a weird+key ü"
    assert salesforce.Contact.upsert(path.replace(" ", "%20"), {"LastName": "B"}) == 201
    results = salesforce.restful(
        f"composite/sobjects/Contact/{KEY}",
        method="PATCH",
        json={"records": typed("Contact", {KEY: "c9", "LastName": "C"})},
    )
    assert results[0]["created"] is True
    client.admin("PUT", "limits", json={"page_size": 2})
    rows = salesforce.query_all("SELECT LastName FROM Contact ORDER BY LastName")
    assert [r["LastName"] for r in rows["records"]] == ["B", "C", "Lovelace"]
    assert salesforce.api_usage["api-usage"].used > 0
    assert salesforce.Contact.delete(made["id"]) == 204
    everything = salesforce.query_all("SELECT Id FROM Contact", include_deleted=True)
    assert everything["totalSize"] == 3


def test_simple_salesforce_loads_in_bulk(salesforce):
    records = [
        {KEY: "c1", "LastName": 'with "quotes", and commas'},
        {KEY: "c2", "LastName": ""},
    ]
    (job,) = salesforce.bulk2.Contact.upsert(
        records=records, external_id_field=KEY, wait=0.01
    )
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (2, 1)
    failed = salesforce.bulk2.Contact.get_failed_records(job["job_id"])
    assert "REQUIRED_FIELD_MISSING" in failed


def batch(client, *parts, **options):
    return client.call(
        "POST", "composite/batch", json={"batchRequests": parts} | options
    )


def test_a_batch_goes_on_after_a_failure_unless_told(client):
    """BATCH_PROCESSING_HALTED: REST API Developer Guide, "Batch Request Body"."""
    path = "v66.0/sobjects/Contact"
    parts = (
        {"method": "POST", "url": path, "richInput": {"LastName": "X"}},
        {"method": "POST", "url": path, "richInput": {}},
        {"method": "GET", "url": "v66.0/query?q=SELECT+LastName+FROM+Contact"},
    )
    whole = batch(client, *parts).json()
    assert whole["hasErrors"] is True
    assert [r["statusCode"] for r in whole["results"]] == [201, 400, 200]
    assert whole["results"][2]["result"]["totalSize"] == 1
    halted = batch(client, *parts, haltOnError=True).json()
    assert [r["statusCode"] for r in halted["results"]] == [201, 400, 412]
    assert halted["results"][2]["result"][0]["errorCode"] == "BATCH_PROCESSING_HALTED"
    assert len(client.rows("Contact")) == 2  # what went before stays


def test_each_part_of_a_batch_is_a_request(client):
    used = int(
        client.get("limits").headers["Sforce-Limit-Info"].split("=")[1].split("/")[0]
    )
    parts = [{"method": "GET", "url": "v66.0/limits"}] * 3
    assert batch(client, *parts).json()["hasErrors"] is False
    info = client.get("limits").headers["Sforce-Limit-Info"]
    assert int(info.split("=")[1].split("/")[0]) == used + 5


@pytest.mark.parametrize("many", [0, 26])
def test_a_composite_request_has_up_to_25_parts(client, many):
    """INVALID_INPUT: REST API Developer Guide, "Composite": up to 25 subrequests."""
    part = {"method": "GET", "url": "/services/data/v66.0/limits", "referenceId": "a"}
    answer = client.call("POST", "composite", json={"compositeRequest": [part] * many})
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] == "INVALID_INPUT"
