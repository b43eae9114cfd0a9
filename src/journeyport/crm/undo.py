"""Taking an apply back: what we wrote and nobody changed since, and nothing else.

A field that still holds our value gets the value it held before; a field that people
changed stays theirs. Records that the apply made are deleted where that is allowed,
nobody else touched them and they are ours alone; Contacts and Accounts never are. What
a later plan wrote is that plan's: the newest is taken back first. Undoing withdraws the
approval, so that the next night only plans.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from journeyport.clock import Clock
from journeyport.crm import rowsfile
from journeyport.crm.booking import Outcome, Push
from journeyport.crm.config import CrmConfig
from journeyport.crm.draft import fitting
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.outcome import APPLIED, UndoReport
from journeyport.crm.planfile import Action, Plan, load
from journeyport.crm.protocol import (
    Answer,
    Crm,
    Operation,
    Seen,
    Shape,
    Value,
    Verdict,
    Write,
)
from journeyport.crm.push import resume, subjects
from journeyport.crm.reasons import LOCKED, in_words
from journeyport.crm.stale import book_landed, parent_ids
from journeyport.crm.values import same
from journeyport.errors import ArgumentError, StaleError
from journeyport.state import State, leases
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.state.crm_plans import PlanRow, WriteRow
from journeyport.state.leases import Lease

T = TypeVar("T")

NEVER_DELETED = frozenset({"Contact", "Account"})

TOUCHED = ("CreatedById", "LastModifiedById")

LATER = "a later plan wrote them too: take that one back first"

GONE = "ENTITY_IS_DELETED"

SUPPRESSED = "the suppression list forbids writing them"


@dataclass
class _Undo:
    crm: Crm
    state: State
    config: CrmConfig
    plan: Plan
    clock: Clock
    lease: Lease
    elsewhere: Mapping[str, datetime]
    restored: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    edits: int = 0
    is_whole: bool = True


def undo(
    plan_id: str,
    reason: str,
    *,
    state: State,
    crm: Crm,
    mapping: CrmMapping,
    config: CrmConfig,
    run_id: str,
    clock: Clock,
) -> UndoReport:
    """Take back what an apply wrote.

    Args:
        plan_id: the applied plan.
        reason: why.
        state: what was accepted.
        crm: the signed-in org.
        mapping: the objects' order; the plan itself says what was written.
        config: where plans lie; whether records may be deleted.
        run_id: the run.
        clock: the time.

    Raises:
        ArgumentError: no such plan, or no reason.
        StaleError: the plan was not applied, or not in this org.
    """
    if not reason.strip():
        raise ArgumentError("An undo needs a reason; say why in a few words.")
    plan = load(config.plan_dir, plan_id)
    row = planned.plan(state, plan_id)
    if row is None:
        raise StaleError(f"Plan {plan_id} is unknown to this state.")
    if plan.org.id != crm.org.id:
        raise StaleError(
            f"Plan {plan_id} was applied in org {plan.org.id}, and this sign-in leads "
            f"to {crm.org.id}."
        )
    names = [f"crm/{crm.org.id}/{rule.name}" for rule in mapping.objects]
    with leases.held(state, names, run_id=run_id, clock=clock) as lease:
        elsewhere = planned.written_elsewhere(state, crm.org.id, plan_id)
        push = Push(crm, state, config, mapping, plan, run_id, clock, lease, Outcome())
        left = _written(push, row, elsewhere)
        if not left:
            raise StaleError(f"Plan {plan_id} has nothing in the org to take back.")
        work = _Undo(crm, state, config, plan, clock, lease, elsewhere)
        for rule in reversed(mapping.objects):  # children before their parents
            _object(work, rule, left)
        _close(work, row, reason)
        rowsfile.write(plan, state)
    return UndoReport(
        plan_id,
        crm.org,
        dict(work.restored),
        dict(work.deleted),
        dict(work.kept),
        work.edits,
        dict(work.rejected),
    )


def _written(
    push: Push, row: PlanRow, elsewhere: Mapping[str, datetime]
) -> dict[int, WriteRow]:
    """What the plan wrote and is still there, also where its answer was lost."""
    if row.status not in (APPLIED, "UNDONE"):  # broken off, or not to its end
        resume(push)
        done = planned.writes(push.state, row.plan_id)
        unheard = [a for a in push.plan.actions if a.number not in done]
        book_landed(push, unheard, elsewhere)
    done = planned.writes(push.state, row.plan_id)
    return {n: w for n, w in done.items() if w.undone_at is None}


def _object(work: _Undo, rule: ObjectRule, left: Mapping[int, WriteRow]) -> None:
    actions = [
        a for a in work.plan.actions if a.number in left and a.object_name == rule.name
    ]
    if not actions:
        return
    shape = fitting(work.crm, rule)
    ids = sorted(left[a.number].record_id for a in actions)
    fields = (*rule.names, *TOUCHED)
    seen = {s.id[:15]: s for s in work.crm.find(rule.name, "Id", ids, fields)}
    parents = _parent_ids(work, rule, left)
    restore: list[tuple[Action, Write]] = []
    delete: list[tuple[Action, str]] = []
    settled: list[int] = []
    for action in actions:
        record_id, at = left[action.number].record_id, left[action.number].written_at
        now = seen.get(record_id[:15])
        later = work.elsewhere.get(record_id)
        if later is not None and later > at:
            _leave(work, rule, LATER)
        elif now is None:
            work.kept[(rule.name, "deleted in the CRM")] += 1
            settled.append(action.number)
        elif left[action.number].was_created:
            why = _why_kept(work, shape, action, now, parents)
            if why:
                work.kept[(rule.name, why)] += 1
                settled.append(action.number)
            else:
                delete.append((action, record_id))
        else:
            values = _back(work, shape, action, now, parents)
            if values:
                write = Write(action.number, action.key, record_id, values)
                restore.append((action, write))
            else:
                settled.append(action.number)
    _book(work, rule, settled)
    _restore(work, rule, restore)
    _delete(work, rule, delete)


def _parent_ids(
    work: _Undo, rule: ObjectRule, left: Mapping[int, WriteRow]
) -> dict[tuple[str, str], str]:
    """The parents' ids at the time of the apply."""
    found = parent_ids(work.state, work.crm.org.id, rule)
    for action in work.plan.actions:
        if action.number in left:
            found[action.object_name, action.key] = left[action.number].record_id
    return found


