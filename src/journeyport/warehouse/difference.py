"""One table, lake against warehouse: what differs, and writing just that.

A row's hash covers its key and its content. So the difference of two sets of rows is
the difference of two sets of hashes, and only rows that are new to the warehouse ever
travel there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from journeyport.errors import ContractError
from journeyport.schema import Table
from journeyport.warehouse.dialect import Dialect
from journeyport.warehouse.report import Counts

HASH = "_row_hash"


@dataclass(frozen=True)
class Span:
    """Consecutive UTC days of one account."""

    account: str
    low: datetime
    high: datetime
    """Exclusive."""


def spans(days: Sequence[tuple[str, date]]) -> list[Span]:
    """The account-days as few spans as they make."""
    found: list[Span] = []
    for account, of_account in groupby(sorted(set(days)), key=lambda item: item[0]):
        for _, day in of_account:
            low = datetime(day.year, day.month, day.day, tzinfo=UTC)
            high = low + timedelta(days=1)
            last = found[-1] if found else None
            if last is not None and (last.account, last.high) == (account, low):
                found[-1] = Span(account, last.low, high)
            else:
                found.append(Span(account, low, high))
    return found


def inside(target: sa.Table, of: Sequence[Span] | None) -> sa.ColumnElement[bool]:
    """Whether a row lies in one of the spans; None: every row does."""
    if of is None:
        return sa.true()
    return sa.or_(
        sa.false(),
        *(
            sa.and_(
                target.c.account_id == span.account,
                target.c.start_date >= span.low,
                target.c.start_date < span.high,
            )
            for span in of
        ),
    )


@dataclass(frozen=True)
class Place:
    """A table in the warehouse, or some days of it.

    Attributes:
        connection: inside the transaction.
        dialect: the kind of warehouse.
        table: the declaration.
        target: the table there.
        days: the spans; None: the whole table.
    """

    connection: sa.Connection
    dialect: Dialect
    table: Table
    target: sa.Table
    days: Sequence[Span] | None

    @property
    def inside(self) -> sa.ColumnElement[bool]:
        """Whether a row lies in the spans."""
        return inside(self.target, self.days)

    def hashes(self, where: sa.ColumnElement[bool]) -> pa.Array:
        """The hashes of the rows that are there."""
        select = sa.select(self.target.c[HASH]).where(where)
        return self.dialect.fetch(self.connection, select).column(0).combine_chunks()


def deliver(place: Place, data: pa.Table, *, rewrite: bool = False) -> Counts:
    """Make the warehouse's rows in the spans those of the lake.

    Rows of an engagement that moved here from a day outside the spans leave that day.

    Args:
        place: where.
        data: all rows of the lake in the spans, with their hashes.
        rewrite: take all rows away first, whatever hash they carry.

    Raises:
        ContractError: a key stands twice in `data`.
    """
    removed = 0
    if rewrite:
        everything = sa.delete(place.target).where(place.inside)
        removed = place.connection.execute(everything).rowcount
    held = place.hashes(place.inside)
    fresh = data.filter(pc.invert(_among(data.column(HASH), held)))
    gone = held.filter(pc.invert(_among(held, data.column(HASH))))
    same = Counts(deleted=removed, unchanged=len(data) - len(fresh))
    if not len(fresh) and not len(gone):
        return same
    _check_keys(place.table, data, fresh)
    connection, dialect = place.connection, place.dialect
    stage = _staged(place.target, "stage", data.schema.names)
    old = _staged(place.target, "gone", [HASH])
    if len(fresh):
        dialect.stage(connection, stage, dialect.storable(fresh))
        moved = _moved(place, stage)
        if len(moved):
            gone = pa.concat_arrays([gone, moved])
            place = replace(place, days=None)
    if len(gone):
        dialect.stage(connection, old, pa.table({HASH: gone}))
    written = _write(place, stage, old, len(fresh), len(gone))
    # Not after an error: the transaction is over then, and the staged tables with it.
    if len(fresh):
        dialect.unstage(connection, stage)
    if len(gone):
        dialect.unstage(connection, old)
    return same + written


def _among(values: pa.Array | pa.ChunkedArray, known: object) -> pa.Array:
    return pc.is_in(values, value_set=known)


def _check_keys(table: Table, data: pa.Table, fresh: pa.Table) -> None:
    """A key that stands twice has at least one row that is new."""
    if "engagement_id" in table.key:
        touched = _among(data.column("engagement_id"), fresh.column("engagement_id"))
        data = data.filter(touched)
    keys = data.select(list(table.key)).group_by(list(table.key)).aggregate([])
    twice = len(data) - len(keys)
    if twice:
        raise ContractError(
            f"{table.name} holds {twice} rows of the lake whose key stands there "
            "already; normalise the days delivered again, and report it if it stays."
        )


def _staged(target: sa.Table, what: str, names: Sequence[str]) -> sa.Table:
    return sa.Table(
        f"{what}_{target.name}",
        sa.MetaData(),
        *(sa.Column(name, target.c[name].type) for name in names),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


def _same_key(table: Table, left: sa.Table, right: sa.Table) -> sa.ColumnElement[bool]:
    """Whether two rows have the same key; a null equals a null."""
    return sa.and_(
        *(
            left.c[name] == right.c[name]
            if table.column(name).required
            else left.c[name].is_not_distinct_from(right.c[name])
            for name in table.key
        )
    )


def _moved(place: Place, stage: sa.Table) -> pa.Array:
    """Hashes of rows, outside the spans, of engagements that are inside now."""
    if place.days is None:
        return pa.array([], pa.string())
    target = place.target
    here = (
        sa.select(stage.c.engagement_id)
        .where(stage.c.engagement_id == target.c.engagement_id)
        .where(stage.c.account_id == target.c.account_id)
        .exists()
    )
    return place.hashes(here & ~place.inside)


def _write(
    place: Place, stage: sa.Table, old: sa.Table, fresh: int, gone: int
) -> Counts:
    """Put the staged rows in place of the old ones."""
    connection, target = place.connection, place.target
    names = [column.name for column in stage.columns]
    rows = sa.select(*(stage.c[name] for name in names))
    insert = sa.insert(target).from_select(names, rows)
    stale = target.c[HASH].in_(sa.select(old.c[HASH])) & place.inside
    clear = sa.delete(target).where(stale)
    if not gone:
        connection.execute(insert)
        return Counts(fresh)
    if not fresh:
        connection.execute(clear)
        return Counts(deleted=gone)
    match = _same_key(place.table, target, stage)
    upsert = place.dialect.upsert
    if upsert is None:
        joined = sa.select(sa.func.count()).select_from(target.join(stage, match))
        replaced = connection.scalar(joined.where(stale)) or 0
        connection.execute(clear)
        connection.execute(insert)
    elif all(place.table.column(name).required for name in place.table.key):
        connection.execute(upsert(target, names, rows, place.table.key))
        # What was written over has another hash now.
        replaced = gone - connection.execute(clear).rowcount
    else:
        content = {name: stage.c[name] for name in names if name not in place.table.key}
        update = sa.update(target).values(content).where(match)
        replaced = connection.execute(update).rowcount
        connection.execute(clear)
        known = sa.select(sa.literal(1)).select_from(target).where(match).exists()
        connection.execute(sa.insert(target).from_select(names, rows.where(~known)))
    return Counts(fresh - replaced, replaced, gone - replaced)
