"""What the source showed that was new to us: fields and values, by name, once each.

How it is noticed is said in `journeyport.normalise`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata, upsert

_drift = sa.Table(
    "source_drift",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("seen_at", Instant, nullable=False),
)


@dataclass(frozen=True)
class Seen:
    """A new field or value, and where it was seen first."""

    account: str
    name: str
    day: date
    run_id: str
    seen_at: datetime


def note(
    state: State,
    account: str,
    day: date,
    names: Iterable[str],
    *,
    run_id: str,
    now: datetime,
) -> list[str]:
    """Note what is new on an account-day; the names that were never seen before."""
    wanted = sorted(set(names))
    if not wanted:
        return []
    with state.write() as connection:
        query = sa.select(_drift.c.name).where(_drift.c.account_id == account)
        there = set(connection.scalars(query))
        fresh = [name for name in wanted if name not in there]
        row = {"account_id": account, "day": day, "run_id": run_id, "seen_at": now}
        upsert(connection, _drift, [{**row, "name": name} for name in fresh])
    return fresh


def all_seen(state: State, run_id: str | None = None) -> list[Seen]:
    """Everything new that was ever seen, or first seen by one run."""
    query = sa.select(_drift).order_by(*_drift.primary_key.columns)
    if run_id is not None:
        query = query.where(_drift.c.run_id == run_id)
    with state.read() as connection:
        return [
            Seen(row.account_id, row.name, row.day, row.run_id, row.seen_at)
            for row in connection.execute(query)
        ]
