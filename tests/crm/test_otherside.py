"""What people do in the CRM, and what identity does to customers."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from journeyport import crm
from journeyport.errors import StaleError
from journeyport.state import rejects

PACKAGED = Path(crm.__file__).with_name("salesforce.yaml")


@pytest.fixture
def pair(world, sandbox):
    """Two customers, matched and delivered; the ids of their Contacts."""
    ids = sandbox.add(
        "Contact",
        {"LastName": "One", "Email": "c1@example.org"},
        {"LastName": "Two", "Email": "c2@example.org"},
    )
    world.person("c1", 1)
    world.person("c2", 2)
    world.write()
    world.deliver()
    return ids


def later(sandbox, contact_id):
    """More than the overlap later somebody edits something else: the reading moves."""
    sandbox.admin("PUT", "/clock", {"advance": 3600})
    sandbox.edit("Contact", contact_id, Title=f"Title {contact_id[:15]}")


def of(sandbox, name, key):
    field = {"Contact": "JP_Customer_Id__c", "JP_Engagement__c": "JP_Engagement_Id__c"}
    return next(r for r in sandbox.rows(name) if r[field[name]] == f"ABCDEF:{key}")


def test_an_edit_of_a_field_of_ours_is_put_right_the_next_night(world, sandbox, pair):
    sandbox.edit("Contact", pair[0], JP_Last_Topic__c="Mine", LastName="Married")
    report = world.night()
    assert [a.after for a in report.plan.actions] == [{"JP_Last_Topic__c": "Billing"}]
    row = of(sandbox, "Contact", "c1")
    assert (row["JP_Last_Topic__c"], row["LastName"]) == ("Billing", "Married")
    assert world.night().plan.actions == ()


def test_a_stamp_that_people_took_off_is_put_back_on_the_same_contact(
    world, sandbox, pair
):
    sandbox.edit("Contact", pair[0], JP_Customer_Id__c=None)
    world.people[0].engagements.append(world.engagement(9, day=2))
    world.write()
    world.night()
    assert of(sandbox, "Contact", "c1")["Id"] == pair[0]


def test_what_people_deleted_is_never_made_again(world, sandbox, pair):
    gone = of(sandbox, "JP_Engagement__c", "e-00001")["Id"]
    sandbox.remove("JP_Engagement__c", gone)
    sandbox.remove("Contact", pair[1])
    for person in world.people:
        person.engagements[0]["topic"] = "Delivery"
    world.write()
    report = world.night()
    assert report.plan.counts["JP_Engagement__c"]["gone"] == 1
    assert [r["Id"] for r in sandbox.rows("Contact")] == [pair[0]]
    names = {r["JP_Engagement_Id__c"] for r in sandbox.rows("JP_Engagement__c")}
    assert names == {"ABCDEF:e-00002"}
    assert world.night().plan.actions == ()


def test_what_people_took_out_of_the_bin_is_ours_again(world, sandbox, pair):
    gone = of(sandbox, "JP_Engagement__c", "e-00001")["Id"]
    sandbox.remove("JP_Engagement__c", gone)
    world.night()
    sandbox.admin("POST", f"/rows/JP_Engagement__c/{gone}/undelete", {})
    world.people[0].engagements[0]["topic"] = "Delivery"
    world.write()
    world.night()
    row = of(sandbox, "JP_Engagement__c", "e-00001")
    assert (row["Id"], row["JP_Topic__c"]) == (gone, "Delivery")


def test_a_customer_follows_its_contact_when_people_merge_it(world, sandbox):
    loser, master = sandbox.add(
        "Contact",
        {"LastName": "Old", "Email": "c1@example.org"},
        {"LastName": "New", "Email": "other@example.org"},
    )
    world.person("c1", 1)
    world.write()
    world.deliver()
    body = {"losers": [loser], "values": {}}
    sandbox.admin("POST", f"/rows/Contact/{master}/merge", body)
    world.night()
    assert of(sandbox, "Contact", "c1")["Id"] == master
    assert len(sandbox.rows("Contact")) == 1
    assert of(sandbox, "JP_Engagement__c", "e-00001")["JP_Contact__c"] == master
    rows = world.lake.read_snapshot("customer_crm_ids").to_pylist()
    spans = sorted((r["valid_from"], r["record_id"], r["valid_to"]) for r in rows)
    assert [(s[1], s[2] is None) for s in spans] == [(loser, False), (master, True)]
    assert world.night().plan.actions == ()


def test_a_customer_follows_over_two_merges_of_one_day(world, sandbox):
    """Merging does not rewrite the MasterRecordId of what was merged before."""
    first, second, last = sandbox.add(
        "Contact",
        {"LastName": "Old", "Email": "c1@example.org"},
        {"LastName": "Newer", "Email": "newer@example.org"},
        {"LastName": "Newest", "Email": "newest@example.org"},
    )
    world.person("c1", 1)
    world.write()
    world.deliver()
    for loser, master in ((first, second), (second, last)):
        sandbox.admin("POST", f"/rows/Contact/{master}/merge", {"losers": [loser]})
    world.night()
    assert of(sandbox, "Contact", "c1")["Id"] == last
    assert of(sandbox, "JP_Engagement__c", "e-00001")["JP_Contact__c"] == last
    assert world.night().plan.actions == ()


def test_contacts_of_two_customers_merged_by_people_are_reported(world, sandbox, pair):
    sandbox.admin("POST", f"/rows/Contact/{pair[0]}/merge", {"losers": [pair[1]]})
    plan = world.night().plan
    assert (plan.matches["ONE"], plan.matches["TAKEN"]) == (1, 1)
    assert of(sandbox, "Contact", "c1")["Id"] == pair[0]


def test_two_customers_become_one_and_their_children_follow(world, sandbox, pair):
    one, two = world.people
    one.engagements += two.engagements
    world.people = [one]
    world.redirects = [("ABCDEF", "c2", "c1")]
    world.write()
    world.night()
    loser = of(sandbox, "Contact", "c2")
    assert (loser["Id"], loser["JP_Merged_Into__c"]) == (pair[1], "ABCDEF:c1")
    assert loser["LastName"] == "Two"
    assert of(sandbox, "Contact", "c1")["JP_Engagement_Count__c"] == 2
    parents = {r["JP_Contact__c"] for r in sandbox.rows("JP_Engagement__c")}
    assert parents == {pair[0]}
    open_ = [
        r["customer_id"]
        for r in world.lake.read_snapshot("customer_crm_ids").to_pylist()
        if r["valid_to"] is None
    ]
    assert open_ == ["c1"]
    assert world.night().plan.actions == ()


def test_a_customer_takes_over_the_contact_of_the_one_it_has_replaced(world, sandbox):
    (held,) = sandbox.add("Contact", {"LastName": "One", "Email": "c1@example.org"})
    world.person("c1", 1)
    world.write()
    world.deliver()
    world.people[0].customer_id = "c8"
    world.redirects = [("ABCDEF", "c1", "c8")]
    world.write()
    world.night()
    (row,) = sandbox.rows("Contact")
    assert (row["Id"], row["JP_Customer_Id__c"]) == (held, "ABCDEF:c8")
    assert row["JP_Merged_Into__c"] is None
    assert world.night().plan.actions == ()


def test_verify_tells_drift_and_mends_nothing(world, sandbox, pair):
    sandbox.edit("Contact", pair[0], JP_Last_Topic__c="Mine")
    sandbox.remove("JP_Engagement__c", of(sandbox, "JP_Engagement__c", "e-00002")["Id"])
    with crm.connect(world.config) as org:
        mapping = crm.load_mapping(None)
        report = crm.verify(world.lake, world.state, org, mapping, clock=world.clock)
        assert org.calls.writes == 0
    assert not report.ok
    assert report.counts["Contact"] == {"drifted": 1, "in step": 1}
    assert report.fields["Contact"] == {"JP_Last_Topic__c": 1}
    assert report.counts["JP_Engagement__c"] == {"in step": 1, "gone": 1}
    assert of(sandbox, "Contact", "c1")["JP_Last_Topic__c"] == "Mine"


def test_a_key_that_people_took_off_is_put_back_though_nothing_else_changed(
    world, sandbox, pair
):
    sandbox.edit("Contact", pair[0], JP_Customer_Id__c=None)
    world.night()
    assert of(sandbox, "Contact", "c1")["Id"] == pair[0]
    assert world.night().plan.actions == ()


def test_what_is_past_its_retention_stays_and_is_named(world, sandbox, pair):
    """Nothing of ours deletes in the org: its owner does, by the file's record ids."""
    world.clock.advance(timedelta(days=392))
    plan = world.night().plan
    assert plan.actions == ()
    assert plan.counts["JP_Engagement__c"]["wanted"] == 1
    assert len(sandbox.rows("JP_Engagement__c")) == 2
    with crm.connect(world.config) as org:
        mapping = crm.load_mapping(None)
        report = crm.verify(world.lake, world.state, org, mapping, clock=world.clock)
    assert report.ok
    assert report.counts["JP_Engagement__c"] == {"in step": 1, "past retention": 1}
    old = of(sandbox, "JP_Engagement__c", "e-00002")["Id"]
    ((name, key, record_id, what, fields),) = report.findings
    assert (name, record_id, what, fields) == (
        "JP_Engagement__c",
        old,
        "past retention",
        "",
    )
    assert key == "ABCDEF:e-00002"


