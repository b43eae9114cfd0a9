"""SOQL as the sandbox speaks it."""

import pytest

from salesforce_sandbox import soql
from salesforce_sandbox.errors import ApiError


@pytest.fixture
def people(client):
    """Three Contacts, of whom one has no e-mail and one an account."""
    account = client.call("POST", "sobjects/Account", json={"Name": "Engines"}).json()
    client.contact(
        LastName="Lovelace",
        FirstName="Ada",
        Email="ada@example.org",
        AccountId=account["id"],
        JP_Engagement_Count__c=3,
        JP_First_Contact__c="2026-03-01T10:00:00Z",
        Birthdate="1990-12-10",
    )
    client.contact(LastName="Babbage", FirstName="Charles", JP_Engagement_Count__c=1)
    client.contact(
        LastName="O'Hara_",
        Email="o'hara@example.org",
        JP_Open_Engagement__c=True,
        JP_First_Contact__c="2026-03-02T10:00:00+02:00",
    )
    return client


def names(client, where):
    found = client.query(f"SELECT LastName FROM Contact WHERE {where} ORDER BY Id")
    return [record["LastName"][0] for record in found]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("LastName = 'lovelace'", "L"),
        ("LastName != 'Lovelace'", "BO"),
        ("Email != 'ada@example.org'", "BO"),
        ("Email = null", "B"),
        ("Email <> null", "LO"),
        ("Email LIKE '%@EXAMPLE.org'", "LO"),
        ("LastName LIKE '_abbage'", "B"),
        (r"LastName LIKE '%\_'", "O"),
        (r"LastName = 'O\'Hara_'", "O"),
        ("LastName IN ('Lovelace', 'Babbage')", "LB"),
        ("LastName NOT IN ('Lovelace')", "BO"),
        ("Email NOT IN ('ada@example.org')", "BO"),
        ("Email IN (null, 'ada@example.org')", "LB"),
        ("JP_Engagement_Count__c > 1", "L"),
        ("JP_Engagement_Count__c >= 1 AND JP_Engagement_Count__c < 3", "B"),
        ("NOT JP_Engagement_Count__c = 3", "BO"),
        ("NOT (Email = null OR LastName = 'Lovelace')", "O"),
        ("(Email = null OR Email LIKE 'ada%') AND LastName < 'C'", "B"),
        ("JP_Open_Engagement__c = true", "O"),
        ("JP_Open_Engagement__c = FALSE", "LB"),
        ("JP_First_Contact__c < 2026-03-02T00:00:00Z", "L"),
        ("JP_First_Contact__c = 2026-03-02T08:00:00.000+0000", "O"),
        ("JP_First_Contact__c >= 2026-03-01T10:00:00+00:00", "LO"),
        ("Birthdate = 1990-12-10", "L"),
        ("Account.Name = 'engines'", "L"),
        ("Contact.Account.Name = null", "BO"),
        ("CreatedDate = TODAY", "LBO"),
        ("CreatedDate < TODAY", ""),
        ("CreatedDate = LAST_N_DAYS:2", "LBO"),
        ("AccountId IN (SELECT Id FROM Account WHERE Name = 'Engines')", "L"),
        ("AccountId NOT IN (SELECT Id FROM Account)", "BO"),
        ("CreatedBy.Name = 'Integration User'", "LBO"),
    ],
)
def test_a_condition_finds_what_it_says(people, where, expected):
    assert "".join(names(people, where)) == expected


def test_ids_match_in_both_lengths(people):
    (found,) = people.query("SELECT Id FROM Contact WHERE LastName = 'Babbage'")
    long = found["Id"]
    assert len(long) == 18
    for form in (long, long[:15]):
        assert names(people, f"Id = '{form}'") == ["B"]


def test_parents_are_nested_and_null_where_there_is_none(people):
    found = people.query(
        "SELECT Id, Account.Name, Account.Owner.Name FROM Contact ORDER BY LastName"
    )
    assert [r["Account"] and r["Account"]["Name"] for r in found] == [
        None,
        "Engines",
        None,
    ]
    ada = found[1]
    assert ada["Account"]["Owner"]["Name"] == "Integration User"
    assert ada["attributes"] == {
        "type": "Contact",
        "url": f"/services/data/v66.0/sobjects/Contact/{ada['Id']}",
    }
    assert ada["Account"]["attributes"]["type"] == "Account"


def test_order_puts_nulls_first_unless_told(people):
    def ordered(by):
        found = people.query(f"SELECT LastName FROM Contact ORDER BY {by}")
        return "".join(r["LastName"][0] for r in found)

    assert ordered("Email") == "BLO"
    assert ordered("Email NULLS LAST") == "LOB"
    assert ordered("Email DESC") == "BOL"
    assert ordered("Email DESC NULLS LAST, LastName") == "OLB"


def test_limit_and_offset_cut_the_answer(people):
    found = people.query("SELECT LastName FROM Contact ORDER BY Name LIMIT 1 OFFSET 1")
    assert [r["LastName"] for r in found] == ["Babbage"]


def test_count_answers_a_number_and_no_records(people):
    soql = "SELECT COUNT() FROM Contact WHERE Email != null"
    assert people.get("query", params={"q": soql}).json() == {
        "totalSize": 2,
        "done": True,
        "records": [],
    }


def test_aggregates_group(people):
    (found,) = people.query(
        "SELECT COUNT(Id), MAX(JP_Engagement_Count__c) top, MIN(LastName) FROM Contact"
    )
    assert found["expr0"] == 3
    assert (found["top"], found["expr1"]) == (3, "Babbage")
    grouped = people.query(
        "SELECT JP_Open_Engagement__c, COUNT(Id) n FROM Contact "
        "GROUP BY JP_Open_Engagement__c ORDER BY JP_Open_Engagement__c"
    )
    assert [(r["JP_Open_Engagement__c"], r["n"]) for r in grouped] == [
        (False, 2),
        (True, 1),
    ]


