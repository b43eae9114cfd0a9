"""Snapshots that change only where something changed.

A row keeps the identity version in which its content last changed; other accounts' rows
are carried over untouched. What the rows say is worked out elsewhere.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import conform, empty
from journeyport.schema import Table

VERSION = "identity_version"


@dataclass(frozen=True)
class Carried:
    """One table of one account, beside what it was.

    Attributes:
        data: all rows, versions and hashes filled.
        changed: rows that are new or differ.
        gone: rows that are no longer there.
    """

    data: pa.Table
    changed: int
    gone: int


def carry(table: Table, rows: pa.Table, before: pa.Table, version: int) -> Carried:
    """Give each row its version: the old one where the same row stood there before.

    `before` is the account's part of the last snapshot; what is new or differs gets
    `version`. Rows that bring their own `identity_version` keep it.
    """
    if VERSION in rows.column_names or not len(before):
        if VERSION not in rows.column_names:
            rows = rows.append_column(VERSION, pa.repeat(pa.scalar(version), len(rows)))
        whole = conform(table, rows)
        return Carried(whole, *_differences(table, whole, before))
    place = pc.index_in(_keys(table, rows), value_set=_keys(table, before))
    same = pc.is_valid(place)
    for column in table.content:
        if column.name != VERSION:
            theirs = before[column.name].take(place)
            same = pc.and_(same, _equal(rows[column.name].cast(theirs.type), theirs))
    kept = pc.if_else(same, before[VERSION].take(place), version)
    whole = conform(table, rows.append_column(VERSION, kept))
    return Carried(whole, *_differences(table, whole, before))


def _equal(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> pa.ChunkedArray:
    """Equal, or both null."""
    nothing = pc.and_(pc.is_null(ours), pc.is_null(theirs))
    return pc.or_(pc.fill_null(pc.equal(ours, theirs), False), nothing)


def _differences(table: Table, rows: pa.Table, before: pa.Table) -> tuple[int, int]:
    """How many rows are new or differ, and how many keys are gone."""
    if not len(before):
        return len(rows), 0
    known = pc.is_in(rows["_row_hash"], value_set=before["_row_hash"].combine_chunks())
    changed = len(rows) - (pc.sum(known).as_py() or 0)
    kept = _keys(table, rows)
    gone = pc.invert(pc.is_in(_keys(table, before), value_set=kept))
    return changed, pc.sum(gone).as_py() or 0


def _keys(table: Table, rows: pa.Table) -> pa.Array:
    parts = [rows[name].cast(pa.string()) for name in table.key]
    joined = pc.binary_join_element_wise(
        *parts, "\x1f", null_handling="replace", null_replacement="\x1e"
    )
    whole = joined.combine_chunks()
    return pa.concat_arrays(whole.chunks) if hasattr(whole, "chunks") else whole


def beside(table: Table, others: pa.Table, accounts: list[pa.Table]) -> pa.Table:
    """The whole snapshot: accounts left alone, then those that were resolved."""
    return pa.concat_tables([empty(table), others, *accounts])
