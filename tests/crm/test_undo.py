"""Taking an apply back: people's edits stay, everything else is as before."""

import csv
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from journeyport import crm
from journeyport.crm import planfile, rowsfile
from journeyport.errors import StaleError, TransientError
from journeyport.state import crm_plans as planned

PACKAGED = Path(crm.__file__).with_name("salesforce.yaml").read_text()

FIRST_CONTACT = "      JP_First_Contact__c: first_contact_at\n"

MAPPINGS = {
    "packaged": PACKAGED,
    "a field more": PACKAGED.replace(
        FIRST_CONTACT,
        f"{FIRST_CONTACT}      Title: {{from: last_topic, overwrite: empty_only}}\n",
    ),
    "an object less": PACKAGED.replace(
        "  JP_Engagement__c:\n", "  JP_Engagement__c:\n    enabled: false\n", 1
    ),
}

SYSTEM = {"SystemModstamp", "LastModifiedDate", "LastModifiedById"}


def content(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in SYSTEM}


def newest(world) -> str:
    return planned.plans(world.state)[0].plan_id


def key_of(row: dict[str, Any]) -> str:
    return row.get("JP_Customer_Id__c") or row.get("JP_Engagement_Id__c")


def engagement_of(sandbox, number: int) -> dict[str, Any] | None:
    key = f"ABCDEF:e-{number:05d}"
    rows = sandbox.rows("JP_Engagement__c")
    return next((r for r in rows if r["JP_Engagement_Id__c"] == key), None)


@pytest.fixture
def pair(world, sandbox) -> list[str]:
    """Two people who have a Contact each and were not delivered yet."""
    world.person("c1", 1)
    world.person("c2", 2)
    world.write()
    return sandbox.add(
        "Contact",
        {"LastName": "One", "Email": "c1@example.org", "JP_Last_Topic__c": "Before"},
        {"LastName": "Two", "Email": "c2@example.org"},
    )


def test_undo_leaves_what_people_edited_and_brings_the_rest_back(world, sandbox, pair):
    before = {r["Id"]: r for r in sandbox.rows("Contact")}
    world.deliver()
    kept = next(
        r["Id"]
        for r in sandbox.rows("JP_Engagement__c")
        if r["JP_Engagement_Id__c"] == "ABCDEF:e-00002"
    )
    sandbox.edit("JP_Engagement__c", kept, JP_Agent__c="A person")
    sandbox.edit("Contact", pair[1], JP_Channels__c="Letter", Title="Dr")
    plan_id = newest(world)
    report = world.undo(plan_id)
    assert report.edits == 1
    assert [r["Id"] for r in sandbox.rows("JP_Engagement__c")] == [kept]
    after = {r["Id"]: r for r in sandbox.rows("Contact")}
    expected = {**before[pair[1]], "JP_Channels__c": "Letter", "Title": "Dr"}
    for held, now in ((before[pair[0]], after[pair[0]]), (expected, after[pair[1]])):
        assert content(now) == content(held)
    night = world.night()
    assert not night.is_approved
    assert night.applied is None
    with pytest.raises(StaleError, match="nothing in the org to take back"):
        world.undo(plan_id)


def test_what_was_written_unheard_is_taken_back_too(world, sandbox, pair):
    before = [content(row) for row in sandbox.rows("Contact")]
    plan = world.night().plan
    fault = {"kind": "lost_answer", "path": "/composite", "times": 9}
    sandbox.admin("POST", "/faults", fault)
    with crm.connect(world.config) as org, pytest.raises(TransientError):
        world.apply(org, plan)
    sandbox.admin("DELETE", "/faults")
    assert not planned.writes(world.state, plan.plan_id)
    assert [content(row) for row in sandbox.rows("Contact")] != before
    report = world.undo(plan.plan_id)
    assert report.restored == {"Contact": 2}
    assert [content(row) for row in sandbox.rows("Contact")] == before


def test_a_plan_that_was_never_applied_has_nothing_to_take_back(world, sandbox, pair):
    first = world.night().plan
    world.deliver()  # another plan, with the same values
    before = sandbox.rows("Contact")
    with pytest.raises(StaleError, match="nothing in the org to take back"):
        world.undo(first.plan_id)
    assert sandbox.rows("Contact") == before


def test_what_a_later_plan_wrote_is_left_to_that_plan(world, sandbox, pair):
    before = [content(row) for row in sandbox.rows("Contact")]
    world.deliver()
    first = newest(world)
    world.people[0].engagements.append(world.engagement(9, day=2))
    world.write()
    second = world.night().plan
    report = world.undo(first)
    assert report.restored == {"Contact": 1}
    assert [(*what, many) for what, many in report.kept.items()] == [
        ("Contact", "a later plan wrote them too: take that one back first", 1)
    ]
    assert report.edits == 0
    world.undo(second.plan_id)
    world.undo(first)
    assert [content(row) for row in sandbox.rows("Contact")] == before
    assert not sandbox.rows("JP_Engagement__c")


