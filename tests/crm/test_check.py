"""Sign-in, check, scaffold: before anything is written."""

import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from journeyport import crm
from journeyport.crm.scaffold import NAMESPACE
from journeyport.errors import SettingsError

PACKAGED = Path(crm.__file__).with_name("salesforce.yaml")


def mapping(folder: Path, *changes: tuple[str, str]) -> crm.Mapping:
    text = PACKAGED.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    own = folder / "own.yaml"
    own.write_text(text)
    return crm.load_mapping(own)


def findings(report, level="ERROR"):
    return {(x.subject, x.finding): x.remedy for x in report.lines if x.level == level}


def test_the_packaged_mapping_fits_an_org_with_the_package(world, sandbox):
    world.person("c1", 1)
    world.write()
    with crm.connect(world.config) as org:
        report = crm.check(org, crm.load_mapping(), world.lake)
        assert org.calls.writes == 0
    assert report.ok, report.text()
    assert "SANDBOX" in report.text()


def test_what_acts_on_written_records_is_named_for_custom_objects_too(world, sandbox):
    """A real org names a custom object by its id in triggers, flows and rules."""
    with crm.connect(world.config) as org:
        report = crm.check(org, crm.load_mapping())
    found = {subject: [] for subject in ("Contact", "JP_Engagement__c")}
    for line in report.lines:
        if "acts on what is written" in line.finding:
            found[line.subject].append(line.finding.split(" is active")[0])
    assert found == {
        "Contact": ["the trigger OnContact", "the flow Greet_contact"],
        "JP_Engagement__c": [
            "the trigger OnEngagement",
            "the flow Route_engagement",
            "the validation rule No_forbidden_topic",
        ],
    }