@pytest.mark.parametrize("stamp", ["OTHER1:somebody", None])
def test_a_contact_that_people_gave_to_another_stays_theirs_on_every_night(
    world, sandbox, pair, stamp
):
    """TAKEN or MANY, the customer has no Contact until people give it one."""
    if stamp is None:  # and which of the two is meant, nobody can tell
        sandbox.add("Contact", {"LastName": "Double", "Email": "c1@example.org"})
    theirs = {"JP_Customer_Id__c": stamp, "JP_Last_Topic__c": "theirs"}
    sandbox.edit("Contact", pair[0], **theirs)
    later(sandbox, pair[1])
    for number in (9, 10):
        report = world.night()
        assert report.plan.matches["ONE"] == 1
        (row,) = [r for r in sandbox.rows("Contact") if r["Id"] == pair[0]]
        assert {name: row[name] for name in theirs} == theirs
        world.people[0].engagements.append(world.engagement(number, day=2))
        world.write()
    open_ = [
        r["customer_id"]
        for r in world.lake.read_snapshot("customer_crm_ids").to_pylist()
        if r["valid_to"] is None
    ]
    assert open_ == ["c2"]
    sandbox.edit("Contact", pair[0], JP_Customer_Id__c="ABCDEF:c1")
    world.night()
    assert of(sandbox, "Contact", "c1")["JP_Engagement_Count__c"] == 3


