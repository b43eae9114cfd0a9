"""Keeping somebody out: by any name the list may know them, whatever they become."""

import pytest
from people import table_of

from journeyport import crm
from journeyport.errors import StaleError
from journeyport.state.identity import IdentityVersion, record_version


@pytest.fixture
def ids(world, sandbox):
    """Two customers that meet a Contact each, not delivered yet; the Contacts' ids."""
    world.person("c1", 1)
    world.person("c2", 2)
    world.write()
    return sandbox.add(
        "Contact",
        {"LastName": "One", "Email": "c1@example.org"},
        {"LastName": "Two", "Email": "c2@example.org"},
    )


def keep_out(world, subject):
    crm.suppress(world.state, subject, author="dpo", reason="no", clock=world.clock)


def engagements(sandbox):
    return {
        r["JP_Engagement_Id__c"].removeprefix("ABCDEF:"): r
        for r in sandbox.rows("JP_Engagement__c")
    }


def become_one(world):
    """Identity finds that c2 is c1."""
    one, two = world.people
    one.engagements += two.engagements
    world.people = [one]
    world.redirects = [("ABCDEF", "c2", "c1")]
    world.write()


def reach_version(world, number):
    record_version(
        world.state, "ABCDEF", version=IdentityVersion(number, "", published=True),
        events=(), run_id="r", now=world.clock.now(),
    )  # fmt: skip


def split(world, sandbox, *, version):
    """Identity finds that c3 was not c2."""
    world.people[1].engagements = [world.engagement(2)]
    world.person("c3", 9)
    sandbox.add("Contact", {"LastName": "Three", "Email": "c3@example.org"})
    world.write()
    event = {
        "account_id": "ABCDEF",
        "event_number": 1,
        "customer_id": "c2",
        "event": "SPLIT",
        "other_customer_id": "c3",
        "identity_version": version,
    }
    history = table_of("customer_id_history", [event])
    world.lake.write_snapshot("customer_id_history", history, run_id="r")
    reach_version(world, version)


def test_who_comes_out_of_somebody_kept_out_is_kept_out_too(world, sandbox, ids):
    reach_version(world, 4)
    keep_out(world, "ABCDEF:c2")
    world.people[1].engagements.append(world.engagement(9))
    world.deliver()
    split(world, sandbox, version=5)
    with crm.connect(world.config) as org:
        plan = world.plan(org)
        assert plan.counts["Contact"]["suppressed"] == 2
        assert plan.actions == ()
        crm.unsuppress(world.state, "ABCDEF:c2")
        keep_out(world, "ABCDEF:c2")  # looked at anew: c3 is another person
        world.apply(org, world.plan(org))
    assert set(engagements(sandbox)) == {"e-00001", "e-00009"}


def test_a_part_that_came_out_before_is_not_kept_out_with_the_other(
    world, sandbox, ids
):
    split(world, sandbox, version=5)
    keep_out(world, "ABCDEF:c2")
    world.deliver()
    assert set(engagements(sandbox)) == {"e-00001", "e-00009"}


@pytest.mark.parametrize("named", ["customer", "contact"])
def test_somebody_kept_out_stays_out_as_part_of_another_customer(
    world, sandbox, ids, named
):
    world.deliver()
    keep_out(world, {"customer": "ABCDEF:c2", "contact": ids[1]}[named])
    secret = world.engagement(9, day=2, topic="Secret")
    world.people[1].engagements.append(secret)
    world.write()
    assert world.night().plan.actions == ()
    become_one(world)
    plan = world.night().plan
    assert plan.actions == ()
    assert plan.counts["Contact"]["suppressed"] == 1
    assert "e-00009" not in engagements(sandbox)
    topics = {row["JP_Last_Topic__c"] for row in sandbox.rows("Contact")}
    assert topics == {"Billing"}
    crm.unsuppress(world.state, {"customer": "ABCDEF:c2", "contact": ids[1]}[named])
    world.night()
    assert engagements(sandbox)["e-00009"]["JP_Contact__c"] == ids[0]


@pytest.mark.parametrize("length", [15, 18])
def test_a_contact_that_is_kept_out_keeps_its_customer_out(world, sandbox, ids, length):
    """Though the Contact is not stamped yet when it is named."""
    keep_out(world, ids[0][:length])
    world.deliver()
    stamps = {row["Id"]: row["JP_Customer_Id__c"] for row in sandbox.rows("Contact")}
    assert stamps == {ids[0]: None, ids[1]: "ABCDEF:c2"}
    assert set(engagements(sandbox)) == {"e-00002"}


@pytest.mark.parametrize("subject", ["contact", "former id"])
def test_whom_the_list_names_after_the_plan_is_kept_out_of_its_apply(
    world, sandbox, ids, subject
):
    world.deliver()
    become_one(world)
    for number in (8, 9):
        world.people[0].engagements.append(world.engagement(number, day=2))
    world.write()
    with crm.connect(world.config) as org:
        plan = world.plan(org)
        keep_out(world, ids[0][:15] if subject == "contact" else "ABCDEF:c2")
        report = world.apply(org, plan)
    assert (report.writes, report.suppressed) == (0, len(plan.actions))
    assert set(engagements(sandbox)) == {"e-00001", "e-00002"}


def test_a_plan_is_refused_when_a_customer_took_in_another_since(world, sandbox, ids):
    """The list names the other; the planned rows are the same as before."""
    world.deliver()
    one, two = world.people
    one.engagements[0]["status"] = "ACTIVE"
    two.engagements = []
    world.write()
    with crm.connect(world.config) as org:
        plan = world.plan(org)
        keep_out(world, "ABCDEF:c2")
        become_one(world)
        with pytest.raises(StaleError, match="rows changed in the lake"):
            world.apply(org, plan)


def test_what_is_put_on_the_list_says_whether_anybody_goes_by_it(world, sandbox, ids):
    world.deliver()
    world.redirects = [("ABCDEF", "c0", "c1")]
    world.write()
    record = sandbox.rows("JP_Engagement__c")[0]["Id"]
    for known in ("ABCDEF:c1", "ABCDEF:c0", ids[0], ids[0][:15], record):
        assert crm.is_known(world.lake, world.state, known)
    for unknown in ("ABCDEF:c3", "UVWXYZ:c1", "c1", ids[0][:14]):
        assert not crm.is_known(world.lake, world.state, unknown)


def test_what_people_did_to_somebody_kept_out_is_put_right_once_they_may_pass(
    world, sandbox, ids
):
    """Be it that the list named them before the plan, or between plan and apply."""
    world.deliver()
    keep_out(world, "ABCDEF:c1")
    sandbox.edit("Contact", ids[0], JP_Last_Topic__c="Mine")
    sandbox.edit("Contact", ids[1], JP_Last_Topic__c="Mine")
    with crm.connect(world.config) as org:
        plan = world.plan(org)
        assert [a.key for a in plan.actions] == ["ABCDEF:c2"]
        keep_out(world, "ABCDEF:c2")
        assert world.apply(org, plan).status == "APPLIED"
    sandbox.admin("PUT", "/clock", {"advance": 3600})
    sandbox.add("Contact", {"LastName": "Three"})
    assert world.night().plan.actions == ()
    for subject in ("ABCDEF:c1", "ABCDEF:c2"):
        crm.unsuppress(world.state, subject)
    world.night()
    topics = {r["JP_Last_Topic__c"] for r in sandbox.rows("Contact") if r["Email"]}
    assert topics == {"Billing"}
