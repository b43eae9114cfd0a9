"""The command, as a process of its own."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests
from typer.testing import CliRunner

from salesforce_sandbox.cli import app
from salesforce_sandbox.errors import SchemaError
from salesforce_sandbox.schema import load, merge
from salesforce_sandbox.serve import Address, running

CONTACTS = [
    {"LastName": "Lovelace", "Email": "ada@example.org"},
    {"LastName": "Twice", "Email": "t@example.org"},
    {"LastName": "Twice", "Email": "t@example.org"},
]
COMMAND = (sys.executable, "-c", "from salesforce_sandbox.cli import main; main()")


@contextmanager
def serving(path, *options):
    process = subprocess.Popen(
        [*COMMAND, "serve", "--database", str(path / "org.db"), *options],
        stdout=subprocess.PIPE,
        text=True,
        # whoever started the tests in the background had them ignore it
        preexec_fn=lambda: signal.signal(  # noqa: PLW1509 - one system call
            signal.SIGINT, signal.SIG_DFL
        ),
    )
    with process:
        line = json.loads(process.stdout.readline())
        try:
            yield line, process
        finally:
            if process.poll() is None:
                process.terminate()


def refusal(path, *options):
    database = str(path / "org.db")
    done = CliRunner().invoke(app, ["serve", "--database", database, *options])
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    return done.stderr


def test_one_line_says_how_to_reach_it_and_contacts_are_seeded_once(tmp_path):
    contacts = tmp_path / "contacts.json"
    contacts.write_text(json.dumps(CONTACTS))
    lines = []
    for _ in range(2):
        with serving(tmp_path, "--seed-contacts", str(contacts)) as (line, process):
            lines.append(line)
            assert set(line) >= {
                "url",
                "admin_url",
                "consumer_key",
                "consumer_secret",
                "org_id",
            }
            rows = requests.get(f"{line['admin_url']}/rows/Contact", timeout=30).json()
            assert len(rows) == 3
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
            assert process.stdout.read() == ""
    assert lines[0]["org_id"] == lines[1]["org_id"]


def test_a_production_org_with_person_accounts_says_so(tmp_path, connect):
    options = ("--production", "--person-accounts")
    with serving(tmp_path, *options) as (line, _):
        client = connect(Address(**line))
        (org,) = client.query("SELECT IsSandbox FROM Organization")
        fields = client.get("sobjects/Account/describe").json()["fields"]
    assert org["IsSandbox"] is False
    assert "PersonEmail" in {f["name"] for f in fields}


def test_an_interrupt_ends_it_without_a_traceback(tmp_path):
    with serving(tmp_path) as (_, process):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130


def test_a_host_beyond_loopback_is_refused(tmp_path):
    assert "is not loopback" in refusal(tmp_path, "--host", "0.0.0.0")


def test_a_taken_port_is_named(tmp_path, address):
    port = address.url.rsplit(":", 1)[1]
    assert f"Port {port}" in refusal(tmp_path, "--port", port)


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "is not JSON"), ("{}", "a JSON list"), ("[{}]", "REQUIRED_FIELD_MISSING")],
)
def test_a_wrong_file_of_contacts_is_one_sentence(tmp_path, content, words):
    path = tmp_path / "contacts.json"
    path.write_text(content)
    assert words in refusal(tmp_path, "--seed-contacts", str(path))


def test_a_missing_file_is_one_sentence(tmp_path):
    said = refusal(tmp_path, "--schema", str(tmp_path / "none.yaml"))
    assert "cannot be read" in said


def test_a_schema_file_adds_fields_and_objects(tmp_path):
    path = tmp_path / "more.yaml"
    path.write_text(
        "objects:\n"
        "  Contact:\n"
        "    fields:\n"
        "      Loyalty__c: {type: double, precision: 5, scale: 2}\n"
        "  Shop__c:\n"
        "    fields:\n"
        "      Key__c: {external_id: true, unique: true}\n"
    )
    schema = load(path)
    assert schema.objects["Contact"].fields["Loyalty__c"].scale == 2
    assert schema.objects["Contact"].fields["LastName"].required is True
    assert schema.objects["Shop__c"].fields["Key__c"].length == 255
    prefixes = [o.prefix for o in schema.objects.values()]
    assert len(set(prefixes)) == len(prefixes)


@pytest.mark.parametrize(
    "text",
    [
        "- a list",
        "objects: {Contact: {colour: red}}",
        "objects: {Contact: {fields: {X__c: {type: smell}}}}",
        "objects: {Contact: {fields: {X__c: {size: 5}}}}",
        "objects: {Contact: {fields: {X__c: {type: reference, reference_to: [No]}}}}",
        "objects: {Contact: {validation: [{nome: x}]}}",
        "objects: {",
    ],
)
def test_a_wrong_schema_file_is_refused_in_words(tmp_path, text):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(SchemaError, match=r"\w"):
        load(path)


def test_an_org_grows_with_its_schema(tmp_path, schema, connect):
    with running(tmp_path / "org.db", schema) as (address, _):
        connect(address).contact(LastName="Old")
    more = {"objects": {"Contact": {"fields": {"New__c": {"length": 10}}}}}
    with running(tmp_path / "org.db", merge(schema, more)) as (address, _):
        client = connect(address)
        client.contact(LastName="New", New__c="x")
        found = client.query("SELECT New__c FROM Contact ORDER BY Id")
        assert [r["New__c"] for r in found] == [None, "x"]


def test_describe_says_what_the_schema_declares(client):
    """Describe: REST API Developer Guide, "sObject Describe"."""
    body = client.get("sobjects/Contact/describe").json()
    fields = {f["name"]: f for f in body["fields"]}
    key = fields["JP_Customer_Id__c"]
    assert (key["type"], key["length"]) == ("string", 64)
    assert key["externalId"] is key["unique"] is key["idLookup"] is True
    assert key["custom"] is key["nillable"] is True
    assert fields["LastName"]["nillable"] is False
    assert fields["Name"]["createable"] is fields["Id"]["updateable"] is False
    lookup = fields["AccountId"]
    assert lookup["referenceTo"] == ["Account"]
    assert lookup["relationshipName"] == "Account"
    values = [v["value"] for v in fields["LeadSource"]["picklistValues"]]
    assert values == ["Web", "Phone Inquiry", "Other"]
    children = {(c["childSObject"], c["field"]) for c in body["childRelationships"]}
    assert ("JP_Engagement__c", "JP_Contact__c") in children
    names = [o["name"] for o in client.get("sobjects").json()["sobjects"]]
    assert {"Contact", "JP_Engagement__c", "Organization"} <= set(names)
