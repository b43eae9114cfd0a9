"""Each rejection that the sandbox makes, beside Salesforce's own page for it."""

import pytest

ENGAGEMENT = "JP_Engagement__c"
UNKNOWN = "003Sb0zzzzzzzzzIAA"


@pytest.fixture
def refuse(client):
    """Upserts one Contact and returns the error that it met."""

    def attempt(sobject="Contact", key="JP_Customer_Id__c", **values):
        values = {key: "c1"} | values
        (result,) = client.upsert(sobject, key, [values])
        assert result["success"] is False
        (error,) = result["errors"]
        return error

    return attempt


def code_of(answer):
    (error,) = answer.json()
    return error["errorCode"]


def test_a_contact_needs_a_last_name(refuse):
    """REQUIRED_FIELD_MISSING: SOAP API Developer Guide, "Core Data Types Used in API
    Calls", StatusCode."""
    error = refuse(FirstName="Ada")
    assert error == {
        "statusCode": "REQUIRED_FIELD_MISSING",
        "message": "Required fields are missing: [LastName]",
        "fields": ["LastName"],
    }


def test_a_last_name_cannot_be_emptied(client):
    """REQUIRED_FIELD_MISSING: "Core Data Types Used in API Calls", StatusCode."""
    key = client.contact()
    answer = client.call("PATCH", f"sobjects/Contact/{key}", json={"LastName": ""})
    assert (answer.status_code, code_of(answer)) == (400, "REQUIRED_FIELD_MISSING")


def test_a_text_beyond_its_length_is_refused(refuse):
    """STRING_TOO_LONG: "Core Data Types Used in API Calls", StatusCode."""
    error = refuse(LastName="x" * 81)
    assert error["statusCode"] == "STRING_TOO_LONG"
    assert error["message"].endswith("(max length=80)")
    assert error["fields"] == ["LastName"]


@pytest.mark.parametrize("email", ["nobody", "a@b", "a b@c.org", "@c.org", "a@-c.org"])
def test_a_wrong_email_is_refused(refuse, email):
    """INVALID_EMAIL_ADDRESS: "Core Data Types Used in API Calls", StatusCode."""
    error = refuse(LastName="X", Email=email)
    assert error["statusCode"] == "INVALID_EMAIL_ADDRESS"
    assert error["fields"] == ["Email"]


def test_a_value_outside_a_restricted_picklist_is_refused(refuse):
    """INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST: "Core Data Types Used in API Calls",
    StatusCode."""
    error = refuse(ENGAGEMENT, "JP_Engagement_Id__c", JP_Mood__c="Odd")
    assert error["statusCode"] == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    assert error["fields"] == ["JP_Mood__c"]


def test_an_open_picklist_takes_any_value(client):
    """Object Reference, "Picklist Field Type": unrestricted values are not enforced."""
    assert client.contact(LeadSource="Carrier Pigeon")


def test_a_number_beyond_its_digits_is_refused(refuse):
    """NUMBER_OUTSIDE_VALID_RANGE: "Core Data Types Used in API Calls", StatusCode."""
    error = refuse(LastName="X", JP_Engagement_Count__c=10**18)
    assert error["statusCode"] == "NUMBER_OUTSIDE_VALID_RANGE"


def test_an_unknown_field_is_refused(refuse):
    """INVALID_FIELD: "Core Data Types Used in API Calls", StatusCode."""
    error = refuse(LastName="X", Shoe_Size__c=9)
    assert error["statusCode"] == "INVALID_FIELD"
    assert (
        error["message"] == "No such column 'Shoe_Size__c' on sobject of type Contact"
    )


