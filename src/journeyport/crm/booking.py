"""Writing down what the CRM accepted and what it refused; nothing else decides that.

A record is in the ledger only after the CRM accepted it. Sending is `push`'s.
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
from journeyport.crm.protocol import Answer, Crm, Verdict
from journeyport.crm.reasons import in_words
from journeyport.state import State, rejects
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.state.crm import Entry, Rest
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


def book(push: Push, actions: Sequence[Action], answers: Sequence[Answer]) -> None:
    """Write down what the CRM said, in one transaction a call."""
    if not answers:
        return
    by_number = {action.number: action for action in actions}
    accepted = [
        (by_number[a.number], a) for a in answers if a.verdict is Verdict.ACCEPTED
    ]
    refused = [
        (by_number[a.number], a) for a in answers if a.verdict is Verdict.REJECTED
    ]
    now = push.clock.now()
    object_name = actions[0].object_name
    held = memory.ledger_of(
        push.state,
        push.org_id,
        object_name,
        {action.key for action, _ in (*accepted, *refused)},
        {a.record_id or action.record_id or "" for action, a in accepted},
    )
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
    if not refused:
        return
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