def test_fields_all_answers_every_field(people):
    (found,) = people.query("SELECT FIELDS(ALL) FROM Contact LIMIT 1")
    assert {"Id", "LastName", "JP_Customer_Id__c", "SystemModstamp"} <= set(found)


def test_a_long_answer_comes_in_pages(people):
    people.admin("PUT", "limits", json={"page_size": 2})
    first = people.get("query", params={"q": "SELECT Name FROM Contact"}).json()
    assert (first["totalSize"], first["done"], len(first["records"])) == (3, False, 2)
    people.contact(LastName="Later")
    path = first["nextRecordsUrl"].removeprefix("/services/data/v66.0/")
    second = people.get(path).json()
    assert (second["totalSize"], second["done"], len(second["records"])) == (3, True, 1)
    assert "nextRecordsUrl" not in second


def test_a_cursor_that_is_not_open_is_refused(client):
    """INVALID_QUERY_LOCATOR: "Core Data Types Used in API Calls", ExceptionCode."""
    answer = client.get("query/0r8xx0000000000AAA-2000")
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_only_query_all_sees_the_recycle_bin(people):
    (ada,) = people.query("SELECT Id FROM Contact WHERE FirstName = 'Ada'")
    people.call("DELETE", f"sobjects/Contact/{ada['Id']}")
    query = "SELECT LastName, IsDeleted FROM Contact WHERE FirstName = 'Ada'"
    assert people.query(query) == []
    (found,) = people.query(query, door="queryAll")
    assert found["IsDeleted"] is True
    assert len(people.query(f"{query} ALL ROWS")) == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT Nothing FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Nothing = 1", "INVALID_FIELD"),
        ("SELECT Nothing__r.Id FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE CreatedDate > '2026-01-01'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE LastName = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Id FROM ValidationRule", "INVALID_TYPE"),
        ("SELECT Id", "MALFORMED_QUERY"),
        ("SELECT FROM Contact", "MALFORMED_QUERY"),
        ("", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Id = 'x", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact LIMIT many", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact nonsense here", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email = TOMORROWISH", "MALFORMED_QUERY"),
        ("SELECT Id, COUNT(Email) FROM Contact", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Contact", "MALFORMED_QUERY"),
        (
            "SELECT Id FROM Contact WHERE Id = null OR Id = null AND Id = null",
            "MALFORMED_QUERY",
        ),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(client, query, code):
    """MALFORMED_QUERY, INVALID_FIELD, INVALID_TYPE, INVALID_QUERY_FILTER_OPERATOR:
    SOAP API Developer Guide, "Core Data Types Used in API Calls", ExceptionCode."""
    answer = client.get("query", params={"q": query})
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_a_child_query_is_named_as_not_spoken(client):
    query = "SELECT Id, (SELECT Id FROM Contacts) FROM Account"
    answer = client.get("query", params={"q": query})
    assert answer.json()[0]["errorCode"] == "MALFORMED_QUERY"


def test_the_reader_keeps_brackets_apart():
    tree = soql.parse_condition("A = 1 AND (B = 2 OR NOT C = 3)")
    assert isinstance(tree, soql.Both)
    assert tree.word == "AND"
    assert isinstance(tree.parts[1], soql.Both)
    assert isinstance(tree.parts[1].parts[1], soql.Not)


@pytest.mark.parametrize("text", ["A =", "= 1", "A = 1)", "A ? 1", "A NOT 1", "(A = 1"])
def test_the_reader_never_fails_otherwise_than_in_words(text):
    with pytest.raises(ApiError, match=r"."):
        soql.parse_condition(text)


def test_administrators_rules_can_be_read(client):
    rules = client.query(
        "SELECT DeveloperName FROM DuplicateRule WHERE IsActive = true"
    )
    assert {r["DeveloperName"] for r in rules} == {"Same_Mobile", "Same_Title"}
    found = client.query(
        "SELECT ValidationName, Active FROM ValidationRule WHERE "
        "EntityDefinitionId = 'Contact' ORDER BY ValidationName",
        door="tooling/query",
    )
    assert [(r["ValidationName"], r["Active"]) for r in found] == [
        ("Asleep", False),
        ("Phone_Needs_Plus", True),
    ]


def test_rules_of_a_custom_object_are_found_by_its_id_and_not_by_its_name(client):
    """Tooling API, "ValidationRule" and "EntityDefinition"."""
    (entity,) = client.query(
        "SELECT DurableId FROM EntityDefinition WHERE "
        "QualifiedApiName = 'JP_Engagement__c'"
    )
    assert entity["DurableId"].startswith("01I")
    query = "SELECT ValidationName FROM ValidationRule WHERE"
    for where in (
        "EntityDefinition.QualifiedApiName = 'JP_Engagement__c'",
        f"EntityDefinitionId = '{entity['DurableId']}'",
    ):
        (rule,) = client.query(f"{query} {where}", door="tooling/query")
        assert rule["ValidationName"] == "Ends_After_Start"
    by_name = f"{query} EntityDefinitionId = 'JP_Engagement__c'"
    assert client.query(by_name, door="tooling/query") == []


def test_the_organization_says_what_it_is(client, address):
    (org,) = client.query(
        "SELECT Id, Name, IsSandbox, OrganizationType FROM Organization"
    )
    assert org["Id"] == address.org_id
    assert org["IsSandbox"] is True
