"""What the CRM delivery must remember: ledger, matches, rests, suppressions.

Everything is keyed by the CRM org's own id, so that pointing journeyport at another org
starts from nothing there. No field value is kept here: values live in plan files only.
What may be sent, and when, is decided in `journeyport.crm`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata, upsert

_ledger = sa.Table(
    "crm_ledger",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("record_key", sa.String, primary_key=True),
    sa.Column("record_id", sa.String, nullable=False),
    sa.Column("record_hash", sa.String, nullable=False),
    sa.Column("account_id", sa.String, nullable=False),
    sa.Column("customer_id", sa.String, nullable=False),
    sa.Column("standing", sa.String, nullable=False),
    sa.Column("moved_to", sa.String),
    sa.Column("accepted_at", Instant, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Index("crm_ledger_record", "org_id", "object_name", "record_id"),
)

_matches = sa.Table(
    "crm_matches",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("customer_id", sa.String, primary_key=True),
    sa.Column("valid_from", Instant, primary_key=True),
    sa.Column("record_id", sa.String, nullable=False),
    sa.Column("valid_to", Instant),
)

_frontiers = sa.Table(
    "crm_frontiers",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("read_to", Instant, nullable=False),
)

_rests = sa.Table(
    "crm_rests",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("record_key", sa.String, primary_key=True),
    sa.Column("record_hash", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_at", Instant, nullable=False),
    sa.Column("next_at", Instant, nullable=False),
)

_suppressions = sa.Table(
    "crm_suppressions",
    metadata,
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("added_at", Instant, nullable=False),
    sa.Column("identity_version", sa.Integer),
)

SENT = "SENT"
GONE = "GONE"
"""Deleted in the CRM, by people there: never sent again."""
MOVED = "MOVED"
"""Merged away in the CRM: `moved_to` names the record that stayed."""

_IN = 500


@dataclass(frozen=True)
class Entry:
    """One record of the ledger: what the CRM accepted last."""

    record_key: str
    record_id: str
    record_hash: str
    account_id: str
    customer_id: str
    standing: str = SENT
    moved_to: str | None = None


@dataclass(frozen=True)
class Rest:
    """A rejected record that waits for its next try."""

    record_hash: str
    attempts: int
    first_at: datetime
    next_at: datetime


_ENTRY = (
    _ledger.c.record_key,
    _ledger.c.record_id,
    _ledger.c.record_hash,
    _ledger.c.account_id,
    _ledger.c.customer_id,
    _ledger.c.standing,
    _ledger.c.moved_to,
)


def ledger(state: State, org_id: str, object_name: str) -> dict[str, Entry]:
    """The ledger of one object in one org, by external id."""
    query = sa.select(*_ENTRY).where(
        _ledger.c.org_id == org_id, _ledger.c.object_name == object_name
    )
    with state.read() as connection:
        return {row[0]: Entry(*row) for row in connection.execute(query)}


def ledger_of(
    state: State,
    org_id: str,
    object_name: str,
    keys: Collection[str],
    record_ids: Collection[str] = (),
) -> dict[str, Entry]:
    """What the ledger holds under these external ids or of these records."""
    found: dict[str, Entry] = {}
    with state.read() as connection:
        for column, chosen in (
            (_ledger.c.record_key, sorted(keys)),
            (_ledger.c.record_id, sorted(record_ids)),
        ):
            for start in range(0, len(chosen), _IN):
                query = sa.select(*_ENTRY).where(
                    _ledger.c.org_id == org_id,
                    _ledger.c.object_name == object_name,
                    column.in_(chosen[start : start + _IN]),
                )
                rows = connection.execute(query)
                found.update((row[0], Entry(*row)) for row in rows)
    return found


def book(
    connection: sa.Connection,
    org_id: str,
    object_name: str,
    entries: Iterable[Entry],
    *,
    run_id: str,
    at: datetime,
) -> None:
    """Write down what the CRM accepted (or was found to hold already)."""
    where = {"org_id": org_id, "object_name": object_name}
    when = {"run_id": run_id, "accepted_at": at}
    upsert(connection, _ledger, [{**where, **vars(e), **when} for e in entries])


def unbook(
    connection: sa.Connection, org_id: str, object_name: str, keys: Sequence[str]
) -> None:
    """Forget records, so that the next plan looks at them afresh."""
    for start in range(0, len(keys), _IN):
        connection.execute(
            _ledger.delete().where(
                _ledger.c.org_id == org_id,
                _ledger.c.object_name == object_name,
                _ledger.c.record_key.in_(keys[start : start + _IN]),
            )
        )


def doubt(
    connection: sa.Connection, org_id: str, object_name: str, keys: Sequence[str]
) -> None:
    """What the CRM holds of these records is no longer sure: it is to be read."""
    for start in range(0, len(keys), _IN):
        connection.execute(
            _ledger.update()
            .where(
                _ledger.c.org_id == org_id,
                _ledger.c.object_name == object_name,
                _ledger.c.record_key.in_(keys[start : start + _IN]),
            )
            .values(record_hash="")
        )


def knows(state: State, names: Collection[str]) -> bool:
    """Whether a record of any org goes by one of these, or a customer's match does."""
    places = (_ledger.c.record_key, _ledger.c.record_id, _matches.c.record_id)
    with state.read() as connection:
        return any(
            connection.scalar(sa.select(place).where(place.in_(names)).limit(1))
            for place in places
        )


