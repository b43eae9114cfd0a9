"""Sending actions: small loads in calls of `batch` records, large ones as a job.

A job's id is kept before its rows leave. Records whose row was locked are tried again
together (see `locks`). What to send is decided in `plan`, whether it may be sent in
`apply`; what was accepted is written down by `booking`.
"""

from collections.abc import Sequence
from datetime import datetime

from journeyport.crm.booking import Push, book
from journeyport.crm.locks import until_free
from journeyport.crm.planfile import Action
from journeyport.crm.protocol import Answer, Crm, JobState, Operation, Verdict
from journeyport.crm.reasons import LOCKED
from journeyport.crm.soql import both_forms
from journeyport.errors import TransientError
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.state.crm_plans import JobRow


def send_all(push: Push, actions: Sequence[Action]) -> None:
    """Send actions, object by object, parents first."""
    for rule in push.mapping.objects:
        for operation in Operation:
            chosen = [
                a
                for a in actions
                if a.object_name == rule.name and a.operation is operation
            ]
            if chosen:
                _send(push, chosen)


def _send(push: Push, actions: Sequence[Action]) -> None:
    """Send actions of one object and operation."""
    left = list(actions)
    if len(left) >= push.config.bulk_from:
        by_job = [a for a in left if _may_go_by_job(a)]
        others = [a for a in left if not _may_go_by_job(a)]
        left = [*_by_job(push, by_job), *others]
    locked = until_free(
        left,
        lambda few: _by_call(push, few),
        batch=push.crm.batch,
        pauses=push.config.lock_pauses,
        pause=push.pause,
    )
    code = "UNABLE_TO_LOCK_ROW"
    book(push, locked, [Answer(a.number, Verdict.REJECTED, code=code) for a in locked])


def _may_go_by_job(action: Action) -> bool:
    """In a job's CSV these characters would blank the field."""
    return "#N/A" not in action.after.values()


def _by_call(push: Push, actions: Sequence[Action]) -> list[Action]:
    """Send one call's worth; returns those whose row was locked."""
    push.lease.renew()
    allowed = _allowed(push, actions)
    if not allowed:
        return []
    first = allowed[0]
    answers = push.crm.send(
        first.object_name,
        _external_id(push, first),
        first.operation,
        [action.write() for action in allowed],
    )
    return _book_but_locked(push, allowed, answers)


def _book_but_locked(
    push: Push, actions: Sequence[Action], answers: Sequence[Answer]
) -> list[Action]:
    by_number = {action.number: action for action in actions}
    final = [a for a in answers if a.code not in LOCKED]
    book(push, actions, final)
    return [by_number[a.number] for a in answers if a.code in LOCKED]


def _allowed(push: Push, actions: Sequence[Action]) -> list[Action]:
    """Those that the suppression list, looked at now, lets through."""
    listed = memory.suppressed(push.state)
    kept = [a for a in actions if not listed.isdisjoint(subjects(a))]
    if kept:  # what people did to them there is looked at again once they may pass
        push.outcome.suppressed += len(kept)
        keys = [action.key for action in kept]
        with push.state.write() as connection:
            memory.doubt(connection, push.org_id, kept[0].object_name, keys)
    return [a for a in actions if listed.isdisjoint(subjects(a))]


def subjects(action: Action) -> set[str]:
    """What the suppression list may call the action's record."""
    customer = f"{action.account_id}:{action.customer_id}"
    ids = both_forms(action.record_id) if action.record_id else ()
    return {action.key, customer, *ids, *action.names}


def _external_id(push: Push, action: Action) -> str:
    rule = push.mapping.rule(action.object_name)
    return rule.external_id if rule is not None else ""


