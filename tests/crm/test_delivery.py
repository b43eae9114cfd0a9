"""Match, plan, apply: what reaches the org, and what does not."""

import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from journeyport import crm
from journeyport.errors import StaleError
from journeyport.state import rejects

PACKAGED = Path(crm.__file__).with_name("salesforce.yaml")


def contact(n: int, **more: object) -> dict[str, object]:
    return {"LastName": f"Person {n}", "Email": f"c{n}@example.org", **more}


def test_a_matched_contact_gets_its_summary_and_its_engagements(world, sandbox):
    (held,) = sandbox.add("Contact", contact(1))
    world.person("c1", 1, 2)
    world.write()
    report = world.deliver()
    (row,) = sandbox.rows("Contact")
    assert (row["Id"], row["JP_Customer_Id__c"]) == (held, "ABCDEF:c1")
    assert row["JP_Engagement_Count__c"] == 2
    assert row["LastName"] == "Person 1"
    rows = sandbox.rows("JP_Engagement__c")
    assert {r["JP_Engagement_Id__c"] for r in rows} == {
        "ABCDEF:e-00001",
        "ABCDEF:e-00002",
    }
    assert {r["JP_Contact__c"] for r in rows} == {held}
    assert report.status == "APPLIED"


def test_a_second_run_even_a_day_later_makes_no_write_call(world, sandbox):
    sandbox.add("Contact", contact(1), contact(2))
    world.person("c1", 1, 2)
    world.person("c2", 3)
    world.person("c3", 4)
    world.write()
    world.deliver()
    before = [sandbox.rows(name) for name in ("Contact", "JP_Engagement__c")]
    for _ in range(2):
        world.clock.advance(timedelta(days=1))
        report = world.night()
        assert report.is_approved
        assert report.plan.actions == ()
        assert report.applied is None
    assert [sandbox.rows(name) for name in ("Contact", "JP_Engagement__c")] == before


def test_nobody_new_is_made_and_unsure_people_are_never_sent(world, sandbox):
    sandbox.add("Contact", contact(2), contact(3), contact(3), contact(4))
    world.person("c1", 1)  # meets nobody
    world.person("c2", 2, resolution="PROVISIONAL")
    world.person("c3", 3)  # meets two
    world.write()
    report = world.night()
    assert report.plan.actions == ()
    assert report.plan.matches == {
        "ONE": 0,
        "NONE": 1,
        "MANY": 1,
        "TAKEN": 0,
        "CONTESTED": 0,
    }
    assert len(sandbox.rows("Contact")) == 4
    assert not sandbox.rows("JP_Engagement__c")


def test_the_account_number_decides_before_the_e_mail(world, sandbox):
    one, _ = sandbox.add(
        "Contact",
        {"LastName": "Number", "JP_Account_Number__c": "K-7"},
        contact(1),
    )
    world.person("c1", 1, account_number="K-7")
    world.write()
    world.deliver()
    assert {r["JP_Contact__c"] for r in sandbox.rows("JP_Engagement__c")} == {one}


def test_a_contact_that_two_accounts_claim_at_once_goes_to_neither(world, sandbox):
    sandbox.add("Contact", contact(1))
    world.person("c1", 1, email="c1@example.org")
    world.person("c9", 2, account="UVWXYZ", email="c1@example.org")
    world.write()
    assert world.night().plan.matches["CONTESTED"] == 2
    (row,) = sandbox.rows("Contact")
    assert row["JP_Customer_Id__c"] is None


def test_who_was_stamped_first_keeps_the_contact(world, sandbox):
    sandbox.add("Contact", contact(1))
    world.person("c1", 1, email="c1@example.org")
    world.write()
    world.deliver()
    world.person("c9", 2, account="UVWXYZ", email="c1@example.org")
    world.write()
    plan = world.night().plan
    assert (plan.matches["ONE"], plan.matches["TAKEN"]) == (1, 1)
    (row,) = sandbox.rows("Contact")
    assert row["JP_Customer_Id__c"] == "ABCDEF:c1"


