"""One table, lake against warehouse: what differs, and writing just that.

A row's hash covers its key and its content. So the difference of two sets of rows is
the difference of two sets of hashes, and only rows that are new to the warehouse ever
travel there.

Few changes in a large table are written over the rows that are there, one write each.
Where much of a table changes, the old rows are deleted and the new ones go straight
into the table by the bulk path: that takes a third of the time, and no staging.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
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

_OLD = 1 << 32
"""What an old row counts where keys are counted; a new one counts 1."""

BULK_ROWS = 10_000
"""So many rows at the least before changed ones are deleted and inserted again."""

BULK_SHARE = 0.05
"""And more than this share of the table's rows; below it a row is one write."""


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


def inside(
    target: sa.Table, of: Sequence[Span] | None, when: str = "start_date"
) -> sa.ColumnElement[bool]:
    """Whether a row lies in one of the spans; None: every row does."""
    if of is None:
        return sa.true()
    return sa.or_(
        sa.false(),
        *(
            sa.and_(
                target.c.account_id == span.account,
                target.c[when] >= span.low,
                target.c[when] < span.high,
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
        elsewhere: spans beside these in which rows may stand that the lake now holds
            in these: those that the warehouse has in another state than the lake.
        apart: condition of rows that are left as they are; None: there are none.
        rows: how many rows the table holds there, about.
    """

    connection: sa.Connection
    dialect: Dialect
    table: Table
    target: sa.Table
    days: Sequence[Span] | None
    elsewhere: Sequence[Span] = ()
    apart: sa.ColumnElement[bool] | None = None
    rows: int = 0

    @property
    def inside(self) -> sa.ColumnElement[bool]:
        """Whether a row lies in the spans and is not left as it is."""
        here = inside(self.target, self.days)
        return here if self.apart is None else here & ~self.apart

    def hashes(self, where: sa.ColumnElement[bool]) -> pa.Array:
        """The hashes of the rows that are there."""
        select = sa.select(self.target.c[HASH]).where(where)
        return self.dialect.fetch(self.connection, select).column(0).combine_chunks()

    def staged(self, what: str, data: pa.Table) -> AbstractContextManager[sa.Table]:
        """Rows beside the table, for statements about it."""
        return self.dialect.staged(self.connection, what, self.target, data)


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
    touched = _touched(place.table, data, fresh)
    stale = place.inside
    moved = _moved(place, fresh)
    if len(moved):
        gone, stale = pa.concat_arrays([gone, moved]), sa.true()
    if not len(gone):
        _replaced(place.table, touched)
        place.dialect.append(place.connection, place.target, _storable(place, fresh))
        return same + Counts(inserted=len(fresh))
    in_bulk = _is_in_bulk(place, fresh)
    if in_bulk and len(gone) == len(held) and not len(moved):
        # All that is there goes: nothing is to be picked out of it.
        replaced = _in_place_of(place, stale, touched, fresh)
    else:
        with place.staged("gone", pa.table({HASH: gone})) as old:
            stale &= place.target.c[HASH].in_(sa.select(old.c[HASH]))
            if in_bulk:
                replaced = _in_place_of(place, stale, touched, fresh)
            else:
                _replaced(place.table, touched)
                with place.staged("stage", _storable(place, fresh)) as stage:
                    replaced = _write_over(place, stale, stage)
    return same + Counts(len(fresh) - replaced, replaced, len(gone) - replaced)


def _is_in_bulk(place: Place, fresh: pa.Table) -> bool:
    """Whether old rows are deleted and new ones inserted, not written over them."""
    if not len(fresh) or not place.dialect.writes_over:
        return True
    return len(fresh) >= BULK_ROWS and len(fresh) > BULK_SHARE * place.rows


def _storable(place: Place, data: pa.Table) -> pa.Table:
    return place.dialect.storable(data)


def _among(values: pa.Array | pa.ChunkedArray, known: object) -> pa.Array:
    return pc.is_in(values, value_set=known)


def _touched(table: Table, data: pa.Table, fresh: pa.Table) -> pa.Table:
    """The keys among which a new row's key may stand twice."""
    if "engagement_id" in table.key and 2 * len(fresh) < len(data):
        data = data.filter(
            _among(data.column("engagement_id"), fresh.column("engagement_id"))
        )
    return data.select(list(table.key))


def _replaced(table: Table, keys: pa.Table, old: pa.Table | None = None) -> int:
    """How many of the keys are among the old ones; a null equals a null.

    Raises:
        ContractError: a key stands twice.
    """
    sides = [(keys, 1)] if old is None else [(keys, 1), (old, _OLD)]
    rows = pa.concat_tables(
        [
            side.append_column(
                "_times", pa.repeat(pa.scalar(one, pa.int64()), len(side))
            )
            for side, one in sides
        ],
        promote_options="permissive",
    )
    times = rows.group_by(list(table.key)).aggregate([("_times", "sum")])
    found = times.column("_times_sum").to_numpy()
    new = found % _OLD > 0
    twice = len(keys) - int(new.sum())
    if twice:
        raise ContractError(
            f"{table.name} holds {twice} rows of the lake whose key stands there "
            "already; normalise the days delivered again, and report it if it stays."
        )
    return int((new & (found >= _OLD)).sum())


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


def _moved(place: Place, fresh: pa.Table) -> pa.Array:
    """Hashes of rows, outside the spans, of engagements that are inside now."""
    if not place.elsewhere or not len(fresh):
        return pa.array([], pa.string())
    target, whose = place.target, ["account_id", "engagement_id"]
    ids = fresh.select(whose).group_by(whose).aggregate([])
    with place.staged("here", ids) as here:
        known = sa.and_(*(here.c[name] == target.c[name] for name in whose))
        is_here = sa.select(here.c.engagement_id).where(known).exists()
        return place.hashes(inside(target, place.elsewhere) & is_here)


def _in_place_of(
    place: Place, stale: sa.ColumnElement[bool], keys: pa.Table, fresh: pa.Table
) -> int:
    """Delete the old rows, insert the new ones; how many of them had a key there."""
    connection, target = place.connection, place.target
    if not len(fresh):
        connection.execute(sa.delete(target).where(stale))
        return 0
    old = place.dialect.take(connection, target, stale, place.table.key)
    replaced = _replaced(place.table, keys, old)
    place.dialect.append(connection, target, _storable(place, fresh))
    return replaced


def _write_over(place: Place, stale: sa.ColumnElement[bool], stage: sa.Table) -> int:
    """Write the new rows over those with their key, delete the rest; how many."""
    connection, target, key = place.connection, place.target, place.table.key
    names = [column.name for column in stage.columns]
    match = _same_key(place.table, target, stage)
    content = {name: stage.c[name] for name in names if name not in key}
    update = sa.update(target).values(content).where(match)
    replaced = connection.execute(update).rowcount
    # What was written over has another hash now.
    connection.execute(sa.delete(target).where(stale))
    known = sa.select(sa.literal(1)).select_from(target).where(match).exists()
    rows = sa.select(*stage.columns).where(~known)
    connection.execute(sa.insert(target).from_select(names, rows))
    return replaced
