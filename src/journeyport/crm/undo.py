"""Taking an apply back: what we wrote and nobody changed since, and nothing else.

A field that still holds our value gets the value it held before; a field that people
changed stays theirs. Records that the apply made are deleted where that is allowed,
nobody else touched them and no other plan ever wrote them; Contacts and Accounts never
are. What a later plan wrote is that plan's: the newest is taken back first. It goes by
the mapping that the plan was made under. Undoing withdraws every approval of the org,
so that the next night only plans. The calls are `takeback`'s.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from journeyport.clock import Clock
from journeyport.crm import rowsfile
from journeyport.crm.booking import Outcome, Push
from journeyport.crm.config import CrmConfig
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.outcome import APPLIED, UndoReport
from journeyport.crm.planfile import Action, load
from journeyport.crm.protocol import Crm, Seen, Shape, Value, Write
from journeyport.crm.push import refuse_while_jobs_run, resume
from journeyport.crm.stale import book_landed, parent_ids
from journeyport.crm.takeback import (
    Item,
    Undo,
    book,
    book_gone,
    delete,
    keep,
    leave,
    restore,
)
from journeyport.crm.values import same
from journeyport.errors import ArgumentError, StaleError
from journeyport.state import State, leases
from journeyport.state import crm_plans as planned
from journeyport.state.crm_plans import PlanRow, WriteRow

NEVER_DELETED = frozenset({"Contact", "Account"})

TOUCHED = ("CreatedById", "LastModifiedById")

LATER = "a later plan wrote them too: take that one back first"

AGAIN = "made by the apply, and written by another plan too: people may have edited it"

LOST = "the org no longer has the field, or hides it from this user"

HIDDEN = "the org has no such object any longer, or this user may not see it"


def undo(
    plan_id: str,
    reason: str,
    *,
    state: State,
    crm: Crm,
    config: CrmConfig,
    run_id: str,
    clock: Clock,
    ended: Callable[[UndoReport], None] | None = None,
) -> UndoReport:
    """Take back what an apply wrote.

    Args:
        plan_id: the applied plan.
        reason: why.
        state: what was accepted.
        crm: the signed-in org.
        config: where plans lie; whether records may be deleted.
        run_id: the run.
        clock: the time.
        ended: given the report, also of an undo that breaks off on its way.

    Raises:
        ArgumentError: no such plan, or no reason.
        StaleError: the plan was not applied, or not in this org.
        TransientError: a job of another plan is not done with.
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
    rules = plan.mapping.objects
    names = [f"crm/{crm.org.id}/{rule.name}" for rule in rules]
    with leases.held(state, names, run_id=run_id, clock=clock) as lease:
        refuse_while_jobs_run(crm, state, clock.now(), but=plan_id, unread=True)
        elsewhere = planned.written_elsewhere(state, crm.org.id, plan_id)
        push = Push(
            crm, state, config, plan.mapping, plan, run_id, clock, lease, Outcome()
        )
        left = _written(push, row, elsewhere)
        if not left:
            raise StaleError(f"Plan {plan_id} has nothing in the org to take back.")
        with state.write() as connection:  # before the first call: it may break off
            planned.revoke(connection, crm.org.id)
        work = Undo(crm, state, config, plan, run_id, clock, lease, elsewhere)
        try:
            for rule in reversed(rules):  # children before their parents
                _object(work, rule, left)
            _close(work, row)
        finally:
            report = _report(work)
            if ended is not None:
                ended(report)
            rowsfile.write(plan, state)
    return report


def _report(work: Undo) -> UndoReport:
    return UndoReport(
        work.plan.plan_id,
        work.crm.org,
        dict(work.restored),
        dict(work.deleted),
        dict(work.kept),
        work.edits,
        dict(work.rejected),
    )


def _written(
    push: Push, row: PlanRow, elsewhere: Mapping[str, datetime | None]
) -> dict[int, WriteRow]:
    """What the plan wrote and is still there, also where its answer was lost."""
    if row.status not in (APPLIED, "UNDONE"):  # broken off, or not to its end
        resume(push)
        done = planned.writes(push.state, row.plan_id)
        unheard = [a for a in push.plan.actions if a.number not in done]
        foreign = [record_id for record_id, at in elsewhere.items() if at is not None]
        book_landed(push, unheard, frozenset(foreign))
    done = planned.writes(push.state, row.plan_id)
    return {n: w for n, w in done.items() if w.undone_at is None}