def test_the_first_apply_writes_25_records_and_waits(world, sandbox):
    sandbox.add("Contact", *(contact(n) for n in range(40)))
    for n in range(40):
        world.person(f"c{n}", n)
    world.write()
    with crm.connect(world.config) as org:
        plan = world.plan(org)
        assert len(plan.actions) == 80
        first = world.apply(org, plan)
        assert (first.status, first.writes) == ("AWAITING_CONFIRMATION", 25)
        again = world.apply(org, plan)
        assert (again.status, again.writes) == ("AWAITING_CONFIRMATION", 0)
        assert world.night().applied is None
        rest = world.apply(org, plan, confirm=True)
        assert (rest.status, rest.writes) == ("APPLIED", 55)
    assert len(sandbox.rows("JP_Engagement__c")) == 40


def test_the_night_only_plans_until_an_apply_was_approved(world, sandbox):
    sandbox.add("Contact", contact(1))
    world.person("c1", 1)
    world.write()
    report = world.night()
    assert not report.is_approved
    assert len(report.plan.actions) == 2
    assert not sandbox.rows("JP_Engagement__c")
    world.deliver()
    world.people[0].engagements.append(world.engagement(2))
    world.write()
    report = world.night()
    assert report.applied is not None
    assert report.applied.created == {"JP_Engagement__c": 1}
    assert report.applied.updated == {"Contact": 1}


def test_a_plan_is_a_file_only_its_owner_reads_and_holds_the_values(world, sandbox):
    sandbox.add("Contact", contact(1))
    world.person("c1", 1)
    world.write()
    plan = world.night().plan
    assert stat.S_IMODE(plan.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(plan.path.parent.stat().st_mode) == 0o700
    assert "Billing" in plan.path.read_text()
    for told in (plan.text(), str(plan.facts)):
        assert not [v for v in ("ABCDEF:c1", "Person 1", "Billing") if v in told]


def test_a_plan_keeps_the_mapping_it_was_made_under(world, sandbox):
    sandbox.add("Contact", contact(1))
    world.person("c1", 1)
    world.write()
    plan = world.night().plan
    kept = crm.planfile.load(world.config.plan_dir, plan.plan_id)
    assert kept == plan
    assert kept.mapping.hash == plan.mapping_hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rows", "rows changed in the lake"),
        ("values", "changed in the CRM"),
        ("mapping", "another mapping"),
        ("age", "expired"),
    ],
)
def test_a_plan_is_refused_once_something_moved(
    world, sandbox, tmp_path, change, words
):
    (held,) = sandbox.add("Contact", contact(1))
    world.person("c1", 1)
    world.write()
    plan = world.night().plan
    if change == "rows":
        world.people[0].engagements[0]["topic"] = "Delivery"
        world.write()
    elif change == "values":
        sandbox.edit("Contact", held, JP_Last_Topic__c="Something else")
    elif change == "mapping":
        own = tmp_path / "own.yaml"
        own.write_text(PACKAGED.read_text().replace("days: 400", "days: 300"))
        world.config = replace(world.config, mapping_path=own)
    else:
        world.clock.advance(timedelta(days=2))
    with crm.connect(world.config) as org, pytest.raises(StaleError, match=words):
        world.apply(org, plan)
    assert not sandbox.rows("JP_Engagement__c")