def test_a_stamp_that_people_move_after_the_plan_makes_it_stale(world, sandbox, pair):
    """Else one person's summary would land on another's Contact."""
    world.people[0].engagements.append(world.engagement(9, day=2, topic="Private"))
    world.write()
    with crm.connect(world.config) as org:
        plan = world.plan(org)
        sandbox.edit("Contact", pair[1], JP_Customer_Id__c=None)
        sandbox.edit("Contact", pair[0], JP_Customer_Id__c="ABCDEF:c2")
        with pytest.raises(StaleError, match="changed in the CRM"):
            world.apply(org, plan)
    row = of(sandbox, "Contact", "c2")
    assert (row["Id"], row["JP_Last_Topic__c"]) == (pair[0], "Billing")
    assert row["JP_Engagement_Count__c"] == 1


def test_an_edit_that_a_plan_is_not_about_is_put_right_by_one_that_is(
    world, sandbox, pair
):
    held = of(sandbox, "JP_Engagement__c", "e-00001")["Id"]
    sandbox.edit("JP_Engagement__c", held, JP_Topic__c="Mine")
    sandbox.edit("Contact", pair[0], JP_Last_Topic__c="Mine")
    later(sandbox, pair[1])
    other = of(sandbox, "JP_Engagement__c", "e-00002")
    sandbox.edit("JP_Engagement__c", other["Id"], OwnerId=other["OwnerId"])
    with crm.connect(world.config) as org:
        assert world.plan(org, days=[("ABCDEF", date(2026, 3, 1))]).actions == ()
    assert world.night().applied.updated == {"Contact": 1, "JP_Engagement__c": 1}
    assert of(sandbox, "JP_Engagement__c", "e-00001")["JP_Topic__c"] == "Billing"
    assert of(sandbox, "Contact", "c1")["JP_Last_Topic__c"] == "Billing"