def test_an_answer_lost_while_deleting_counts_as_deleted(world, sandbox, pair):
    world.deliver()
    fault = {"kind": "lost_answer", "path": "/composite", "method": "DELETE"}
    sandbox.admin("POST", "/faults", fault)
    report = world.undo(newest(world))
    assert report.deleted == {"JP_Engagement__c": 2}
    assert not report.rejected
    assert not sandbox.rows("JP_Engagement__c")


def test_a_suppressed_customer_is_named_and_left(world, sandbox, pair):
    world.deliver()
    crm.suppress(
        world.state, "ABCDEF:c2", author="dpo", reason="objected", clock=world.clock
    )
    report = world.undo(newest(world))
    assert report.restored == {"Contact": 1}
    assert report.deleted == {"JP_Engagement__c": 1}
    why = "the suppression list forbids writing them"
    assert report.kept == {("Contact", why): 1, ("JP_Engagement__c", why): 1}
    assert engagement_of(sandbox, 2)
    crm.unsuppress(world.state, "ABCDEF:c2")
    report = world.undo(newest(world))
    assert report.restored == {"Contact": 1}
    assert report.deleted == {"JP_Engagement__c": 1}


def test_a_merge_taken_back_can_be_carried_out_again(world, sandbox, pair):
    world.deliver()
    one, two = world.people
    one.engagements += two.engagements
    world.people = [one]
    world.redirects = [("ABCDEF", "c2", "c1")]
    world.write()
    before = [content(row) for row in sandbox.rows("Contact")]
    world.night()
    world.undo(newest(world))
    assert [content(row) for row in sandbox.rows("Contact")] == before
    world.deliver()
    told = {r["Id"]: r["JP_Merged_Into__c"] for r in sandbox.rows("Contact")}
    assert told == {pair[0]: None, pair[1]: "ABCDEF:c1"}
    assert {r["JP_Contact__c"] for r in sandbox.rows("JP_Engagement__c")} == {pair[0]}


def test_a_record_written_again_is_not_deleted_with_what_people_typed(
    world, sandbox, pair
):
    world.deliver()
    first = newest(world)
    held = engagement_of(sandbox, 1)
    sandbox.edit("JP_Engagement__c", held["Id"], JP_Agent__c="A person")
    world.people[0].engagements[0]["status"] = "ACTIVE"
    world.write()
    night = world.night()
    assert night.applied.updated["JP_Engagement__c"] == 1
    world.undo(night.plan.plan_id)
    report = world.undo(first)
    assert report.deleted == {"JP_Engagement__c": 1}
    assert engagement_of(sandbox, 1)["JP_Agent__c"] == "A person"


def use(world, tmp_path, name: str) -> None:
    own = tmp_path / f"{name}.yaml"
    own.write_text(MAPPINGS[name])
    world.config = replace(world.config, mapping_path=own)


@pytest.mark.parametrize(
    "mappings", [("a field more", "packaged"), ("packaged", "an object less")]
)
def test_an_undo_goes_by_the_mapping_of_its_plan(
    world, sandbox, pair, tmp_path, mappings
):
    applied, by_then = mappings
    before = [content(row) for row in sandbox.rows("Contact")]
    use(world, tmp_path, applied)
    world.deliver()
    use(world, tmp_path, by_then)
    report = world.undo(newest(world))
    assert (report.restored, report.deleted) == (
        {"Contact": 2},
        {"JP_Engagement__c": 2},
    )
    assert [content(row) for row in sandbox.rows("Contact")] == before
    assert not sandbox.rows("JP_Engagement__c")


def test_after_an_undo_no_night_applies_under_any_mapping(
    world, sandbox, pair, tmp_path
):
    world.deliver()
    first = newest(world)
    use(world, tmp_path, "a field more")
    world.deliver()
    report = world.undo(first)
    assert "The night only plans" in report.text()
    night = world.night()
    assert night.plan.actions
    assert (night.is_approved, night.applied) == (False, None)


def test_after_a_rehearsal_was_undone_the_next_apply_is_a_trial_again(
    world, sandbox, pair
):
    with crm.connect(world.config) as org:
        world.apply(org, world.plan(org))
        world.undo(newest(world))
        trial = world.apply(org, world.plan(org))
        assert (trial.status, trial.writes) == ("AWAITING_CONFIRMATION", 4)


