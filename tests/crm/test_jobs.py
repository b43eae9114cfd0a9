"""The five jobs as functions: what they tell, what their files hold, wrong turns."""

import csv
import stat
from datetime import timedelta

import pytest

from journeyport import crm_jobs
from journeyport.deployment import Deployment
from journeyport.errors import (
    ArgumentError,
    NotProvedError,
    QuotaError,
    SettingsError,
    StaleError,
)
from journeyport.settings import Settings
from journeyport.state.receipts import Actor, all_rows

VALUES = ("Person 1", "@example.org", "Billing", "ABCDEF:c")


@pytest.fixture
def place(world, sandbox, tmp_path):
    """An installation of the world's lake and state, in front of the sandbox."""
    settings = Settings(
        home=tmp_path,
        accounts=("ABCDEF",),
        salesforce_domain="acme.my",
        salesforce_client_id=sandbox.facts["consumer_key"],
        salesforce_client_secret=sandbox.facts["consumer_secret"],
        salesforce_base_url=sandbox.url,
    )
    place = Deployment(lambda: settings)
    vars(place).update(lake=world.lake, state=world.state, clock=world.clock)
    return place


@pytest.fixture
def run(place):
    return place.work(Actor("ada", "UI"))


@pytest.fixture
def proved(world, sandbox):
    """Two people with a Contact each, of two proved days."""
    for n in (1, 2):
        email = f"c{n}@example.org"
        sandbox.add("Contact", {"LastName": f"Person {n}", "Email": email})
        world.person(f"c{n}", n, email=email)
    world.write()
    world.prove()


def read(told: crm_jobs.Told) -> list[dict[str, str]]:
    assert stat.S_IMODE(told.file.stat().st_mode) == 0o600
    with told.file.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_each_job_tells_one_paragraph_counts_and_its_rows(
    place, run, proved, world, sandbox
):
    told = [crm_jobs.check(place)]
    planned = crm_jobs.plan(place, run, reason="a look")
    assert planned.rows["Contact to change"] == 2
    assert planned.rows["JP_Engagement__c to make"] == 2
    topic = {"field": "JP_Topic__c", "before": "", "after": "Billing"}
    rows = [r for r in read(planned) if r["field"] == "JP_Topic__c"]
    assert len(rows) == 2
    assert all(topic.items() <= row.items() for row in rows)
    assert {row["outcome"] for row in rows} == {"planned"}
    first = crm_jobs.apply(place, run, plan_id=planned.plan_id, reason="first")
    assert (first.wrote, first.rows["JP_Engagement__c made"]) == (True, 2)
    second = crm_jobs.apply(
        place, run, plan_id=planned.plan_id, reason="right", confirm=True
    )
    assert not second.wrote
    assert {row["outcome"] for row in read(second)} == {"written"}
    (held,) = sandbox.rows("Contact")[:1]
    sandbox.edit("Contact", held["Id"], JP_Last_Topic__c="Mine")
    drifted = crm_jobs.verify(place)
    assert not drifted.ok
    (row,) = read(drifted)
    assert (row["finding"], row["fields"]) == ("drifted", "JP_Last_Topic__c")
    undone = crm_jobs.undo(place, run, plan_id=planned.plan_id, reason="rehearsal")
    assert undone.rows["JP_Engagement__c deleted"] == 2
    assert undone.rows["fields left to people"] == 1
    kept = [row for row in read(undone) if row["outcome"] == "kept"]
    assert [(row["record_id"], row["field"], row["reason"]) for row in kept] == [
        (held["Id"], "JP_Last_Topic__c", "edited by people since")
    ]
    assert {row["outcome"] for row in read(undone)} == {"taken back", "kept"}
    for each in (*told, planned, first, second, drifted, undone):
        assert "\n" not in each.paragraph
        shown = f"{each.paragraph} {dict(each.rows)} {dict(each.facts)}"
        assert not [value for value in VALUES if value in shown]
        wrote = each.paragraph.startswith(("Wrote to", "Took"))
        assert wrote == each.wrote
    deeds = [(r["action"], r["user_name"], r["reason"]) for r in all_rows(world.state)]
    assert [deed for deed in deeds if deed[0] in {"APPLY", "UNDO"}] == [
        ("APPLY", "ada", "first"),
        ("APPLY", "ada", "right"),
        ("UNDO", "ada", "rehearsal"),
    ]


