"""Sending actions and writing down what was accepted; nothing else decides that.

A record is in the ledger only after the CRM accepted it. Small loads go in calls of
`batch` records, large ones as a job whose id is kept before its rows leave. Records
whose row was locked are tried again, one a call. What to send is decided in `plan`,
whether it may be sent in `apply`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa

from journeyport.clock import Clock
from journeyport.crm.config import CrmConfig
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.planfile import Action, Plan
from journeyport.crm.protocol import (
    Answer,
    Crm,
    JobState,
    Operation,
    Verdict,
)
from journeyport.crm.reasons import LOCKED, in_words
from journeyport.state import State, rejects
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.state.crm import Entry, Rest
from journeyport.state.crm_plans import JobRow
from journeyport.state.leases import Lease


@dataclass(frozen=True)
class Refusal:
    """One rejected record, as `rejected_records` keeps it."""

    object_name: str
    record_key: str
    field: str
    code: str
    reason: str
    payload: str | None = None


@dataclass
class Outcome:
    """What became of a plan's actions."""

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    suppressed: int = 0
    unsent: int = 0
    accepted: list[int] = field(default_factory=list)


@dataclass
class Push:
    """One apply under way."""

    crm: Crm
    state: State
    config: CrmConfig
    mapping: CrmMapping
    plan: Plan
    run_id: str
    clock: Clock
    lease: Lease
    outcome: Outcome
    pause: Callable[[float], None] = time.sleep

    @property
    def org_id(self) -> str:
        """The org's id."""
        return self.crm.org.id


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
    locked: list[Action] = []
    for start in range(0, len(left), push.crm.batch):
        locked += _by_call(push, left[start : start + push.crm.batch])
    for action in locked:
        _patiently(push, action)


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


def _patiently(push: Push, action: Action) -> None:
    """Try a locked record alone, a few times, then book its refusal."""
    for seconds in push.config.lock_pauses:
        push.pause(seconds)
        if not _by_call(push, [action]):
            return
    last = Answer(action.number, Verdict.REJECTED, code="UNABLE_TO_LOCK_ROW")
    book(push, [action], [last])


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
    allowed = [a for a in actions if listed.isdisjoint(_subjects(a))]
    push.outcome.suppressed += len(actions) - len(allowed)
    return allowed


def _subjects(action: Action) -> set[str]:
    customer = f"{action.account_id}:{action.customer_id}"
    return {action.key, customer, action.record_id or customer}


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
    while state is JobState.RUNNING:
        push.lease.renew()
        push.pause(push.config.poll)
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


def book(push: Push, actions: Sequence[Action], answers: Sequence[Answer]) -> None:
    """Write down what the CRM said, in one transaction a call."""
    by_number = {action.number: action for action in actions}
    accepted = [
        (by_number[a.number], a) for a in answers if a.verdict is Verdict.ACCEPTED
    ]
    refused = [
        (by_number[a.number], a) for a in answers if a.verdict is Verdict.REJECTED
    ]
    if not answers:
        return
    now = push.clock.now()
    object_name = actions[0].object_name
    held = memory.ledger(push.state, push.org_id, object_name)
    _record_refusals(push, refused, now)
    with push.state.write() as connection:
        _book_accepted(
            push, connection, object_name, accepted=accepted, held=held, now=now
        )
        _rest(push, connection, object_name, refused=refused, held=held, now=now)
    for action, _ in accepted:
        counter = push.outcome.created if action.creates else push.outcome.updated
        counter[object_name] += 1
        push.outcome.accepted.append(action.number)


def _book_accepted(
    push: Push,
    connection: sa.Connection,
    object_name: str,
    *,
    accepted: Sequence[tuple[Action, Answer]],
    held: Mapping[str, Entry],
    now: datetime,
) -> None:
    entries = [
        Entry(
            action.key,
            answer.record_id or action.record_id or "",
            action.hash,
            action.account_id,
            action.customer_id,
            is_ours=action.creates or (action.key in held and held[action.key].is_ours),
        )
        for action, answer in accepted
    ]
    keys = [entry.record_key for entry in entries]
    memory.book(
        connection, push.org_id, object_name, entries, run_id=push.run_id, at=now
    )
    planned.wrote(
        connection,
        push.plan.plan_id,
        [
            (action.number, entry.record_id, action.creates)
            for (action, _), entry in zip(accepted, entries, strict=True)
        ],
        at=now,
    )
    memory.wake(connection, push.org_id, object_name, keys)
    memory.settle_rejects(connection, object_name, keys)
    if object_name == push.mapping.customer.name:
        _book_customers(
            push,
            connection,
            object_name,
            accepted=accepted,
            entries=entries,
            held=held,
            now=now,
        )


def _book_customers(
    push: Push,
    connection: sa.Connection,
    object_name: str,
    *,
    accepted: Sequence[tuple[Action, Answer]],
    entries: Sequence[Entry],
    held: Mapping[str, Entry],
    now: datetime,
) -> None:
    """Open the matches of adopted records; end those of customers merged away."""
    found: list[tuple[str, str, str | None]] = []
    adopted: dict[str, str] = {}
    for (action, _), entry in zip(accepted, entries, strict=True):
        record_id = None if action.is_farewell else entry.record_id
        found.append((action.account_id, action.customer_id, record_id))
        if not action.is_farewell:
            adopted[entry.record_id] = entry.record_key
    former = [
        entry
        for entry in held.values()
        if adopted.get(entry.record_id, entry.record_key) != entry.record_key
    ]
    memory.unbook(connection, push.org_id, object_name, [e.record_key for e in former])
    found += [(e.account_id, e.customer_id, None) for e in former]
    memory.match(connection, push.org_id, object_name, found, at=now)


def _record_refusals(
    push: Push, refused: Iterable[tuple[Action, Answer]], now: datetime
) -> None:
    by_account: dict[str, list[Refusal]] = {}
    for action, answer in refused:
        reason = in_words(answer, {**action.after, "key": action.key})
        by_account.setdefault(action.account_id, []).append(
            Refusal(
                action.object_name,
                action.key,
                " ".join(answer.fields),
                answer.code,
                reason,
            )
        )
        push.outcome.rejected[(action.object_name, answer.code, reason)] += 1
    for account, found in by_account.items():
        rejects.record(
            push.state, account, "crm", found, day=None, run_id=push.run_id, now=now
        )


def _rest(
    push: Push,
    connection: sa.Connection,
    object_name: str,
    *,
    refused: Sequence[tuple[Action, Answer]],
    held: Mapping[str, Entry],
    now: datetime,
) -> None:
    """Let refused records rest; what the ledger says of them holds no longer."""
    before = memory.rests(push.state, push.org_id, object_name)
    resting: dict[str, Rest] = {}
    for action, _ in refused:
        last = before.get(action.key)
        is_same = last is not None and last.record_hash == action.hash
        attempts = last.attempts + 1 if last is not None and is_same else 1
        length = min(
            push.config.first_rest * 2 ** min(attempts - 1, 16),
            push.config.longest_rest,
        )
        first = last.first_at if last is not None and is_same else now
        resting[action.key] = Rest(action.hash, attempts, first, now + length)
    memory.rest(connection, push.org_id, object_name, resting)
    unsure = [replace(held[key], record_hash="") for key in resting if key in held]
    memory.book(
        connection, push.org_id, object_name, unsure, run_id=push.run_id, at=now
    )