def test_a_refusal_is_kept_with_object_key_field_code_and_words(world, sandbox):
    """An administrator's rule refuses one record; the others arrive.

    https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm
    (FIELD_CUSTOM_VALIDATION_EXCEPTION)
    """
    sandbox.add("Contact", contact(1))
    world.person("c1", 1, 2)
    world.people[0].engagements[0]["topic"] = "Forbidden"
    world.write()
    report = world.deliver()
    assert not report.writes  # the rest went out with the first 25
    (kept,) = rejects.all_rows(world.state)
    assert kept["object_name"] == "JP_Engagement__c"
    assert kept["record_key"] == "ABCDEF:e-00001"
    assert kept["field"] == "JP_Topic__c"
    assert kept["code"] == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    assert "Ask the supervisor" in kept["reason"]
    assert len(sandbox.rows("JP_Engagement__c")) == 1
    world.people[0].engagements[0]["topic"] = "Billing"
    world.write()
    report = world.night()  # its row changed: tried at once
    assert report.applied is not None, report.text()
    assert report.applied.created == {"JP_Engagement__c": 1}, report.text()
    assert rejects.all_rows(world.state) == []
    assert len(sandbox.rows("JP_Engagement__c")) == 2


def test_what_the_org_would_refuse_is_foreseen_and_never_sent(world, sandbox, tmp_path):
    sandbox.add("Contact", contact(1))
    world.person("c1", 1, 2)
    world.people[0].engagements[0]["topic"] = "x" * 300
    world.write()
    own = tmp_path / "own.yaml"
    text = PACKAGED.read_text().replace(
        "{from: topic, nulls: clear, cut: true}", "topic"
    )
    own.write_text(text)
    world.config = replace(world.config, mapping_path=own)
    plan = world.night().plan
    assert [(f.key, f.code) for f in plan.foreseen] == [
        ("ABCDEF:e-00001", "STRING_TOO_LONG")
    ]
    assert "x" * 300 not in plan.path.read_text()
    world.deliver()
    (kept,) = rejects.all_rows(world.state)
    assert kept["field"] == "JP_Topic__c"
    assert len(sandbox.rows("JP_Engagement__c")) == 1


def test_participants_and_tasks_are_sent_where_they_are_enabled(
    world, sandbox, tmp_path
):
    (held,) = sandbox.add("Contact", contact(1))
    world.person("c1", 1, 2)
    world.write()
    own = tmp_path / "own.yaml"
    own.write_text(PACKAGED.read_text().replace("enabled: false", "enabled: true"))
    world.config = replace(world.config, mapping_path=own)
    with crm.connect(world.config) as org:
        report = crm.check(org, crm.load_mapping(own), world.lake)
        assert report.ok, report.text()
    world.deliver()
    rows = sandbox.rows("Task")
    assert {r["WhoId"] for r in rows} == {held}
    assert {r["Status"] for r in rows} == {"Completed"}
    assert {r["CallDurationInSeconds"] for r in rows} == {420}
    assert world.night().plan.actions == ()


def test_where_people_are_person_accounts_the_account_is_written(
    world, run_sandbox, config, tmp_path
):
    sandbox = run_sandbox("--person-accounts")
    (kind,) = [
        r["Id"] for r in sandbox.rows("RecordType") if r["Name"] == "Person Account"
    ]
    person = {"LastName": "One", "PersonEmail": "c1@example.org", "RecordTypeId": kind}
    (held,) = sandbox.add("Account", person)
    world.person("c1", 1)
    world.write()
    own = tmp_path / "own.yaml"
    text = PACKAGED.read_text()
    own.write_text(text.replace("person_account: false", "person_account: true"))
    world.config = replace(config(sandbox), mapping_path=own)
    world.deliver()
    (row,) = [r for r in sandbox.rows("Account") if r["Id"] == held]
    assert row["JP_Customer_Id__c"] == "ABCDEF:c1"
    (engagement,) = sandbox.rows("JP_Engagement__c")
    assert engagement["JP_Account__c"] == held
    assert world.night().plan.actions == ()


def test_old_plans_go_with_their_values(world, sandbox):
    sandbox.add("Contact", contact(1))
    world.person("c1", 1)
    world.write()
    old = world.night().plan
    world.clock.advance(timedelta(days=31))
    new = world.night().plan
    assert not old.path.exists()
    assert new.path.exists()
