"""Person accounts: Salesforce Help, "Person Accounts"."""

import pytest

from salesforce_sandbox.schema import load
from salesforce_sandbox.serve import running

KEY = "JP_Customer_Id__c"


@pytest.fixture(scope="module")
def people_org(tmp_path_factory):
    path = tmp_path_factory.mktemp("persons") / "org.db"
    with running(path, load(person_accounts=True)) as (address, _):
        yield address


@pytest.fixture
def client(people_org, connect):
    found = connect(people_org)
    found.admin("POST", "reset")
    found.sign_in()
    return found


def create(client, **values):
    return client.call("POST", "sobjects/Account", json=values)


def code_of(answer):
    (error,) = answer.json()
    return error["errorCode"], error["message"]


def test_an_account_with_a_last_name_is_a_person_with_a_contact_half(client):
    key = create(
        client, FirstName="Ada", LastName="Lovelace", PersonEmail="ada@example.org"
    ).json()["id"]
    (account,) = client.query(
        "SELECT Name, IsPersonAccount, RecordType.DeveloperName, PersonContact.Email, "
        "PersonContactId FROM Account"
    )
    assert (account["Name"], account["IsPersonAccount"]) == ("Ada Lovelace", True)
    assert account["RecordType"]["DeveloperName"] == "PersonAccount"
    assert account["PersonContact"]["Email"] == "ada@example.org"
    (half,) = client.query("SELECT Id, AccountId, IsPersonAccount, Name FROM Contact")
    assert half["AccountId"] == key
    assert half["Id"] == account["PersonContactId"]
    assert half["IsPersonAccount"] is True


def test_the_half_follows_the_account(client):
    key = create(client, LastName="Lovelace").json()["id"]
    change = {"LastName": "King", "PersonMobilePhone": "+44 1"}
    client.call("PATCH", f"sobjects/Account/{key}", json=change)
    (half,) = client.query("SELECT Name, MobilePhone FROM Contact")
    assert (half["Name"], half["MobilePhone"]) == ("King", "+44 1")
    assert client.query("SELECT Name FROM Account")[0]["Name"] == "King"


def test_a_person_is_upserted_by_its_key(client):
    records = [{KEY: "c1", "LastName": "X"}, {KEY: "c2", "Name": "A business"}]
    results = client.upsert("Account", KEY, records)
    assert [r["created"] for r in results] == [True, True]
    results = client.upsert("Account", KEY, [{KEY: "c1", "JP_Last_Channel__c": "Chat"}])
    assert results[0]["created"] is False
    assert len(client.query("SELECT Id FROM Contact")) == 1


def test_the_contact_half_is_not_written(client):
    """INSUFFICIENT_ACCESS_OR_READONLY: "Core Data Types Used in API Calls",
    StatusCode."""
    create(client, LastName="Lovelace")
    (half,) = client.query("SELECT Id FROM Contact")
    path = f"sobjects/Contact/{half['Id']}"
    answer = client.call("PATCH", path, json={KEY: "c1"})
    assert code_of(answer)[0] == "INSUFFICIENT_ACCESS_OR_READONLY"


@pytest.mark.parametrize("kind", ["PersonAccount", "Business_Account"])
def test_the_other_kinds_fields_are_refused(client, kind):
    """INVALID_FIELD_FOR_INSERT_UPDATE: Salesforce Help, "Error 'bad field names' when
    you import Person Accounts"."""
    query = f"SELECT Id FROM RecordType WHERE DeveloperName = '{kind}'"
    (record_type,) = client.query(query)
    answer = create(client, RecordTypeId=record_type["Id"], Name="N", LastName="L")
    wrong = "Name" if kind == "PersonAccount" else "LastName"
    assert code_of(answer) == (
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"Account: bad field names on insert/update call: {wrong}",
    )


def test_a_business_does_not_become_a_person_with_other_fields(client):
    """INVALID_FIELD_FOR_INSERT_UPDATE: "Core Data Types Used in API Calls",
    StatusCode."""
    key = create(client, Name="Engines").json()["id"]
    query = "SELECT Id FROM RecordType WHERE IsPersonType = true"
    (person,) = client.query(query)
    change = {"RecordTypeId": person["Id"], "LastName": "X"}
    answer = client.call("PATCH", f"sobjects/Account/{key}", json=change)
    assert "marrying or separating" in code_of(answer)[1]


def test_a_person_without_a_last_name_is_refused(client):
    """REQUIRED_FIELD_MISSING: "Core Data Types Used in API Calls", StatusCode."""
    query = "SELECT Id FROM RecordType WHERE IsPersonType = true"
    (person,) = client.query(query)
    answer = create(client, RecordTypeId=person["Id"], FirstName="Ada")
    assert code_of(answer)[0] == "REQUIRED_FIELD_MISSING"


def test_both_halves_go_to_the_bin_and_come_back(client):
    key = create(client, LastName="Lovelace").json()["id"]
    client.call("DELETE", f"sobjects/Account/{key}")
    assert client.query("SELECT Id FROM Contact") == []
    client.admin("POST", f"rows/Account/{key}/undelete")
    (half,) = client.query("SELECT AccountId FROM Contact")
    assert half["AccountId"] == key


def test_merging_two_persons_merges_both_halves(client):
    first = create(client, LastName="Lovelace").json()["id"]
    second = create(client, LastName="King").json()["id"]
    client.admin("POST", f"rows/Account/{first}/merge", json={"losers": [second]})
    accounts = {r["Id"]: r for r in client.rows("Account")}
    assert accounts[second]["MasterRecordId"] == first
    contacts = {r["Id"]: r for r in client.rows("Contact")}
    gone = contacts[accounts[second]["PersonContactId"]]
    assert gone["IsDeleted"] is True
    assert gone["MasterRecordId"] == accounts[first]["PersonContactId"]


def test_record_types_keep_their_ids_over_a_restart(tmp_path, connect):
    seen = []
    for _ in range(2):
        schema = load(person_accounts=True)
        with running(tmp_path / "org.db", schema) as (address, _):
            rows = connect(address).query("SELECT Id FROM RecordType ORDER BY Id")
            seen.append([r["Id"] for r in rows])
    assert seen[0] == seen[1]
    assert len(seen[0]) == 2