def matches(state: State, org_id: str, object_name: str) -> dict[tuple[str, str], str]:
    """The record each (account, customer) is matched to now."""
    query = sa.select(
        _matches.c.account_id, _matches.c.customer_id, _matches.c.record_id
    ).where(
        _matches.c.org_id == org_id,
        _matches.c.object_name == object_name,
        _matches.c.valid_to.is_(None),
    )
    with state.read() as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}


def match(
    connection: sa.Connection,
    org_id: str,
    object_name: str,
    found: Iterable[tuple[str, str, str | None]],
    *,
    at: datetime,
) -> None:
    """Open, move or (record None) close the matches of (account, customer, record)."""
    for account, customer, record in found:
        here = sa.and_(
            _matches.c.org_id == org_id,
            _matches.c.object_name == object_name,
            _matches.c.account_id == account,
            _matches.c.customer_id == customer,
            _matches.c.valid_to.is_(None),
        )
        held = connection.scalar(sa.select(_matches.c.record_id).where(here))
        if held == record:
            continue
        connection.execute(_matches.update().where(here).values(valid_to=at))
        if record is not None:
            row = {
                "org_id": org_id,
                "object_name": object_name,
                "account_id": account,
                "customer_id": customer,
                "valid_from": at,
                "record_id": record,
                "valid_to": None,
            }
            upsert(connection, _matches, [row])


def all_matches(state: State) -> list[dict[str, Any]]:
    """Every match that ever held, in all orgs: what `customer_crm_ids` publishes."""
    query = sa.select(_matches).order_by(*_matches.primary_key)
    with state.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def frontier(state: State, org_id: str, object_name: str) -> datetime | None:
    """Up to when the changes of the other side were read; None: never."""
    query = sa.select(_frontiers.c.read_to).where(
        _frontiers.c.org_id == org_id, _frontiers.c.object_name == object_name
    )
    with state.read() as connection:
        found: datetime | None = connection.scalar(query)
    return found


def move_frontier(
    connection: sa.Connection, org_id: str, object_name: str, read_to: datetime
) -> None:
    """Say up to when the changes of the other side were dealt with."""
    row = {"org_id": org_id, "object_name": object_name, "read_to": read_to}
    upsert(connection, _frontiers, [row])


def rests(state: State, org_id: str, object_name: str) -> dict[str, Rest]:
    """The object's rejected records and when each is tried again."""
    query = sa.select(
        _rests.c.record_key,
        _rests.c.record_hash,
        _rests.c.attempts,
        _rests.c.first_at,
        _rests.c.next_at,
    ).where(_rests.c.org_id == org_id, _rests.c.object_name == object_name)
    with state.read() as connection:
        return {row[0]: Rest(*row[1:]) for row in connection.execute(query)}


def rest(
    connection: sa.Connection,
    org_id: str,
    object_name: str,
    resting: Mapping[str, Rest],
) -> None:
    """Let rejected records rest until their next try."""
    where = {"org_id": org_id, "object_name": object_name}
    upsert(
        connection,
        _rests,
        [{**where, "record_key": key, **vars(row)} for key, row in resting.items()],
    )


def wake(
    connection: sa.Connection, org_id: str, object_name: str, keys: Sequence[str]
) -> None:
    """The records need no further try."""
    for start in range(0, len(keys), _IN):
        connection.execute(
            _rests.delete().where(
                _rests.c.org_id == org_id,
                _rests.c.object_name == object_name,
                _rests.c.record_key.in_(keys[start : start + _IN]),
            )
        )


def suppress(
    state: State,
    subject: str,
    *,
    author: str,
    reason: str,
    at: datetime,
    identity_version: int | None,
) -> None:
    """Never write about this customer key or to this CRM record again.

    The identity version is the last of the customer's account; None: not a customer.
    """
    row = {
        "subject": subject,
        "author": author,
        "reason": reason,
        "added_at": at,
        "identity_version": identity_version,
    }
    with state.write() as connection:
        upsert(connection, _suppressions, [row])


def unsuppress(state: State, subject: str) -> bool:
    """Take an entry off the list; False: it was not on it."""
    with state.write() as connection:
        done = connection.execute(
            _suppressions.delete().where(_suppressions.c.subject == subject)
        )
        return bool(done.rowcount)


def suppressed(state: State) -> frozenset[str]:
    """The customer keys and CRM record ids that must not be written."""
    with state.read() as connection:
        return frozenset(connection.scalars(sa.select(_suppressions.c.subject)))


def suppressed_since(state: State) -> dict[str, int]:
    """The customers on the list, and the identity version in which each came on it."""
    query = sa.select(_suppressions.c.subject, _suppressions.c.identity_version)
    named = query.where(_suppressions.c.identity_version.is_not(None))
    with state.read() as connection:
        return {row[0]: row[1] for row in connection.execute(named)}


def refused(state: State, object_name: str) -> dict[str, str]:
    """The object's records that stand as refused, with their accounts."""
    rejects = metadata.tables["rejected_records"]
    query = sa.select(rejects.c.record_key, rejects.c.account_id).where(
        rejects.c.stage == "crm", rejects.c.object_name == object_name
    )
    with state.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def settle_rejects(
    connection: sa.Connection, object_name: str, keys: Sequence[str]
) -> None:
    """Let go of the rejects of records that the CRM has accepted since."""
    rejects = metadata.tables["rejected_records"]
    for start in range(0, len(keys), _IN):
        connection.execute(
            rejects.delete().where(
                rejects.c.stage == "crm",
                rejects.c.object_name == object_name,
                rejects.c.record_key.in_(keys[start : start + _IN]),
            )
        )