def test_what_people_deleted_stays_deleted_after_an_undo(world, sandbox, pair):
    world.deliver()
    sandbox.remove("JP_Engagement__c", engagement_of(sandbox, 1)["Id"])
    undone = newest(world)
    report = world.undo(undone)
    assert report.kept == {("JP_Engagement__c", "deleted in the CRM"): 1}
    assert report.deleted == {"JP_Engagement__c": 1}
    path = rowsfile.path_of(planfile.load(world.config.plan_dir, undone))
    with path.open(encoding="utf-8-sig", newline="") as file:
        engagements = [r for r in csv.DictReader(file) if r["object"] != "Contact"]
    ends = {(row["outcome"], row["reason"]) for row in engagements}
    assert ends == {("kept", "deleted in the CRM"), ("taken back", "")}
    world.deliver()
    assert engagement_of(sandbox, 1) is None
    assert engagement_of(sandbox, 2)


def test_what_an_undo_deleted_unheard_is_no_deletion_by_people(world, sandbox, pair):
    world.deliver()
    fault = {"kind": "lost_answer", "path": "/composite", "method": "DELETE"}
    sandbox.admin("POST", "/faults", {**fault, "times": 9})
    with pytest.raises(TransientError):
        world.undo(newest(world))
    sandbox.admin("DELETE", "/faults")
    assert not sandbox.rows("JP_Engagement__c")
    report = world.undo(newest(world))
    assert (report.restored, report.deleted) == (
        {"Contact": 2},
        {"JP_Engagement__c": 2},
    )
    world.deliver()
    assert len(sandbox.rows("JP_Engagement__c")) == 2


def test_a_field_that_the_org_no_longer_has_is_named_and_the_rest_goes_back(
    world, sandbox, pair
):
    world.deliver()
    plan_id = newest(world)
    with crm.connect(world.config) as org:
        shape = org.describe("Contact")
        fields = {n: f for n, f in shape.fields.items() if n != "JP_Channels__c"}
        org._shapes["Contact"] = replace(shape, fields=fields)
        report = crm.undo(
            plan_id,
            "a test",
            state=world.state,
            crm=org,
            config=world.config,
            run_id="undo",
            clock=world.clock,
        )
    assert report.restored == {"Contact": 2}
    assert "Contact: 2 left as they are: in JP_Channels__c, which the org no" in (
        report.text()
    )
    assert {r["JP_Customer_Id__c"] for r in sandbox.rows("Contact")} == {None}


def test_a_contact_merged_by_people_is_followed_after_an_undo(world, sandbox, pair):
    (stayed,) = sandbox.add("Contact", {"LastName": "Stays"})
    world.deliver()
    sandbox.admin("POST", f"/rows/Contact/{stayed}/merge", {"losers": [pair[0]]})
    world.undo(newest(world))
    world.deliver()
    found = {r["Id"]: r["JP_Customer_Id__c"] for r in sandbox.rows("Contact")}
    assert found == {stayed: "ABCDEF:c1", pair[1]: "ABCDEF:c2"}


def test_an_undo_keeps_the_plans_own_reason_and_hour(world, sandbox, pair):
    world.deliver()
    applied = planned.plans(world.state)[0]
    world.undo(applied.plan_id)
    assert planned.plans(world.state)[0] == replace(applied, status="UNDONE")


def test_an_undo_waits_for_another_plans_job(world, sandbox, pair):
    world.deliver()
    first = newest(world)
    for person in world.people:
        person.engagements[0]["topic"] = "Moving"
    world.write()
    patient = world.config
    world.config = replace(patient, bulk_from=2, job_patience=0.05)
    sandbox.admin("POST", "/faults", {"kind": "slow_job", "polls": 12})
    with pytest.raises(TransientError):
        world.night()
    second = newest(world)
    said: list[str] = []
    while not said or "still works" in said[-1]:
        with pytest.raises(TransientError, match=f"of plan {second}") as caught:
            world.undo(first)
        said.append(str(caught.value))
    assert "still works on Bulk job" in said[0]
    assert "was not read yet; apply or undo that plan first" in said[-1]
    assert {r["JP_Last_Topic__c"] for r in sandbox.rows("Contact")} == {"Moving"}
    assert len(sandbox.rows("JP_Engagement__c")) == 2
    world.config = patient
    world.undo(second)
    assert world.undo(first).restored == {"Contact": 2}


TEXTS = {
    "Contact": ("LastName", "Title", "JP_Last_Topic__c", "JP_Channels__c"),
    "JP_Engagement__c": ("JP_Topic__c", "JP_Queue__c"),
}