def _by_job(push: Push, actions: Sequence[Action]) -> list[Action]:
    """Send a large load as jobs; returns what no job decided."""
    left: list[Action] = []
    size = push.crm.job_batch
    for start in range(0, len(actions), size):
        allowed = _allowed(push, actions[start : start + size])
        if not allowed:
            continue
        first = allowed[0]
        key = _external_id(push, first)
        job_id = push.crm.open_job(first.object_name, key, first.operation)
        row = JobRow(
            job_id,
            first.object_name,
            first.operation.value,
            tuple(action.number for action in allowed),
        )
        with push.state.write() as connection:
            now = push.clock.now()
            planned.open_job(connection, push.org_id, push.plan.plan_id, row, at=now)
        push.crm.fill_job(
            job_id,
            first.object_name,
            key,
            first.operation,
            [action.write() for action in allowed],
        )
        left += _await(push, row, allowed)
    return left


def refuse_while_jobs_run(
    crm: Crm, state: State, now: datetime, *, but: str = "", unread: bool = False
) -> None:
    """Refuse while what the CRM holds is still being changed by a job of ours.

    Args:
        crm: the signed-in org.
        state: the jobs not done with.
        now: the time; a job of an expired plan is let go of.
        but: the plan that takes up its own jobs.
        unread: refuse over a job that ended and was not read too.
    """
    for plan_id, expires_at, job in planned.unbooked_jobs(state, crm.org.id):
        if plan_id == but:
            continue
        standing = crm.job_state(job.job_id, job.object_name)
        if standing is JobState.RUNNING:
            raise TransientError(
                f"Salesforce still works on Bulk job {job.job_id} of plan {plan_id}; "
                "apply that plan again, or try again when the job has ended."
            )
        if standing is JobState.LOST or now > expires_at:  # nobody can book it now
            with state.write() as connection:
                planned.close_job(connection, crm.org.id, job.job_id)
        elif unread and standing is JobState.ENDED:
            raise TransientError(
                f"What Bulk job {job.job_id} of plan {plan_id} wrote was not read yet; "
                "apply or undo that plan first."
            )


def resume(push: Push) -> None:
    """Book the jobs that an earlier, broken-off apply of this plan left behind."""
    for row in planned.open_jobs(push.state, push.org_id, push.plan.plan_id):
        state = push.crm.job_state(row.job_id, row.object_name)
        if state is JobState.OPEN:
            push.crm.drop_job(row.job_id, row.object_name)
        if state in (JobState.OPEN, JobState.LOST):
            with push.state.write() as connection:
                planned.close_job(connection, push.org_id, row.job_id)
            continue
        chosen = set(row.numbers)
        _await(push, row, [a for a in push.plan.actions if a.number in chosen])


def _await(push: Push, row: JobRow, actions: Sequence[Action]) -> list[Action]:
    """Wait for a job and book its answers; returns what it did not decide."""
    state = push.crm.job_state(row.job_id, row.object_name)
    if state is JobState.OPEN:  # it could not be filled: nothing of it ran
        push.crm.drop_job(row.job_id, row.object_name)
        state = JobState.LOST
    pause, waited = push.config.poll, 0.0
    while state is JobState.RUNNING:
        if waited >= push.config.job_patience:
            raise TransientError(
                f"Salesforce still works on Bulk job {row.job_id} for "
                f"{row.object_name}; apply plan {push.plan.plan_id} again later, it "
                "takes the job up."
            )
        push.lease.renew()
        push.pause(pause)
        waited += pause
        pause = min(pause * 1.5, 10 * push.config.poll)
        state = push.crm.job_state(row.job_id, row.object_name)
    left: list[Action] = list(actions)
    if state is JobState.ENDED:
        answers = push.crm.job_answers(
            row.job_id,
            row.object_name,
            _external_id(push, actions[0]),
            Operation(row.operation),
            [action.write() for action in actions],
        )
        decided = [a for a in answers if a.verdict is not Verdict.UNSENT]
        left = _book_but_locked(push, actions, decided)
        unsent = {a.number for a in answers if a.verdict is Verdict.UNSENT}
        left += [action for action in actions if action.number in unsent]
    with push.state.write() as connection:
        planned.close_job(connection, push.org_id, row.job_id)
    return left