def test_an_apply_and_an_undo_that_broke_off_leave_a_receipt_and_are_published(
    place, run, proved, world, sandbox
):
    def matched() -> int:
        ids = world.lake.read("customer_crm_ids", columns=["valid_to"])
        return ids.column("valid_to").null_count

    made = crm_jobs.plan(place, run)
    fault = {"kind": "request_limit", "path": "/composite", "after": 1, "times": None}
    sandbox.admin("POST", "/faults", fault)
    with pytest.raises(QuotaError):
        crm_jobs.apply(place, run, plan_id=made.plan_id, reason="first")
    assert matched() == 2
    assert {row["outcome"] for row in read(made)} == {"written", "planned"}
    sandbox.admin("DELETE", "/faults")
    crm_jobs.apply(place, run, plan_id=made.plan_id, reason="again", confirm=True)
    sandbox.admin("POST", "/faults", fault)
    with pytest.raises(QuotaError):
        crm_jobs.undo(place, run, plan_id=made.plan_id, reason="rehearsal")
    deeds = [(r["action"], r["reason"], r["counts"]) for r in all_rows(world.state)]
    told = {(action, reason): counts for action, reason, counts in deeds}
    assert told["APPLY", "first"]["updated"] == {"Contact": 2}
    assert told["APPLY", "first"]["status"] == "PARTIAL"
    assert told["UNDO", "rehearsal"]["deleted"] == {"JP_Engagement__c": 2}
    assert told["UNDO", "rehearsal"]["restored"] == {}


def test_a_month_is_one_plan_and_says_what_it_leaves_out(place, run, proved, world):
    world.clock.advance(timedelta(days=31))
    told = crm_jobs.plan(place, run, last_month=True, reason="March")
    assert "covers 2 account-days (29 more are not proved and are left out)" in (
        told.paragraph
    )
    assert told.rows["JP_Engagement__c to make"] == 2


@pytest.mark.parametrize(
    ("days", "error", "words"),
    [
        ({"start": "2031-01-01"}, ArgumentError, "has not begun yet"),
        ({"end": "2026-03-01"}, ArgumentError, "needs a --from"),
        ({"start": "2026-03-02", "end": "2026-03-01"}, ArgumentError, "swap them"),
        ({"start": "March"}, ArgumentError, "is no day"),
        ({"start": "2026-03-01", "last_month": True}, ArgumentError, "not both"),
        ({"last_month": True}, NotProvedError, "there is nothing to plan"),
    ],
)
def test_days_that_make_no_sense_are_one_sentence(place, run, days, error, words):
    with pytest.raises(error, match=words):
        crm_jobs.plan(place, run, **days)


def test_a_plan_of_nobody_knows_and_a_missing_crm_are_one_sentence(place, run, proved):
    with pytest.raises(ArgumentError, match="There is no plan"):
        crm_jobs.apply(place, run, plan_id="nonsense", reason="why not")
    made = crm_jobs.plan(place, run)
    with pytest.raises(ArgumentError, match="needs a reason"):
        crm_jobs.apply(place, run, plan_id=made.plan_id, reason=" ")
    made.file.with_suffix(".json").write_text('{"form": 1, "org": "c1@examp')
    with pytest.raises(StaleError, match="damaged") as caught:
        crm_jobs.apply(place, run, plan_id=made.plan_id, reason="why not")
    assert "c1@" not in str(caught.value)
    vars(place)["crm"] = None
    with pytest.raises(SettingsError, match="No CRM is set up"):
        crm_jobs.check(place)


def test_a_cell_is_never_a_formula(place, run, proved, world):
    world.people[0].engagements[0]["topic"] = "=HYPERLINK(1)"
    world.write()
    world.prove()
    rows = read(crm_jobs.plan(place, run))
    cells = {row["after"] for row in rows if row["field"] == "JP_Topic__c"}
    assert cells == {"'=HYPERLINK(1)", "Billing"}


def test_keeping_somebody_back_leaves_a_receipt_that_does_not_say_whom(
    place, run, world
):
    crm_jobs.suppress(run, "ABCDEF:somebody", author="dpo", reason="objected")
    crm_jobs.unsuppress(run, "ABCDEF:somebody", reason="a mistake")
    kept = all_rows(world.state)
    assert [r["action"] for r in kept] == ["SUPPRESS", "UNSUPPRESS"]
    assert "somebody" not in str(kept)
