"""The calls by which an undo takes records back, and what is booked of them.

Which records, and what they held before, is decided in `undo`.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from journeyport.clock import Clock
from journeyport.crm.config import CrmConfig
from journeyport.crm.locks import until_free
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.planfile import Action, Plan
from journeyport.crm.protocol import Answer, Crm, Operation, Seen, Verdict, Write
from journeyport.crm.push import subjects
from journeyport.crm.reasons import LOCKED, in_words
from journeyport.crm.soql import both_forms
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.state.crm import GONE, MOVED, SENT, Entry
from journeyport.state.leases import Lease

SUPPRESSED = "the suppression list forbids writing them"

ABSENT = "ENTITY_IS_DELETED"

Item = tuple[Action, Write]
"""What an apply did, and how it is taken back."""


@dataclass
class Undo:
    """One undo under way."""

    crm: Crm
    state: State
    config: CrmConfig
    plan: Plan
    run_id: str
    clock: Clock
    lease: Lease
    elsewhere: Mapping[str, datetime | None]
    """The records that other plans wrote, and when last; None: taken back."""
    restored: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    left: dict[int, dict[str, str]] = field(default_factory=dict)
    """By action: the fields that stay as they are, and why; the empty name: all."""
    edits: int = 0
    is_whole: bool = True


def leave(work: Undo, rule: ObjectRule, why: str) -> None:
    """Leave a record as it is for now; the same undo may come back to it."""
    work.kept[(rule.name, why)] += 1
    work.is_whole = False


def keep(work: Undo, rule: ObjectRule, action: Action, why: str) -> None:
    """Leave a record as it is for good."""
    work.kept[(rule.name, why)] += 1
    work.left[action.number] = {"": why}


def restore(work: Undo, rule: ObjectRule, items: Sequence[Item]) -> None:
    """Give records the values that they held before."""

    def call(writes: Sequence[Write]) -> list[Answer]:
        return work.crm.send(rule.name, rule.external_id, Operation.UPDATE, writes)

    _carry_out(work, rule, items, call, work.restored)


def delete(work: Undo, rule: ObjectRule, items: Sequence[Item]) -> None:
    """Delete records that the apply made."""

    def call(writes: Sequence[Write]) -> list[Answer]:
        ids = [write.record_id or "" for write in writes]
        with work.state.write() as connection:
            planned.deleting(connection, work.crm.org.id, ids)
        answers = [
            # Deleted by a first try whose answer was lost: it is gone, as it should be.
            replace(
                answer,
                number=write.number,
                verdict=Verdict.ACCEPTED if answer.code == ABSENT else answer.verdict,
            )
            for write, answer in zip(
                writes, work.crm.delete(rule.name, ids), strict=True
            )
        ]
        stay = [
            each
            for each, answer in zip(ids, answers, strict=True)
            if answer.verdict is not Verdict.ACCEPTED
        ]
        with work.state.write() as connection:
            planned.not_deleted(connection, work.crm.org.id, stay)
        return answers

    _carry_out(work, rule, items, call, work.deleted)


def _carry_out(
    work: Undo,
    rule: ObjectRule,
    items: Sequence[Item],
    call: Callable[[Sequence[Write]], list[Answer]],
    done: Counter[str],
) -> None:
    def few(part: Sequence[Item]) -> list[Item]:
        work.lease.renew()
        allowed = _allowed(work, rule, part)
        if not allowed:
            return []
        answers = call([write for _, write in allowed])
        accepted = [a.number for a in answers if a.verdict is Verdict.ACCEPTED]
        done[rule.name] += len(accepted)
        book(work, rule, accepted)
        by_number = {write.number: (action, write) for action, write in allowed}
        _refused(
            work,
            rule,
            [
                (by_number[a.number][1], a)
                for a in answers
                if a.verdict is not Verdict.ACCEPTED and a.code not in LOCKED
            ],
        )
        return [by_number[a.number] for a in answers if a.code in LOCKED]

    locked = until_free(
        items,
        few,
        batch=work.crm.batch,
        pauses=work.config.lock_pauses,
        pause=time.sleep,
    )
    last = [
        (write, Answer(write.number, Verdict.REJECTED, code="UNABLE_TO_LOCK_ROW"))
        for _, write in locked
    ]
    _refused(work, rule, last)


def _allowed(work: Undo, rule: ObjectRule, items: Sequence[Item]) -> list[Item]:
    """Those that the suppression list, looked at now, lets through."""
    listed = memory.suppressed(work.state)
    allowed: list[Item] = []
    for action, write in items:
        if listed.isdisjoint({*subjects(action), *both_forms(write.record_id or "")}):
            allowed.append((action, write))
        else:
            leave(work, rule, SUPPRESSED)
    return allowed


def _refused(
    work: Undo, rule: ObjectRule, refused: Sequence[tuple[Write, Answer]]
) -> None:
    for write, answer in refused:
        work.rejected[(rule.name, in_words(answer, write.values))] += 1


def book(work: Undo, rule: ObjectRule, numbers: Sequence[int]) -> None:
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
        planned.undid(connection, work.plan.plan_id, list(numbers), work.left, at=now)
        memory.unbook(connection, org_id, rule.name, [a.key for a in begun])
        memory.book(connection, org_id, rule.name, unsure, run_id=work.run_id, at=now)
        if rule.is_customer:
            closed = [(a.account_id, a.customer_id, None) for a in begun]
            memory.match(connection, org_id, rule.name, closed, at=now)


def book_gone(
    work: Undo, rule: ObjectRule, gone: Sequence[tuple[Action, str, Seen | None]]
) -> None:
    """What people deleted or merged away (action, record id, what the bin says).

    It is not to be made again: the ledger keeps it as gone, however little is left to
    take back.
    """
    if not gone:
        return
    now = work.clock.now()
    org_id = work.crm.org.id
    held = memory.ledger_of(
        work.state, org_id, rule.name, {action.key for action, *_ in gone}
    )
    told: list[Entry] = []
    for action, record_id, binned in gone:
        entry = held.get(action.key) or Entry(
            action.key, record_id, "", action.account_id, action.customer_id
        )
        if entry.standing == SENT and entry.record_id == record_id:
            master = binned.master_id if binned is not None else None
            standing = MOVED if master else GONE
            told.append(replace(entry, standing=standing, moved_to=master))
    numbers = [action.number for action, *_ in gone]
    with work.state.write() as connection:
        planned.undid(connection, work.plan.plan_id, numbers, work.left, at=now)
        memory.book(connection, org_id, rule.name, told, run_id=work.run_id, at=now)
        if rule.is_customer:
            closed = [(e.account_id, e.customer_id, None) for e in told]
            memory.match(connection, org_id, rule.name, closed, at=now)
