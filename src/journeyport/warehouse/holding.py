"""What is held back: account-days whose rows must not reach the warehouse yet.

The daily tables of such a day are simply not loaded. The snapshots are written over all
days, so there the rows that come from the days held back are left as the warehouse has
them: rows of their engagements, refusals first seen there, and rows of customers who
are known by nothing else.
A customer known by other days too is delivered as the lake knows it, counts included.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from journeyport.lake import Lake
from journeyport.schema import Layout, Table
from journeyport.tables import ENGAGEMENT_CUSTOMERS, IDENTITY_REFUSALS
from journeyport.warehouse.dialect import Dialect
from journeyport.warehouse.difference import Span, inside, spans


class Withheld:
    """The account-days held back, and what of the snapshots comes from them.

    Args:
        lake: the lake.
        days: the account-days.
    """

    def __init__(self, lake: Lake, days: frozenset[tuple[str, date]]) -> None:
        self.lake = lake
        self.spans = spans(list(days))

    @cached_property
    def customers(self) -> pa.Array:
        """The customers known by the days held back alone."""
        rows = self.lake.read_snapshot(ENGAGEMENT_CUSTOMERS.name)
        held = _within(rows, self.spans)
        ids = rows.column("customer_id")
        known = ids.filter(pc.invert(held)).drop_null()
        found = pc.unique(ids.filter(held).drop_null())
        return found.filter(pc.invert(pc.is_in(found, value_set=known)))

    def concerns(self, table: Table) -> bool:
        """Whether some rows of a snapshot may be held back."""
        return bool(
            self.spans
            and table.layout is Layout.SNAPSHOT
            and (_when(table) or "customer_id" in table.names)
        )

    def without(self, table: Table, data: pa.Table) -> pa.Table:
        """The rows of a snapshot that may be delivered."""
        if not self.concerns(table):
            return data
        when = _when(table)
        if when:
            held = _within(data, self.spans, when)
        else:
            held = pc.is_in(data.column("customer_id"), value_set=self.customers)
        return data.filter(pc.invert(held))

    @contextmanager
    def apart(
        self,
        connection: sa.Connection,
        dialect: Dialect,
        table: Table,
        target: sa.Table,
    ) -> Iterator[sa.ColumnElement[bool] | None]:
        """The condition of the rows in the warehouse that are left as they are."""
        when = _when(table)
        if not self.concerns(table):
            yield None
        elif when:
            known = target.c[when].is_not(None)
            yield known & inside(target, self.spans, when)
        else:
            name = "customer_id"
            ids = pa.table({name: self.customers})
            with dialect.staged(connection, "held", target, ids) as stage:
                same = stage.c[name] == target.c[name]
                yield sa.select(stage.c[name]).where(same).exists()


def _when(table: Table) -> str | None:
    """The column that says which day a row of a snapshot comes from, if one does."""
    if table is IDENTITY_REFUSALS:
        return "seen_at"
    return "start_date" if "start_date" in table.names else None


def _within(
    data: pa.Table, of: list[Span], when: str = "start_date"
) -> pa.ChunkedArray:
    found = pa.chunked_array([pa.nulls(len(data), pa.bool_()).fill_null(False)])
    account, start = data.column("account_id"), data.column(when)
    for span in of:
        late = pc.greater_equal(start, pa.scalar(span.low, start.type))
        early = pc.less(start, pa.scalar(span.high, start.type))
        here = pc.and_(pc.equal(account, span.account), pc.and_(late, early))
        here = pc.fill_null(here, False)  # an operator's rule is of no day
        found = pc.or_(found, here)
    return found