def _object(work: Undo, rule: ObjectRule, left: Mapping[int, WriteRow]) -> None:
    actions = [
        a for a in work.plan.actions if a.number in left and a.object_name == rule.name
    ]
    shape = work.crm.describe(rule.name) if actions else None
    if shape is None:
        for _ in actions:
            leave(work, rule, HIDDEN)
        return
    seen = _seen(work, shape, actions, [left[a.number].record_id for a in actions])
    parents = _parent_ids(work, rule, left)
    by_us = planned.undone(work.state, work.crm.org.id)
    items: list[Item] = []
    made: list[Item] = []
    gone: list[tuple[Action, str, Seen | None]] = []
    settled: list[int] = []
    for action in actions:
        write = left[action.number]
        now = seen.get(write.record_id[:15])
        later = work.elsewhere.get(write.record_id)
        if later is not None and later > write.written_at:
            leave(work, rule, LATER)
        elif (now is None or now.is_deleted) and write.record_id in by_us:
            work.deleted[rule.name] += 1  # by an undo that broke off before it heard
            settled.append(action.number)
        elif now is None or now.is_deleted:
            keep(work, rule, action, "deleted in the CRM")
            gone.append((action, write.record_id, now))
        elif write.was_created:
            why = _why_kept(work, shape, action, now, parents)
            if why:
                keep(work, rule, action, why)
                settled.append(action.number)
            else:
                record = Write(action.number, action.key, write.record_id, {})
                made.append((action, record))
        else:
            values = _back(work, shape, action, now, parents)
            if values:
                record = Write(action.number, action.key, write.record_id, values)
                items.append((action, record))
            else:
                settled.append(action.number)
    book(work, rule, settled)
    book_gone(work, rule, gone)
    restore(work, rule, items)
    delete(work, rule, made)


def _seen(
    work: Undo, shape: Shape, actions: Iterable[Action], record_ids: Iterable[str]
) -> dict[str, Seen]:
    """The records as they are, binned ones too, by their 15 characters."""
    written = {name for a in actions for name in (*a.after, *a.parents)}
    fields = (*sorted(written & shape.fields.keys()), *TOUCHED)
    for name in sorted(written - shape.fields.keys()):
        why = f"in {name}, which the org no longer has, or hides from this user"
        work.is_whole = False
        work.kept[(shape.name, why)] += sum(
            name in a.after or name in a.parents for a in actions
        )
    found = work.crm.find(shape.name, "Id", sorted(record_ids), fields, deleted=True)
    return {seen.id[:15]: seen for seen in found}


def _parent_ids(
    work: Undo, rule: ObjectRule, left: Mapping[int, WriteRow]
) -> dict[tuple[str, str], str]:
    """The parents' ids at the time of the apply."""
    found = parent_ids(work.state, work.crm.org.id, rule)
    for action in work.plan.actions:
        if action.number in left:
            found[action.object_name, action.key] = left[action.number].record_id
    return found


def _written_names(shape: Shape, action: Action) -> list[str]:
    """The fields that the action wrote and the org still has."""
    return [n for n in (*action.after, *action.parents) if n in shape.fields]


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
    work: Undo,
    shape: Shape,
    action: Action,
    now: Seen,
    parents: Mapping[tuple[str, str], str],
) -> dict[str, Value]:
    """The fields to bring back: those that still hold our value."""
    values: dict[str, Value] = {}
    names = _written_names(shape, action)
    theirs = {n: LOST for n in (*action.after, *action.parents) if n not in names}
    for name in names:
        before = action.before.get(name)
        if _holds_ours(shape, action, name, now, parents):
            values[name] = before
        elif not same(shape.fields[name], now.values.get(name), before):
            work.edits += 1
            theirs[name] = "edited by people since"
    work.left[action.number] = theirs
    return values


def _why_kept(
    work: Undo,
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
    names = _written_names(shape, action)
    is_ours = all(_holds_ours(shape, action, n, now, parents) for n in names)
    if not is_ours or now.values["CreatedById"] != now.values["LastModifiedById"]:
        return "made by the apply, and edited by people since"
    return AGAIN if now.id in work.elsewhere else ""


def _close(work: Undo, row: PlanRow) -> None:
    if work.is_whole and not work.rejected:
        with work.state.write() as connection:
            planned.put_plan(connection, replace(row, status="UNDONE"))
