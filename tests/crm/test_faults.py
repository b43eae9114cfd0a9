"""What goes wrong on the way: nothing is lost, nothing is sent twice to no purpose."""

import csv
import logging
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from journeyport import crm
from journeyport.crm import rowsfile
from journeyport.errors import (
    AccessError,
    LeaseError,
    PermanentError,
    QuotaError,
    TransientError,
)
from journeyport.state import crm_plans as planned
from journeyport.state import leases, rejects
from journeyport.state.warehouse import deliveries


@pytest.fixture
def ready(world, sandbox):
    """Three matched customers with an engagement each, in an org approved before."""
    for n in range(3):
        sandbox.add("Contact", {"LastName": f"P{n}", "Email": f"c{n}@example.org"})
        world.person(f"c{n}", n)
    world.write()
    return world


@pytest.fixture
def approved(ready):
    """The same, delivered; then everybody gets another engagement."""
    ready.deliver()
    for n, person in enumerate(ready.people):
        person.engagements.append(ready.engagement(100 + n, day=3))
    ready.write()
    return ready


def in_step(world) -> bool:
    with crm.connect(world.config) as org:
        mapping = crm.load_mapping(None)
        report = crm.verify(world.lake, world.state, org, mapping, clock=world.clock)
    return report.ok and report.counts["JP_Engagement__c"]["in step"] == 6


def bulk(world):
    world.config = replace(world.config, bulk_from=2)


