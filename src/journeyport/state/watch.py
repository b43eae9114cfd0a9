"""The watch-list: engagements to be read again by id, and ids that went missing.

When an engagement is due, and what its being missing means, is decided in `extract`.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata, upsert

OPEN, SETTLING, MISSING = "OPEN", "SETTLING", "MISSING"
DELETED = "DELETED"
"""Called deleted; due when its documents are to be purged."""

_watch = sa.Table(
    "watch_list",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("engagement_id", sa.String, primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("due_at", Instant, nullable=False, index=True),
    sa.Column("misses", sa.Integer, nullable=False),
    sa.Column("missed_in", sa.String),
)


@dataclass(frozen=True)
class Watched:
    """An engagement on the watch-list.

    Attributes:
        engagement_id: which.
        day: the UTC day it is dated.
        reason: OPEN (not completed), SETTLING (completed lately), MISSING or DELETED.
        since: when it came on the list for this reason.
        due_at: when to read it next.
        misses: in how many runs it was asked for and not there.
        missed_in: the last of these runs.
    """

    engagement_id: str
    day: date
    reason: str
    since: datetime
    due_at: datetime
    misses: int = 0
    missed_in: str | None = None


def put(state: State, account: str, watched: Iterable[Watched]) -> None:
    """Put engagements on the list, in place of what it says of them."""
    rows = [_row(account, one) for one in watched]
    with state.write() as connection:
        upsert(connection, _watch, rows)


def take_off(state: State, account: str, ids: Collection[str]) -> None:
    """Take engagements off the list."""
    if not ids:
        return
    with state.write() as connection:
        connection.execute(
            _watch.delete().where(
                _watch.c.account_id == account, _among(connection, ids)
            )
        )


def due(
    state: State, account: str, now: datetime, *, deleted: bool = False
) -> list[Watched]:
    """Those to be read by now, or those to be purged; the longest due first."""
    is_deleted = _watch.c.reason == DELETED
    query = (
        sa.select(_watch)
        .where(
            _watch.c.account_id == account,
            _watch.c.due_at <= now,
            is_deleted if deleted else sa.not_(is_deleted),
        )
        .order_by(_watch.c.due_at, _watch.c.engagement_id)
    )
    return _read(state, query)


def missing(state: State, account: str, day: date) -> dict[str, Watched]:
    """The account-day's engagements that a walk or a read did not show."""
    query = sa.select(_watch).where(
        _watch.c.account_id == account,
        _watch.c.day == day,
        _watch.c.reason == MISSING,
    )
    return {one.engagement_id: one for one in _read(state, query)}


def listed(state: State, account: str) -> list[Watched]:
    """The account's whole list, by id."""
    query = (
        sa.select(_watch)
        .where(_watch.c.account_id == account)
        .order_by(_watch.c.engagement_id)
    )
    return _read(state, query)


def of_ids(state: State, account: str, ids: Collection[str]) -> dict[str, Watched]:
    """What the list says of these."""
    if not ids:
        return {}
    wanted = set(ids)
    query = sa.select(_watch).where(_watch.c.account_id == account)
    with state.read() as connection:
        # A short list is read whole sooner than each id is looked up in it.
        found = _watched(connection.execute(query.limit(len(ids) + 1)))
        if len(found) > len(ids):
            query = query.where(_among(connection, ids))
            found = _watched(connection.execute(query))
    return {one.engagement_id: one for one in found if one.engagement_id in wanted}


def _read(state: State, query: sa.Select[Any]) -> list[Watched]:
    with state.read() as connection:
        return _watched(connection.execute(query))


def _watched(rows: Iterable[Any]) -> list[Watched]:
    return [
        Watched(
            row.engagement_id,
            row.day,
            row.reason,
            row.since,
            row.due_at,
            row.misses,
            row.missed_in,
        )
        for row in rows
    ]


def _row(account: str, one: Watched) -> dict[str, Any]:
    return {
        "account_id": account,
        "engagement_id": one.engagement_id,
        "day": one.day,
        "reason": one.reason,
        "since": one.since,
        "due_at": one.due_at,
        "misses": one.misses,
        "missed_in": one.missed_in,
    }


def _among(connection: sa.Connection, ids: Collection[str]) -> Any:
    """Whether an engagement is one of these, as one parameter however many they are."""
    column = _watch.c.engagement_id
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.String)))
    listed = sa.func.json_each(json.dumps(list(ids))).table_valued("value")
    return column.in_(sa.select(listed.c.value))