@pytest.mark.parametrize(
    ("change", "subject", "words"),
    [
        (("  JP_Engagement__c:\n", "  JP_Nothing__c:\n"), "JP_Nothing__c", "no such"),
        (
            ("JP_Direction__c: direction", "JP_Way__c: direction"),
            "JP_Engagement__c.JP_Way__c",
            "no such field",
        ),
        (
            ("JP_Start__c: start_date", "JP_Start__c: direction"),
            "JP_Engagement__c.JP_Start__c",
            "is of type datetime",
        ),
        (
            ("external_id: JP_Engagement_Id__c", "external_id: JP_Status__c"),
            "JP_Engagement__c.JP_Status__c",
            "External ID",
        ),
        (
            (
                "    merged_into: JP_Merged_Into__c\n",
                "    merged_into: JP_Merged_Into__c\n    creates: true\n",
            ),
            "Contact.LastName",
            "required and not mapped",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_with_its_remedy(
    world, tmp_path, change, subject, words
):
    if "creates" in change[1]:
        own = mapping(tmp_path, ("    creates: false\n", ""), change)
    else:
        own = mapping(tmp_path, change)
    with crm.connect(world.config) as org:
        report = crm.check(org, own)
    found = findings(report)
    assert not report.ok
    assert any(s == subject and words in f for s, f in found), report.text()
    assert all(found.values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("mapping: 1", "mapping: 2"), "must be 1"),
        (("    key: account_id", "    kee: account_id"), "keys nobody knows: kee"),
        (("identifiers: [emailAddresses]", "identifiers: [phoneNumbers]"), "phone"),
        (("object: Contact, key", "object: Lead, key"), "not mapped: Lead"),
        (("JP_Status__c: status", "Status: status"), "needs `overwrite`"),
        (("JP_Status__c: status", "JP_Status__c: [1]"), "must be a mapping"),
    ],
)
def test_a_mapping_that_says_nonsense_is_refused_in_one_sentence(
    tmp_path, change, words
):
    with pytest.raises(SettingsError, match=words):
        mapping(tmp_path, change)


def test_sql_that_does_not_run_or_reaches_out_is_refused(world, tmp_path):
    world.write()
    for source in (
        "SELECT nothing FROM engagements",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM raw_engagements WHERE true",
    ):
        own = mapping(tmp_path)
        rule = replace(own.objects[1], source=source)
        own = replace(own, objects=(own.objects[0], rule))
        with crm.connect(world.config) as org, pytest.raises(SettingsError):
            crm.check(org, own, world.lake)


def test_the_package_has_every_mapped_field_and_no_right_to_delete(tmp_path):
    own = crm.load_mapping()
    report = crm.scaffold(own, tmp_path)
    names = {path.name for path in report.files}
    for rule in own.objects:
        for name in rule.names:
            assert f"{name}.field-meta.xml" in names
    for path in report.files:
        if path.suffix == ".xml":
            ET.parse(path)
    (rights,) = [p for p in report.files if "permissionset" in p.name]
    text = rights.read_text()
    assert "<allowDelete>true" not in text
    assert "<modifyAllRecords>true" not in text
    assert text.count("<allowDelete>false") == len(own.objects) + 1  # reads Account
    assert "<allowEdit>false</allowEdit><allowRead>true" in text
    key = next(p for p in report.files if p.name.startswith("JP_Engagement_Id__c"))
    assert "<externalId>true" in key.read_text()
    assert "<unique>true" in key.read_text()


def test_the_package_leaves_out_what_no_org_deploys(tmp_path):
    """Custom fields of tasks are Activity's; tasks have a user permission, no rights
    of an object or of its standard fields; a required field has no right at all."""
    first = "      JP_First_Contact__c: first_contact_at\n"
    theirs = "      {}: {{from: last_topic, overwrite: empty_only}}\n"
    standard = "".join(theirs.format(name) for name in ("LastName", "Title"))
    own = mapping(
        tmp_path, ("enabled: false", "enabled: true"), (first, first + standard)
    )
    report = crm.scaffold(own, tmp_path)
    places = {"/".join(path.parts[-3:]) for path in report.files}
    assert "Activity/fields/JP_Engagement_Id__c.field-meta.xml" in places
    assert not [place for place in places if place.startswith("Task/")]
    (rights,) = [p for p in report.files if "permissionset" in p.name]
    tree = ET.parse(rights)
    spaces = {"m": NAMESPACE}
    fields = {e.text for e in tree.iterfind(".//m:fieldPermissions/m:field", spaces)}
    assert {f for f in fields if f.startswith("Task.")} == {"Task.JP_Engagement_Id__c"}
    assert "Contact.Title" in fields
    assert "Contact.LastName" not in fields
    objects = {e.text for e in tree.iterfind(".//m:objectPermissions/m:object", spaces)}
    assert objects == {"Account", "Contact", "JP_Engagement__c", "JP_Participant__c"}
    users = {e.text for e in tree.iterfind(".//m:userPermissions/m:name", spaces)}
    assert users == {"ApiEnabled", "EditTask"}


def test_a_key_that_does_not_fit_its_field_is_an_error(world, sandbox):
    world.person("c" * 80, 1)
    world.write()
    with crm.connect(world.config) as org:
        report = crm.check(org, crm.load_mapping(), world.lake)
    short = {s for s, f in findings(report) if "keys of up to 87" in f}
    assert short == {"Contact.JP_Customer_Id__c"}


def test_what_this_user_may_not_see_is_said(world, sandbox):
    fault = {"kind": "request_limit", "path": "/tooling/query", "times": 9}
    sandbox.admin("POST", "/faults", fault)
    with crm.connect(world.config) as org:
        report = crm.check(org, crm.load_mapping())
    notes = findings(report, "NOTE")
    unseen = "whether validation rules are active cannot be seen by this user"
    assert "View Setup" in notes[("Contact", unseen)]
    assert report.ok


def test_plain_http_is_refused_off_this_machine(world):
    with pytest.raises(SettingsError, match="plain http"):
        replace(world.config, base_url="http://crm.example.com")


def test_a_login_that_cannot_work_is_refused_before_anything_is_sent():
    for wrong in (
        {"domain": "login", "consumer_key": "k", "consumer_secret": "s"},
        {"domain": "acme.my", "consumer_key": "", "consumer_secret": "s"},
        {"domain": "acme.my", "consumer_key": "k"},
    ):
        with pytest.raises(SettingsError):
            crm.Login(**wrong)


def test_sign_in_by_jwt(tmp_path, config, run_sandbox):
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    for command in (
        ["openssl", "genrsa", "-out", str(key), "2048"],
        ["openssl", "rsa", "-in", str(key), "-pubout", "-out", str(public)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    sandbox = run_sandbox("--jwt-public-key", str(public))
    login = crm.Login(
        domain="acme.my",
        consumer_key=sandbox.facts["consumer_key"],
        username=sandbox.facts["username"],
        private_key_file=str(key),
        audience="test",
    )
    with crm.connect(replace(config(sandbox), login=login)) as org:
        assert org.org.id == sandbox.facts["org_id"]