@pytest.mark.parametrize("by", ["collections", "bulk"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "unavailable", "path": "/services/data"},
        {"kind": "session_expired", "path": "/(composite|jobs)"},
        {"kind": "lost_answer", "path": "/(composite|jobs)", "method": "PATCH"},
        {"kind": "row_lock", "times": 3},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_passing_fault_leaves_the_end_state_right(approved, sandbox, fault, by):
    if by == "bulk":
        bulk(approved)
    sandbox.admin("POST", "/faults", fault)
    report = approved.night()
    assert report.applied is not None
    assert report.applied.status == "APPLIED"
    assert not report.applied.rejected
    assert in_step(approved)
    assert approved.night().plan.actions == ()


def test_an_answer_lost_for_good_is_found_by_the_same_plan(approved, sandbox):
    sandbox.admin(
        "POST", "/faults", {"kind": "lost_answer", "path": "/composite", "times": 9}
    )
    with pytest.raises(TransientError):
        approved.night()
    sandbox.admin("DELETE", "/faults")
    plan = planned.plans(approved.state)[0]
    with crm.connect(approved.config) as org:
        again = crm.planfile.load(approved.config.plan_dir, plan.plan_id)
        sandbox.admin("DELETE", "/calls")
        report = approved.apply(org, again)
    assert report.status == "APPLIED"
    assert report.writes == len(again.actions)
    assert in_step(approved)


def test_a_broken_off_job_is_taken_up_by_its_id(approved, sandbox):
    bulk(approved)
    sandbox.admin("POST", "/faults", {"kind": "unavailable_polling", "times": 12})
    with pytest.raises(TransientError):
        approved.night()
    sandbox.admin("DELETE", "/faults")
    row = planned.plans(approved.state)[0]
    (job,) = planned.open_jobs(approved.state, row.org_id, row.plan_id)
    before = len(sandbox.admin("GET", "/calls"))
    with crm.connect(approved.config) as org:
        again = crm.planfile.load(approved.config.plan_dir, row.plan_id)
        report = approved.apply(org, again)
    assert before
    assert report.status == "APPLIED"
    assert not planned.open_jobs(approved.state, row.org_id, row.plan_id)
    assert in_step(approved)
    assert job.object_name in {"Contact", "JP_Engagement__c"}


def test_a_job_whose_opening_was_not_heard_is_opened_again(approved, sandbox):
    bulk(approved)
    fault = {"kind": "lost_answer", "path": "/jobs/ingest", "method": "POST"}
    sandbox.admin("POST", "/faults", fault)
    assert approved.night().applied.status == "APPLIED"
    assert in_step(approved)


def test_rows_a_failed_job_left_go_out_all_the_same(approved, sandbox):
    bulk(approved)
    sandbox.admin("POST", "/faults", {"kind": "job_failed", "rows": 1})
    report = approved.night()
    assert report.applied.status == "APPLIED"
    assert in_step(approved)


def test_a_used_up_quota_stops_the_run_and_the_plan_goes_on_later(approved, sandbox):
    fault = {"kind": "request_limit", "path": "/composite", "times": 1}
    sandbox.admin("POST", "/faults", fault)
    with pytest.raises(QuotaError, match="go on with the same plan"):
        approved.night()
    row = planned.plans(approved.state)[0]
    with crm.connect(approved.config) as org:
        again = crm.planfile.load(approved.config.plan_dir, row.plan_id)
        assert approved.apply(org, again).status == "APPLIED"
    assert in_step(approved)


def test_an_apply_that_broke_off_says_what_it_wrote(approved, sandbox):
    fault = {"kind": "request_limit", "path": "/composite", "after": 1, "times": None}
    sandbox.admin("POST", "/faults", fault)
    told: list[crm.ApplyReport] = []
    with crm.connect(approved.config) as org:
        plan = approved.plan(org)
        with pytest.raises(QuotaError):
            approved.apply(org, plan, ended=told.append)
    assert [(r.status, r.updated, r.unsent) for r in told] == [
        ("PARTIAL", {"Contact": 3}, 3)
    ]
    row = planned.plan(approved.state, plan.plan_id)
    assert (row.status, row.reason) == ("PARTIAL", "a test")
    with rowsfile.path_of(plan).open(encoding="utf-8-sig", newline="") as file:
        found = {(r["object"], r["outcome"]) for r in csv.DictReader(file)}
    assert found == {("Contact", "written"), ("JP_Engagement__c", "planned")}
    given = {
        (row["object_name"], row["updated"])
        for row in deliveries(approved.state)
        if row["run_id"] == f"apply-{approved.nights}"
    }
    assert given == {("Contact", 3), ("JP_Engagement__c", 0)}


def test_a_plan_that_met_nothing_but_a_fault_stays_planned(approved, sandbox):
    with crm.connect(approved.config) as org:
        plan = approved.plan(org)
        sandbox.admin("POST", "/faults", {"kind": "request_limit", "times": 1})
        with pytest.raises(QuotaError):
            approved.apply(org, plan, ended=pytest.fail)
    assert planned.plan(approved.state, plan.plan_id).status == "PLANNED"


def test_a_refused_sign_in_says_what_to_check(ready):
    login = replace(ready.config.login, consumer_secret="wrong")
    ready.config = replace(ready.config, login=login)
    with pytest.raises(AccessError, match="consumer key and secret") as caught:
        ready.night()
    assert "wrong" not in str(caught.value)


def test_a_session_that_never_works_ends_in_one_sentence(ready, sandbox):
    sandbox.admin(
        "POST",
        "/faults",
        {"kind": "session_expired", "times": 50, "path": "/services/data"},
    )
    with pytest.raises(AccessError, match="refused the session"):
        ready.night()


def test_a_second_writer_is_kept_out(ready, sandbox):
    plan = ready.night().plan
    name = f"crm/{plan.org.id}/Contact"
    with (
        leases.held(ready.state, [name], run_id="other", clock=ready.clock),
        crm.connect(ready.config) as org,
        pytest.raises(LeaseError, match="other"),
    ):
        ready.apply(org, plan)
    assert not sandbox.rows("JP_Engagement__c")


@pytest.mark.parametrize(
    ("guards", "words"),
    [
        ({"records": 2}, "6 records are more than the 2"),
        ({"calls": 9}, "API calls are more than the 9"),
        ({"calls_share": 0.0}, "share of the"),
        ({"storage_share": 0.0}, "storage would be"),
    ],
)
def test_a_guard_stops_a_run_before_its_first_write(ready, sandbox, guards, words):
    strict = replace(ready.config.guards, **guards)
    ready.config = replace(ready.config, guards=strict)
    bulk(ready)  # two jobs take more calls than making the plan does
    plan = ready.night().plan
    assert any(words in sentence for sentence in plan.refusals)
    with (
        crm.connect(ready.config) as org,
        pytest.raises(PermanentError, match="Nothing was written"),
    ):
        ready.apply(org, plan)
    assert all(row["JP_Customer_Id__c"] is None for row in sandbox.rows("Contact"))


def test_blanking_too_many_fields_stops_a_run(approved, sandbox):
    for person in approved.people:
        for row in person.engagements:
            row["topic"] = None
            row["end_date"] = None
    approved.write()
    strict = replace(approved.config.guards, blanked_share=0.2)
    approved.config = replace(approved.config, guards=strict)
    report = approved.night()
    assert report.red
    assert any("would blank a field" in sentence for sentence in report.plan.refusals)
    assert report.applied is None
    assert all(row["JP_Topic__c"] for row in sandbox.rows("JP_Engagement__c"))


def test_the_suppression_list_is_looked_at_before_each_write(ready, sandbox):
    plan = ready.night().plan
    crm.suppress(
        ready.state, "ABCDEF:c2", author="dpo", reason="objected", clock=ready.clock
    )
    with crm.connect(ready.config) as org:
        ready.apply(org, plan)
        report = ready.apply(org, plan, confirm=True)
    assert report.status == "APPLIED"
    assert report.suppressed == 2
    held = {row["JP_Customer_Id__c"] for row in sandbox.rows("Contact")}
    assert "ABCDEF:c2" not in held
    assert len(sandbox.rows("JP_Engagement__c")) == 2


def test_a_job_that_does_not_end_is_left_and_taken_up_later(approved, sandbox):
    bulk(approved)
    patient = approved.config
    approved.config = replace(patient, job_patience=0.05)
    sandbox.admin("POST", "/faults", {"kind": "slow_job", "polls": 12})
    with pytest.raises(TransientError, match="still works on Bulk job"):
        approved.night()
    row = planned.plans(approved.state)[0]
    assert planned.open_jobs(approved.state, row.org_id, row.plan_id)
    with pytest.raises(TransientError, match=f"of plan {row.plan_id}"):
        approved.night()  # what the org holds is not settled yet
    approved.config = patient
    with crm.connect(approved.config) as org:
        again = crm.planfile.load(approved.config.plan_dir, row.plan_id)
        assert approved.apply(org, again).status == "APPLIED"
    assert in_step(approved)


def test_no_plan_is_applied_while_another_ones_job_runs(approved, sandbox):
    with crm.connect(approved.config) as org:
        older = approved.plan(org)
        bulk(approved)
        approved.config = replace(approved.config, job_patience=0.05)
        sandbox.admin("POST", "/faults", {"kind": "slow_job", "polls": 40})
        with pytest.raises(TransientError, match="still works on Bulk job"):
            approved.night()
        row = planned.plans(approved.state)[0]
        with pytest.raises(TransientError, match=f"of plan {row.plan_id}"):
            approved.apply(org, older)
    assert not planned.writes(approved.state, older.plan_id)


def test_locked_rows_are_tried_again_together(approved, sandbox):
    person = approved.people[0]
    person.engagements += [approved.engagement(200 + n, day=3) for n in range(40)]
    approved.write()
    fault = {"kind": "row_lock", "sobject": "JP_Engagement__c", "times": 100}
    sandbox.admin("POST", "/faults", fault)
    report = approved.night().applied
    assert (report.status, report.created) == ("APPLIED", {"JP_Engagement__c": 43})
    assert report.calls.writes == 5  # one of Contacts; 43, 43 and 14 rows were locked


def test_rests_are_read_only_where_something_was_refused(approved, sandbox):
    read: list[str] = []

    def note(_c, _cursor, statement, *_):
        if "FROM crm_rests" in statement and statement.startswith("SELECT"):
            read.append(statement)

    with crm.connect(approved.config) as org:
        plan = approved.plan(org)
        org.batch = 1  # six calls of one record each
        sa.event.listen(approved.state.engine, "before_cursor_execute", note)
        assert approved.apply(org, plan).calls.writes == 6
    assert len(read) == 4  # each object before the first call and after the last


def test_an_apply_that_ends_red_lets_no_night_apply(ready, sandbox):
    for person in ready.people:
        person.engagements[0]["topic"] = "Forbidden"
    ready.write()
    strict = replace(ready.config.guards, rejects_share=0.1)
    ready.config = replace(ready.config, guards=strict)
    with crm.connect(ready.config) as org:
        plan = ready.plan(org)
        assert ready.apply(org, plan).red
    assert not ready.night().is_approved


def test_a_confirmation_lets_no_night_apply_after_a_trial_that_was_red(world, sandbox):
    sandbox.add("Contact", {"LastName": "P", "Email": "c1@example.org"})
    person = world.person("c1", *range(1, 20))
    for row in person.engagements:
        row["topic"] = "Forbidden"
    world.write()
    with crm.connect(world.config) as org:
        plan = world.plan(org)
        trial = world.apply(org, plan)
        assert (trial.status, trial.writes, trial.red) == (
            "AWAITING_CONFIRMATION",
            1,
            True,
        )
        rest = world.apply(org, plan, confirm=True)
    assert (rest.status, rest.writes, rest.red) == ("APPLIED", 0, True)
    assert not world.night().is_approved


def test_too_much_foreseen_as_refused_lets_no_night_apply(ready, sandbox, tmp_path):
    own = tmp_path / "own.yaml"
    packaged = Path(crm.__file__).with_name("salesforce.yaml").read_text()
    own.write_text(packaged.replace("{from: topic, nulls: clear, cut: true}", "topic"))
    for person in ready.people:
        person.engagements[0]["topic"] = "x" * 300
    ready.write()
    strict = replace(ready.config.guards, rejects_share=0.1)
    ready.config = replace(ready.config, mapping_path=own, guards=strict)
    report = ready.deliver()
    assert (report.status, report.rejected, report.red) == ("APPLIED", (), True)
    assert not ready.night().is_approved


def test_no_log_line_and_no_error_holds_a_querys_values(ready, sandbox, caplog):
    """An address quoted by a warning of the HTTP library would hold e-mails."""
    caplog.set_level(logging.DEBUG)
    fault = {"kind": "unavailable", "path": "/query", "times": 3, "after": 2}
    sandbox.admin("POST", "/faults", fault)
    ready.night()
    sandbox.admin("POST", "/faults", {"kind": "lost_answer", "path": "/query"})
    ready.night()
    assert "/query" in caplog.text
    fault = {"kind": "unavailable", "path": "/query", "times": 99, "after": 1}
    sandbox.admin("POST", "/faults", fault)
    with pytest.raises(TransientError) as caught:
        ready.night()
    said = caplog.text + "".join(traceback.format_exception(caught.value))
    for secret in ("example.org", "c0@", ready.config.login.consumer_secret):
        assert secret not in said


def test_a_refused_query_is_one_sentence_without_its_values(ready, sandbox, tmp_path):
    own = tmp_path / "own.yaml"
    packaged = Path(crm.__file__).with_name("salesforce.yaml").read_text()
    own.write_text(packaged.replace("{field: Email,", "{field: Description,"))
    ready.config = replace(ready.config, mapping_path=own)
    with pytest.raises(PermanentError, match="does not take the request") as caught:
        ready.night()  # a long text area cannot be asked for
    said = "".join(traceback.format_exception(caught.value))
    assert "example.org" not in said


def test_a_refused_record_rests_longer_each_time_and_ends_sent(approved, sandbox):
    sandbox.admin("POST", "/faults", {"kind": "row_lock", "times": 400})
    report = approved.night()
    assert report.applied.writes == 0
    assert report.red
    kept = rejects.all_rows(approved.state)
    assert {r["code"] for r in kept} == {"UNABLE_TO_LOCK_ROW"}
    assert all(r["object_name"] and r["record_key"] and r["reason"] for r in kept)
    sandbox.admin("DELETE", "/faults")
    assert approved.night().plan.actions == ()
    approved.clock.advance(timedelta(hours=13))
    report = approved.night()
    assert report.applied.status == "APPLIED"
    assert rejects.all_rows(approved.state) == []
    assert in_step(approved)