def test_a_field_without_write_access_is_refused(refuse):
    """INVALID_FIELD_FOR_INSERT_UPDATE: "Core Data Types Used in API Calls",
    StatusCode."""
    error = refuse(ENGAGEMENT, "JP_Engagement_Id__c", JP_Secret__c="x", Name="mine")
    assert error["statusCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    assert sorted(error["fields"]) == ["JP_Secret__c", "Name"]


def test_a_parent_that_is_not_there_is_refused(refuse):
    """INVALID_FIELD, "Foreign key external ID … not found": REST API Developer Guide,
    "Insert or Update (Upsert) a Record Using an External ID", on relationships."""
    parent = {"JP_Customer_Id__c": "nobody"}
    error = refuse(ENGAGEMENT, "JP_Engagement_Id__c", JP_Contact__r=parent)
    assert error == {
        "statusCode": "INVALID_FIELD",
        "message": "Foreign key external ID: nobody not found for field "
        "JP_Customer_Id__c in entity Contact",
        "fields": [],
    }


def test_a_parent_key_that_is_no_external_id_is_refused(refuse):
    """INVALID_FIELD: Object Reference, "Custom Fields", on external IDs."""
    parent = {"LastName": "X"}
    error = refuse(ENGAGEMENT, "JP_Engagement_Id__c", JP_Contact__r=parent)
    assert error["statusCode"] == "INVALID_FIELD"
    assert "does not match an External ID" in error["message"]


def test_an_unknown_relationship_is_refused(refuse):
    """INVALID_FIELD: "Core Data Types Used in API Calls", StatusCode."""
    error = refuse(ENGAGEMENT, "JP_Engagement_Id__c", Owner__r={"X__c": "1"})
    assert error["message"].startswith("No such column 'Owner__r'")


def test_a_second_record_with_a_unique_value_is_refused(client):
    """DUPLICATE_VALUE: "Core Data Types Used in API Calls", StatusCode."""
    first = client.contact(JP_Customer_Id__c="one")
    values = {"LastName": "Y", "JP_Customer_Id__c": "ONE"}
    answer = client.call("POST", "sobjects/Contact", json=values)
    assert (answer.status_code, code_of(answer)) == (400, "DUPLICATE_VALUE")
    assert answer.json()[0]["message"] == (
        "duplicate value found: JP_Customer_Id__c duplicates value on record with id: "
        + first
    )


def test_a_key_given_twice_in_one_call_is_refused_everywhere(client):
    """DUPLICATE_VALUE: SOAP API Developer Guide, "upsert()": a key that is matched
    several times is an error, and the record is neither inserted nor updated."""
    keys = ["a", "b", "A"]
    records = [{"JP_Customer_Id__c": k, "LastName": "X"} for k in keys]
    results = client.upsert("Contact", "JP_Customer_Id__c", records)
    assert [r["success"] for r in results] == [False, True, False]
    assert results[0]["errors"][0]["statusCode"] == "DUPLICATE_VALUE"
    assert "Duplicate external id specified" in results[2]["errors"][0]["message"]


def test_a_key_of_several_records_is_refused_in_collections(client):
    """DUPLICATE_EXTERNAL_ID: "Core Data Types Used in API Calls", StatusCode."""
    for _ in range(2):
        client.contact(JP_Account_Number__c="77")
    record = {"JP_Account_Number__c": "77", "LastName": "X"}
    (result,) = client.upsert("Contact", "JP_Account_Number__c", [record])
    assert result["errors"][0]["statusCode"] == "DUPLICATE_EXTERNAL_ID"


def test_a_key_of_several_records_answers_their_addresses(client):
    """300: REST API Developer Guide, "Status Codes and Error Responses"."""
    made = {client.contact(JP_Account_Number__c="77") for _ in range(2)}
    path = "sobjects/Contact/JP_Account_Number__c/77"
    for method in ("GET", "PATCH", "DELETE"):
        answer = client.call(method, path, json={"LastName": "Y"})
        assert answer.status_code == 300
        assert {a.rsplit("/", 1)[1] for a in answer.json()} == made


def test_an_upsert_without_its_key_is_refused(client):
    """MISSING_ARGUMENT: "Core Data Types Used in API Calls", StatusCode."""
    (result,) = client.upsert("Contact", "JP_Customer_Id__c", [{"LastName": "X"}])
    assert result["errors"][0]["statusCode"] == "MISSING_ARGUMENT"
    assert result["errors"][0]["message"] == "JP_Customer_Id__c not specified"


def test_an_update_without_an_id_is_refused(client):
    """MISSING_ARGUMENT: "Core Data Types Used in API Calls", StatusCode."""
    record = {"attributes": {"type": "Contact"}, "LastName": "X"}
    answer = client.call("PATCH", "composite/sobjects", json={"records": [record]})
    assert answer.json()[0]["errors"][0]["statusCode"] == "MISSING_ARGUMENT"


def test_an_upsert_by_a_field_that_is_no_external_id_is_not_found(client):
    """NOT_FOUND: REST API Developer Guide, "Insert or Update (Upsert) a Record Using
    an External ID"."""
    answer = client.call("PATCH", "sobjects/Contact/Email/a@b.org", json={})
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")
    assert "Provided external ID field does not exist" in answer.json()[0]["message"]


def test_the_key_may_not_stand_in_the_body_too(client):
    """INVALID_FIELD: REST API Developer Guide, "Insert or Update (Upsert) a Record
    Using an External ID": the field is in the address, not in the body."""
    body = {"LastName": "X", "JP_Customer_Id__c": "c1"}
    path = "sobjects/Contact/JP_Customer_Id__c/c1"
    answer = client.call("PATCH", path, json=body)
    assert (answer.status_code, code_of(answer)) == (400, "INVALID_FIELD")


def test_an_id_may_not_stand_in_the_body_of_an_update(client):
    """INVALID_FIELD: REST API Developer Guide, "Update a Record"."""
    key = client.contact()
    answer = client.call("PATCH", f"sobjects/Contact/{key}", json={"Id": key})
    assert (answer.status_code, code_of(answer)) == (400, "INVALID_FIELD")


def test_an_id_may_not_be_given_to_a_new_record(client):
    """INVALID_FIELD_FOR_INSERT_UPDATE: "Core Data Types Used in API Calls",
    StatusCode."""
    body = {"LastName": "X", "Id": UNKNOWN}
    answer = client.call("POST", "sobjects/Contact", json=body)
    assert code_of(answer) == "INVALID_FIELD_FOR_INSERT_UPDATE"


@pytest.mark.parametrize("key", ["nonsense", "001Sb0000000001IAA"])
def test_an_id_of_another_kind_is_refused(client, key):
    """MALFORMED_ID: "Core Data Types Used in API Calls", StatusCode."""
    record = {"attributes": {"type": "Contact"}, "Id": key, "LastName": "X"}
    answer = client.call("PATCH", "composite/sobjects", json={"records": [record]})
    assert answer.json()[0]["errors"][0]["statusCode"] == "MALFORMED_ID"


def test_a_lookup_to_another_kind_is_refused(refuse):
    """MALFORMED_ID: "Core Data Types Used in API Calls", StatusCode."""
    error = refuse(
        ENGAGEMENT, "JP_Engagement_Id__c", JP_Contact__c="001Sb0000000001IAA"
    )
    assert (error["statusCode"], error["fields"]) == ("MALFORMED_ID", ["JP_Contact__c"])


def test_a_lookup_to_nothing_is_refused(refuse):
    """INVALID_CROSS_REFERENCE_KEY: "Core Data Types Used in API Calls", StatusCode."""
    error = refuse(ENGAGEMENT, "JP_Engagement_Id__c", JP_Contact__c="003Sb0000000999")
    assert error["statusCode"] == "INVALID_CROSS_REFERENCE_KEY"


def test_a_lookup_to_a_deleted_record_is_refused(client, refuse):
    """ENTITY_IS_DELETED: "Core Data Types Used in API Calls", StatusCode."""
    gone = client.contact()
    client.call("DELETE", f"sobjects/Contact/{gone}")
    error = refuse(ENGAGEMENT, "JP_Engagement_Id__c", JP_Contact__c=gone)
    assert error["statusCode"] == "ENTITY_IS_DELETED"


def test_an_update_of_nothing_is_refused(client):
    """INVALID_CROSS_REFERENCE_KEY in Collections, 404 NOT_FOUND alone: REST API
    Developer Guide, "Status Codes and Error Responses"."""
    record = {"attributes": {"type": "Contact"}, "Id": "003Sb0000000999"}
    answer = client.call("PATCH", "composite/sobjects", json={"records": [record]})
    code = answer.json()[0]["errors"][0]["statusCode"]
    assert code == "INVALID_CROSS_REFERENCE_KEY"
    answer = client.call("PATCH", "sobjects/Contact/003Sb0000000999", json={})
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")


def test_an_update_of_a_deleted_record_is_refused(client):
    """ENTITY_IS_DELETED: "Core Data Types Used in API Calls", StatusCode."""
    key = client.contact()
    client.call("DELETE", f"sobjects/Contact/{key}")
    answer = client.call("PATCH", f"sobjects/Contact/{key}", json={"LastName": "Y"})
    assert (answer.status_code, code_of(answer)) == (404, "ENTITY_IS_DELETED")


def test_an_object_without_rights_takes_no_record(client):
    """CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY: "Core Data Types Used in API Calls",
    StatusCode."""
    answer = client.call("POST", "sobjects/Organization", json={"Name": "X"})
    assert code_of(answer) == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"


def test_an_object_without_rights_keeps_its_records(client):
    """INSUFFICIENT_ACCESS_OR_READONLY: "Core Data Types Used in API Calls",
    StatusCode."""
    (user, *_) = client.query("SELECT Id FROM User")
    answer = client.call("DELETE", f"sobjects/User/{user['Id']}")
    assert code_of(answer) == "INSUFFICIENT_ACCESS_OR_READONLY"


def test_a_true_validation_rule_refuses_with_its_own_words(refuse):
    """FIELD_CUSTOM_VALIDATION_EXCEPTION: "Core Data Types Used in API Calls",
    StatusCode."""
    error = refuse(LastName="X", Phone="0301234")
    assert error == {
        "statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "message": "A phone number starts with a plus.",
        "fields": ["Phone"],
    }


def test_a_rule_may_compare_two_fields(refuse):
    """FIELD_CUSTOM_VALIDATION_EXCEPTION: "Core Data Types Used in API Calls",
    StatusCode."""
    error = refuse(
        ENGAGEMENT,
        "JP_Engagement_Id__c",
        JP_Start__c="2026-05-02T10:00:00Z",
        JP_End__c="2026-05-02T09:00:00Z",
    )
    assert error["message"] == "An engagement ends after it starts."


def test_a_rule_that_is_not_active_refuses_nothing(client):
    assert client.contact(LastName="Anyone")


def test_a_duplicate_rule_that_blocks_always_blocks(client):
    """DUPLICATES_DETECTED: "Core Data Types Used in API Calls", StatusCode, and REST
    API Developer Guide, "Duplicate Rule Header"."""
    client.contact(MobilePhone="+49 170 1")
    body = {"LastName": "Y", "MobilePhone": "+49 170 1"}
    saving = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    for headers in ({}, saving):
        answer = client.call("POST", "sobjects/Contact", json=body, headers=headers)
        assert (answer.status_code, code_of(answer)) == (400, "DUPLICATES_DETECTED")


def test_a_duplicate_rule_that_alerts_can_be_saved_past(client):
    """REST API Developer Guide, "Duplicate Rule Header": allowSave."""
    client.contact(Title="Queen")
    body = {"LastName": "Y", "Title": "Queen"}
    refused = client.call("POST", "sobjects/Contact", json=body)
    saving = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    saved = client.call("POST", "sobjects/Contact", json=body, headers=saving)
    assert (code_of(refused), saved.status_code) == ("DUPLICATES_DETECTED", 201)


def test_a_full_org_takes_no_record(client, refuse):
    """STORAGE_LIMIT_EXCEEDED: "Core Data Types Used in API Calls", StatusCode."""
    client.admin("PUT", "limits", json={"DataStorageMB": 0})
    assert refuse(LastName="X")["statusCode"] == "STORAGE_LIMIT_EXCEEDED"


def test_a_locked_row_is_refused(client, refuse):
    """UNABLE_TO_LOCK_ROW: "Core Data Types Used in API Calls", StatusCode."""
    client.fault("row_lock")
    assert refuse(LastName="X")["statusCode"] == "UNABLE_TO_LOCK_ROW"


@pytest.mark.parametrize(
    ("sobject", "values"),
    [
        ("Contact", {"LastName": 5}),
        ("Contact", {"LastName": "X", "JP_First_Contact__c": "yesterday"}),
        ("Contact", {"LastName": "X", "JP_Engagement_Count__c": "many"}),
        ("Contact", {"LastName": "X", "JP_Open_Engagement__c": "perhaps"}),
        ("Contact", {"LastName": "X", "Birthdate": "2026-02-30"}),
        ("Contact", {"LastName": ["X"]}),
        ("JP_Engagement__c", {"JP_Contact__r": "c1"}),
    ],
)
def test_json_of_another_type_is_refused_whole(client, sobject, values):
    """JSON_PARSER_ERROR: REST API Developer Guide, "Status Codes and Error
    Responses", 400."""
    answer = client.call("POST", f"sobjects/{sobject}", json=values)
    assert (answer.status_code, code_of(answer)) == (400, "JSON_PARSER_ERROR")


@pytest.mark.parametrize("body", [b"{", b"[]", b"nonsense", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(client, body):
    """JSON_PARSER_ERROR: "Status Codes and Error Responses", 400."""
    answer = client.call("POST", "sobjects/Contact", data=body)
    assert (answer.status_code, code_of(answer)) == (400, "JSON_PARSER_ERROR")


def test_more_than_200_records_are_refused(client):
    """EXCEEDED_ID_LIMIT: "Upsert Records Using sObject Collections": up to 200."""
    record = {"attributes": {"type": "Contact"}, "LastName": "X"}
    body = {"records": [record] * 201}
    answer = client.call("POST", "composite/sobjects", json=body)
    assert (answer.status_code, code_of(answer)) == (400, "EXCEEDED_ID_LIMIT")


def test_a_record_without_a_type_is_refused(client):
    """JSON_PARSER_ERROR: "Upsert Records Using sObject Collections": each record
    must contain an attributes map with a type."""
    body = {"records": [{"LastName": "X"}]}
    answer = client.call("POST", "composite/sobjects", json=body)
    assert (answer.status_code, code_of(answer)) == (400, "JSON_PARSER_ERROR")


def test_a_record_of_another_type_is_refused(client):
    """INVALID_TYPE: "Upsert Records Using sObject Collections": only objects of the
    type in the address."""
    record = {"attributes": {"type": "Account"}, "JP_Customer_Id__c": "c1"}
    body = {"records": [record]}
    path = "composite/sobjects/Contact/JP_Customer_Id__c"
    answer = client.call("PATCH", path, json=body)
    assert answer.json()[0]["errors"][0]["statusCode"] == "INVALID_TYPE"


@pytest.mark.parametrize(
    "path", ["sobjects/Nothing", "sobjects/Nothing/describe", "nothing", "sobjects/x/y"]
)
def test_an_address_of_nothing_is_not_found(client, path):
    """NOT_FOUND: "Status Codes and Error Responses", 404."""
    answer = client.get(path)
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")


def test_a_method_that_does_not_fit_is_refused(client):
    """METHOD_NOT_ALLOWED: "Status Codes and Error Responses", 405."""
    answer = client.call("PUT", "limits")
    assert (answer.status_code, code_of(answer)) == (405, "METHOD_NOT_ALLOWED")


def test_a_request_without_a_session_is_refused(client):
    """INVALID_SESSION_ID: "Status Codes and Error Responses", 401."""
    answer = client.get("limits", headers={"Authorization": "Bearer stale"})
    assert answer.status_code == 401
    assert answer.json() == [
        {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}
    ]


def test_the_request_after_the_last_is_refused(client):
    """REQUEST_LIMIT_EXCEEDED: "Status Codes and Error Responses", 403."""
    client.admin("PUT", "limits", json={"DailyApiRequests": 2, "used": 0})
    answers = [client.get("limits") for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 403]
    assert code_of(answers[2]) == "REQUEST_LIMIT_EXCEEDED"
    assert answers[2].headers["Sforce-Limit-Info"] == "api-usage=2/2"