def _holds_ours(
    shape: Shape,
    action: Action,
    name: str,
    now: Seen,
    parents: Mapping[tuple[str, str], str],
) -> bool:
    parent = action.parents.get(name)
    ours: Value = (
        action.after.get(name)
        if parent is None
        else parents.get((parent.object_name, parent.key))
    )
    return same(shape.fields[name], now.values.get(name), ours)


def _back(
    work: _Undo,
    shape: Shape,
    action: Action,
    now: Seen,
    parents: Mapping[tuple[str, str], str],
) -> dict[str, Value]:
    """The fields to bring back: those that still hold our value."""
    values: dict[str, Value] = {}
    for name in (*action.after, *action.parents):
        before = action.before.get(name)
        if _holds_ours(shape, action, name, now, parents):
            values[name] = before
        elif not same(shape.fields[name], now.values.get(name), before):
            work.edits += 1
    return values


def _why_kept(
    work: _Undo,
    shape: Shape,
    action: Action,
    now: Seen,
    parents: Mapping[tuple[str, str], str],
) -> str:
    """Why a record that the apply made must stay; empty: it may be deleted."""
    if action.object_name in NEVER_DELETED:
        return "people's records are never deleted"
    if not work.config.undo_deletes:
        return "made by the apply, and deleting is switched off"
    if not shape.deletable:
        return "made by the apply, and the integration user may not delete"
    names = (*action.after, *action.parents)
    is_ours = all(_holds_ours(shape, action, n, now, parents) for n in names)
    if not is_ours or now.values["CreatedById"] != now.values["LastModifiedById"]:
        return "made by the apply, and edited by people since"
    return ""


def _leave(work: _Undo, rule: ObjectRule, why: str) -> None:
    """Leave a record as it is for now; the same undo may come back to it."""
    work.kept[(rule.name, why)] += 1
    work.is_whole = False


