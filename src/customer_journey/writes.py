"""Carrying out what callers write: accepted at once, visible after the write lag.

An accepted write is a plain JSON operation. Without lag it is carried out before the
answer leaves; with it, it waits in the database until the service's clock has passed
its due time, so that a restart loses none.
"""

import secrets
from collections.abc import Callable
from typing import Any

import orjson
import sqlalchemy as sa

from customer_journey import identity, store
from customer_journey.clock import Clock
from customer_journey.documents import (
    MOST,
    Document,
    add_channel,
    merge_data,
    merge_identifiers,
    merge_topics,
    set_status,
)
from customer_journey.instants import format_instant, parse_instant
from customer_journey.models import pending
from customer_journey.store import Store

Operation = dict[str, Any]


class Writes:
    """Accepts operations and carries them out when they are due.

    Args:
        database: where everything is kept.
        clock: decides what is due.
        lag: microseconds between acceptance and visibility.
    """

    def __init__(self, database: Store, clock: Clock, lag: int = 0) -> None:
        self._store = database
        self._clock = clock
        self.lag = lag
        #: Lag that a fault adds.
        self.more_lag = 0
        self._next_due = self._earliest()

    def _earliest(self) -> int | None:
        query = sa.select(sa.func.min(pending.c.due_us))
        earliest: int | None = self._store.reader.execute(query).scalar()
        return earliest

    def accept(self, account: str, operation: Operation) -> None:
        """Carry out an operation, now or once the lag has passed."""
        self.settle()
        now = self._clock.now()
        operation["at"] = now
        lag = self.lag + self.more_lag
        if lag <= 0 and self._next_due is None:
            with self._store.write() as connection:
                carry_out(connection, account, operation)
            return
        due = now + lag
        with self._store.write() as connection:
            connection.execute(
                sa.insert(pending).values(
                    due_us=due,
                    account_id=account,
                    engagement_id=operation.get("engagement", ""),
                    operation=orjson.dumps(operation).decode(),
                )
            )
        self._next_due = due if self._next_due is None else min(due, self._next_due)
        self.settle()

    def settle(self) -> None:
        """Carry out everything that is due, in the order it was accepted."""
        if self._next_due is None or self._next_due > self._clock.now():
            return
        due = pending.c.due_us <= self._clock.now()
        with self._store.write() as connection:
            rows = connection.execute(
                sa.select(pending).where(due).order_by(pending.c.pending)
            ).all()
            for row in rows:
                carry_out(connection, row.account_id, orjson.loads(row.operation))
            connection.execute(
                sa.delete(pending).where(
                    pending.c.pending.in_([row.pending for row in rows])
                )
            )
        self._next_due = self._earliest()

    def expects(self, account: str, engagement: str) -> bool:
        """True when the engagement is known or will be, once the lag has passed."""
        if store.get(self._store.reader, account, engagement) is not None:
            return True
        if self._next_due is None:
            return False
        query = sa.select(pending.c.pending).where(
            pending.c.account_id == account, pending.c.engagement_id == engagement
        )
        return self._store.reader.execute(query).first() is not None


def carry_out(connection: sa.Connection, account: str, operation: Operation) -> None:
    """Change what is stored as an operation says."""
    kind = operation["kind"]
    if kind == "journey":
        identity.link(connection, account, operation["identifiers"])
        return
    found = store.get(connection, account, operation["engagement"])
    if kind == "create" and found is None:
        store.insert(connection, account, new_document(account, operation))
        return
    if found is None:
        return
    seq, old = found
    new: Document = orjson.loads(orjson.dumps(old))
    _CHANGES[kind](new, operation)
    touch(new, operation["at"])
    store.replace(connection, account, seq, old, new)
    if kind == "append":
        # a journey's identifiers link also when the document held them before
        identity.link(connection, account, new["identifiers"])


def new_document(account: str, operation: Operation) -> Document:
    """The document of an engagement that a caller records."""
    body = operation["body"]
    return {
        "direction": "INBOUND",
        **body["extras"],
        "id": operation["engagement"],
        "accountId": account,
        "status": "CREATED",
        "startDate": body["startDate"],
        "updateDate": format_instant(operation["at"]),
        "identifiers": merge_identifiers({}, body["identifiers"]),
        "channels": [],
        "conversations": merge_topics([], body["conversations"]),
        "participants": [],
        "agentNotes": [],
        "data": body["data"],
        "attributes": [],
        "queues": [],
        "transfers": [],
    }


def touch(document: Document, now: int) -> None:
    """Move updateDate on: to now, or past what it was."""
    before = parse_instant(document.get("updateDate", ""))
    if before is not None and before >= now:
        now = before // 1000 * 1000 + 1000
    document["updateDate"] = format_instant(now)


def _add(document: Document, operation: Operation) -> None:
    body = operation["body"]
    document.update(body["extras"])
    document["identifiers"] = merge_identifiers(
        document["identifiers"], body["identifiers"]
    )
    topics = merge_topics(document.get("conversations", []), body["conversations"])
    document["conversations"] = topics
    document["data"] = merge_data(document.get("data", {}), body["data"])


def _append(document: Document, operation: Operation) -> None:
    document["identifiers"] = merge_identifiers(
        document["identifiers"], operation["identifiers"]
    )


def _join(document: Document, operation: Operation) -> None:
    joined = operation["participant"]
    participants = document.setdefault("participants", [])
    places = [i for i, known in enumerate(participants) if known["id"] == joined["id"]]
    if places:
        participants[places[-1]] = joined
    else:
        participants.append(joined)
        del participants[:-MOST]
    add_channel(document, joined["channelId"], joined["channelType"])
    set_status(document, format_instant(operation["at"]))


def _leave(document: Document, operation: Operation) -> None:
    for participant in document.get("participants", []):
        if participant["id"] == operation["participant"]:
            participant.setdefault("leftAt", format_instant(operation["at"]))
    set_status(document, format_instant(operation["at"]))


_CHANGES: dict[str, Callable[[Document, Operation], None]] = {
    "create": _add,
    "update": _add,
    "append": _append,
    "join": _join,
    "leave": _leave,
}


def change_notes(
    connection: sa.Connection,
    account: str,
    engagement: str,
    notes: list[dict[str, Any]],
    now: int,
) -> None:
    """Give an engagement these notes and no others."""
    found = store.get(connection, account, engagement)
    if found is None:
        return
    seq, old = found
    new = {**old, "agentNotes": notes}
    touch(new, now)
    store.replace(connection, account, seq, old, new)


def note_id() -> str:
    """Twenty characters nobody can guess."""
    return secrets.token_hex(10)