def test_a_contact_given_away_while_a_plan_was_about_others_stays_given_away(
    world, sandbox, pair
):
    sandbox.edit("Contact", pair[0], JP_Customer_Id__c="OTHER1:somebody")
    later(sandbox, pair[1])
    with crm.connect(world.config) as org:
        world.plan(org, customers=[("ABCDEF", "c2")])
    world.people[0].engagements.append(world.engagement(9, day=2))
    world.write()
    report = world.night()
    assert (report.plan.matches["TAKEN"], report.applied) == (1, None)
    stamps = {r["JP_Customer_Id__c"] for r in sandbox.rows("Contact")}
    assert stamps == {"OTHER1:somebody", "ABCDEF:c2"}


def test_a_customer_whose_contact_was_deleted_for_good_has_none(world, sandbox, pair):
    """No look can tell: nothing of it is left, not even in the bin."""
    sandbox.remove("Contact", pair[0])
    sandbox.admin("DELETE", "/bin/Contact")
    for number in (8, 9):
        world.people[0].engagements.append(world.engagement(number, day=2))
        world.write()
        plan = world.night().plan
        assert (plan.matches["ONE"], plan.matches["NONE"]) == (1, 1)
        assert plan.actions == ()
    open_ = [
        r["customer_id"]
        for r in world.lake.read_snapshot("customer_crm_ids").to_pylist()
        if r["valid_to"] is None
    ]
    assert open_ == ["c2"]
    (new,) = sandbox.add("Contact", {"LastName": "Back", "Email": "c1@example.org"})
    world.night()
    assert of(sandbox, "Contact", "c1")["Id"] == new
    assert of(sandbox, "JP_Engagement__c", "e-00009")["JP_Contact__c"] == new


def test_a_key_that_people_took_off_an_engagement_is_put_back(world, sandbox, pair):
    held = of(sandbox, "JP_Engagement__c", "e-00001")["Id"]
    sandbox.edit("JP_Engagement__c", held, JP_Engagement_Id__c=None)
    world.night()
    assert of(sandbox, "JP_Engagement__c", "e-00001")["Id"] == held
    assert len(sandbox.rows("JP_Engagement__c")) == 2
    assert world.night().plan.actions == ()


@pytest.mark.parametrize("then", ["as it was", "erased at the source"])
def test_a_refusal_goes_once_its_row_is_as_accepted_or_delivered_no_longer(
    world, sandbox, pair, tmp_path, then
):
    own = tmp_path / "own.yaml"
    whole = PACKAGED.read_text().replace(
        "{from: topic, nulls: clear, cut: true}", "topic"
    )
    own.write_text(whole)
    world.config = replace(world.config, mapping_path=own)
    world.deliver()
    later(sandbox, pair[0])
    other = of(sandbox, "JP_Engagement__c", "e-00002")
    sandbox.edit("JP_Engagement__c", other["Id"], OwnerId=other["OwnerId"])
    world.night()
    (row,) = world.people[0].engagements
    row["topic"] = "x" * 300
    world.write()
    world.night()
    assert [r["record_key"] for r in rejects.all_rows(world.state)] == [
        "ABCDEF:e-00001"
    ]
    row["topic"] = "Billing"
    if then == "erased at the source":
        world.people[0].engagements = [world.engagement(9, day=2)]
    world.write()
    with crm.connect(world.config) as org:
        world.plan(org, days=[("ABCDEF", date(2026, 3, 1))])
    assert rejects.all_rows(world.state)
    world.night()
    assert rejects.all_rows(world.state) == []


def test_engagements_follow_a_key_that_people_moved_to_another_contact(
    world, sandbox, pair
):
    """The ledger still knows the old Contact when it is asked what has arrived."""
    sandbox.edit("Contact", pair[0], JP_Customer_Id__c=None)
    (new,) = sandbox.add(
        "Contact", {"LastName": "Right", "JP_Customer_Id__c": "ABCDEF:c1"}
    )
    world.night()
    assert of(sandbox, "Contact", "c1")["Id"] == new
    assert of(sandbox, "JP_Engagement__c", "e-00001")["JP_Contact__c"] == new