def _restore(
    work: _Undo, rule: ObjectRule, writes: Sequence[tuple[Action, Write]]
) -> None:
    for start in range(0, len(writes), work.crm.batch):
        listed = memory.suppressed(work.state)
        part: list[Write] = []
        for action, write in writes[start : start + work.crm.batch]:
            if listed.isdisjoint({*subjects(action), write.record_id}):
                part.append(write)
            else:
                _leave(work, rule, SUPPRESSED)
        if not part:
            continue
        answers = _tried(
            work,
            part,
            lambda few: work.crm.send(
                rule.name, rule.external_id, Operation.UPDATE, few
            ),
        )
        taken = [a.number for a in answers if a.verdict is Verdict.ACCEPTED]
        work.restored[rule.name] += len(taken)
        _refused(work, rule, answers, {w.number: w.values for w in part})
        _book(work, rule, taken)


def _delete(
    work: _Undo, rule: ObjectRule, records: Sequence[tuple[Action, str]]
) -> None:
    def deleted(few: Sequence[tuple[Action, str]]) -> list[Answer]:
        return [
            # Deleted by a first try whose answer was lost: it is gone, as it should be.
            replace(
                answer,
                number=action.number,
                verdict=Verdict.ACCEPTED if answer.code == GONE else answer.verdict,
            )
            for (action, _), answer in zip(
                few, work.crm.delete(rule.name, [key for _, key in few]), strict=True
            )
        ]

    for start in range(0, len(records), work.crm.batch):
        answers = _tried(work, records[start : start + work.crm.batch], deleted)
        taken = [a.number for a in answers if a.verdict is Verdict.ACCEPTED]
        work.deleted[rule.name] += len(taken)
        _refused(work, rule, answers, {})
        _book(work, rule, taken)


def _tried(
    work: _Undo, part: Sequence[T], call: Callable[[Sequence[T]], list[Answer]]
) -> list[Answer]:
    """Make a call; what met a locked row is tried again alone, a few times."""
    work.lease.renew()
    answers = call(part)
    for place, each in enumerate(part):
        for seconds in work.config.lock_pauses:
            if answers[place].code not in LOCKED:
                break
            time.sleep(seconds)
            work.lease.renew()
            (answers[place],) = call([each])
    return answers


def _refused(
    work: _Undo,
    rule: ObjectRule,
    answers: Sequence[Answer],
    values: Mapping[int, Mapping[str, Value]],
) -> None:
    for answer in answers:
        if answer.verdict is not Verdict.ACCEPTED:
            why = in_words(answer, values.get(answer.number, {}))
            work.rejected[(rule.name, why)] += 1


def _book(work: _Undo, rule: ObjectRule, numbers: Sequence[int]) -> None:
    """What was taken back is looked at afresh; what it began is no longer matched."""
    chosen = set(numbers)
    actions = [a for a in work.plan.actions if a.number in chosen]
    if not actions:
        return
    now = work.clock.now()
    org_id = work.crm.org.id
    begun = [a for a in actions if a.creates or rule.external_id in a.after]
    known = {a.key for a in actions} - {a.key for a in begun}
    held = memory.ledger_of(work.state, org_id, rule.name, known)
    unsure = [replace(entry, record_hash="") for entry in held.values()]
    with work.state.write() as connection:
        planned.undid(connection, work.plan.plan_id, list(numbers), at=now)
        memory.unbook(connection, org_id, rule.name, [a.key for a in begun])
        memory.book(
            connection, org_id, rule.name, unsure, run_id=work.plan.run_id, at=now
        )
        if rule.is_customer:
            closed = [(a.account_id, a.customer_id, None) for a in begun]
            memory.match(connection, org_id, rule.name, closed, at=now)


def _close(work: _Undo, row: PlanRow, reason: str) -> None:
    now = work.clock.now()
    status = "UNDONE" if work.is_whole and not work.rejected else row.status
    with work.state.write() as connection:
        planned.put_plan(
            connection, replace(row, status=status, reason=reason, applied_at=now)
        )
        planned.revoke(connection, work.crm.org.id, work.plan.mapping_hash)