def edits(sandbox, dice: random.Random) -> dict[tuple[str, str], dict[str, Any]]:
    """Somebody edits some records; what they typed, by object and record."""
    made: dict[tuple[str, str], dict[str, Any]] = {}
    for name, fields in TEXTS.items():
        for row in sandbox.rows(name):
            if dice.random() < 0.4:
                chosen = dice.sample(fields, dice.randint(1, 2))
                typed = {each: f"typed {dice.randrange(99)}" for each in chosen}
                sandbox.edit(name, row["Id"], **typed)
                if "LastName" in typed:  # of which the Contact's name is made
                    typed["Name"] = typed["LastName"]
                made[name, row["Id"]] = typed
    return made


def live(world, dice: random.Random) -> None:
    """At the source: new engagements, other topics, customers that become one."""
    for person in list(world.people):
        if dice.random() < 0.5:
            number = dice.randrange(1_000, 9_999)
            person.engagements.append(world.engagement(number, day=2))
        if dice.random() < 0.4:
            topics = ["Moving", "Delivery", None]
            person.engagements[0]["topic"] = dice.choice(topics)
        if dice.random() < 0.2 and len(world.people) > 2:
            other = dice.choice([p for p in world.people if p is not person])
            other.engagements += person.engagements
            world.people.remove(person)
            moved = [
                (a, old, other.customer_id if to == person.customer_id else to)
                for a, old, to in world.redirects
            ]
            gone = ("ABCDEF", person.customer_id, other.customer_id)
            world.redirects = [*moved, gone]
    world.write()


def held(sandbox) -> dict[tuple[str, str], dict[str, Any]]:
    return {(n, r["Id"]): r for n in TEXTS for r in sandbox.rows(n)}


def removals(sandbox, dice: random.Random) -> dict[tuple[str, str], str]:
    """Somebody deletes some engagements; their keys, by object and record."""
    rows = sandbox.rows("JP_Engagement__c")
    gone = {}
    for row in dice.sample(rows, dice.randint(0, min(2, len(rows)))):
        sandbox.remove("JP_Engagement__c", row["Id"])
        gone["JP_Engagement__c", row["Id"]] = row["JP_Engagement_Id__c"]
    return gone


def undone(world, sandbox, tmp_path, seed: int) -> None:
    """Two applies, people at work in between, both taken back: only theirs is left.

    The mapping may change before each apply and before the undo.
    """
    dice = random.Random(seed)
    for n in range(5):
        values = {"LastName": f"N{n}", "Email": f"c{n}@example.org"}
        if dice.random() < 0.5:
            values["JP_Last_Topic__c"] = "Theirs"
        sandbox.add("Contact", values)
        world.person(f"c{n}", 10 * n)
    world.write()
    world.deliver()
    before = held(sandbox)
    typed: dict[tuple[str, str], dict[str, Any]] = {}
    removed: dict[tuple[str, str], str] = {}
    applied: list[str] = []
    written = Counter[str]()
    for _ in range(2):
        live(world, dice)
        if dice.random() < 0.4:
            use(world, tmp_path, dice.choice(list(MAPPINGS)))
        world.deliver()
        applied.append(newest(world))
        done = planned.writes(world.state, applied[-1])
        written.update({row.record_id for row in done.values()})
        if dice.random() < 0.5:
            sandbox.admin("PUT", "/clock", {"advance": 3_600})
        for at, values in edits(sandbox, dice).items():
            typed[at] = {**typed.get(at, {}), **values}
        removed |= removals(sandbox, dice)
    use(world, tmp_path, dice.choice(list(MAPPINGS)))
    if dice.random() < 0.5:
        fault = {"kind": dice.choice(["lost_answer", "unavailable", "row_lock"])}
        sandbox.admin("POST", "/faults", {**fault, "path": "/composite"})
    for plan_id in reversed(applied):
        if planned.writes(world.state, plan_id):
            assert not world.undo(plan_id).rejected
    after = held(sandbox)
    for at, row in after.items():
        values = typed.get(at, {})
        if at in before:
            assert content(row) == {**content(before[at]), **values}, at
        else:  # made by an apply; edited since or written twice, or it would be gone
            assert values or written[at[1]] > 1, at
            assert values.items() <= row.items(), at
    assert before.keys() - removed.keys() <= after.keys()
    use(world, tmp_path, "packaged")
    world.deliver()
    assert not {key_of(row) for row in held(sandbox).values()} & {*removed.values()}


@pytest.mark.parametrize("seed", range(2))
def test_after_an_undo_only_peoples_edits_differ(world, sandbox, tmp_path, seed):
    undone(world, sandbox, tmp_path, seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 130))
def test_after_an_undo_only_peoples_edits_differ_over_many_seeds(
    world, sandbox, tmp_path, seed
):
    undone(world, sandbox, tmp_path, seed)
