"""A night's part of the tables put in place of what stood there.

Costs what the tables weigh, not what changed; measured apart from the night itself.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import empty
from journeyport.identity import rows
from journeyport.identity.history import Identifier, redirected
from journeyport.identity.journeys import journeys
from journeyport.identity.night import Touched
from journeyport.identity.snapshots import Carried, carry
from journeyport.schema import Table
from journeyport.tables import (
    CUSTOMER_ID_HISTORY,
    CUSTOMER_ID_REDIRECTS,
    CUSTOMER_IDENTIFIERS,
    CUSTOMERS,
    ENGAGEMENT_CUSTOMERS,
    IDENTITY_LINKS,
    IDENTITY_REFUSALS,
    JOURNEY_ENGAGEMENTS,
    JOURNEYS,
)

_BY_CUSTOMER = (CUSTOMERS, IDENTITY_LINKS, JOURNEYS, JOURNEY_ENGAGEMENTS)


def merge(
    before: Mapping[str, pa.Table],
    touched: Touched,
    *,
    account: str,
    gap_hours: float,
    version: int,
) -> dict[str, Carried]:
    """All identity tables of the account after the night."""
    new = rows.decided(
        account,
        touched.evidence,
        touched.weights,
        touched.outcome,
        touched.naming.ids,
    )
    new[JOURNEYS.name], new[JOURNEY_ENGAGEMENTS.name] = journeys(
        touched.engagements,
        new[ENGAGEMENT_CUSTOMERS.name],
        new[CUSTOMERS.name],
        gap_hours=gap_hours,
    )
    old = before[ENGAGEMENT_CUSTOMERS.name]
    stale = {ENGAGEMENT_CUSTOMERS.name: _among(old["engagement_id"], touched.names)}
    for table in _BY_CUSTOMER:
        stale[table.name] = _among(before[table.name]["customer_id"], touched.customers)
    stale[CUSTOMER_IDENTIFIERS.name] = _identifiers(before, new, touched)
    stale[IDENTITY_REFUSALS.name] = _refusals(before, new, touched, account)
    carried = {
        table.name: _carry(
            table, new[table.name], before[table.name], stale[table.name], version
        )
        for table in (
            ENGAGEMENT_CUSTOMERS,
            CUSTOMER_IDENTIFIERS,
            IDENTITY_REFUSALS,
            *_BY_CUSTOMER,
        )
    }
    return carried | _remembered(before, touched, account, version)


def _carry(
    table: Table, new: pa.Table, before: pa.Table, stale: pa.Array, version: int
) -> Carried:
    part = carry(table, new, before.filter(stale), version)
    whole = pa.concat_tables([empty(table), before.filter(pc.invert(stale)), part.data])
    return Carried(whole, part.changed, part.gone)


def _identifiers(
    before: Mapping[str, pa.Table], new: dict[str, pa.Table], touched: Touched
) -> pa.Array:
    """Stale rows of `customer_identifiers`; new ones are completed.

    A crowded value's first, last and count change in the rows of all who share it.
    """
    name = CUSTOMER_IDENTIFIERS.name
    old, mine = before[name], new[name]
    theirs = _among(old["customer_id"], touched.customers)
    crowded = _named(old, ("identifier_type", "value"), touched.crowded)
    kept = old.filter(pc.and_(crowded, pc.invert(theirs))).select(mine.column_names)
    whole = pa.concat_tables([mine, kept.cast(mine.schema)])
    listed = list(touched.crowded)
    place = pc.index_in(
        _joined(whole, ("identifier_type", "value")),
        value_set=pa.array(["\x1f".join(value) for value in listed], pa.string()),
    )
    for number, column in enumerate(
        ("first_seen_at", "last_seen_at", "engagement_count")
    ):
        seen = pa.array(
            [touched.crowded[value][number] for value in listed], pa.int64()
        )
        field = whole.schema.field(column)
        found = seen.take(place).cast(field.type)
        where = whole.schema.get_field_index(column)
        whole = whole.set_column(where, field, pc.coalesce(found, whole[column]))
    new[name] = whole
    return pc.or_(theirs, crowded)


def _refusals(
    before: Mapping[str, pa.Table],
    new: dict[str, pa.Table],
    touched: Touched,
    account: str,
) -> pa.Array:
    """Stale rows of `identity_refusals`; new ones are completed.

    Pairs of values that are not walked through are known only as far as the night's own
    engagements say; the index gives their earliest meeting.
    """
    name = IDENTITY_REFUSALS.name
    old, mine = before[name], new[name]
    left, right = ("left_type", "left_value"), ("right_type", "right_value")
    shut = [
        touched.evidence.name(place)
        for place in np.flatnonzero(
            touched.weights.crowded | touched.weights.blocked
        ).tolist()
    ]
    partial = pc.and_(_named(mine, left, shut), _named(mine, right, shut))
    new[name] = pa.concat_tables(
        [mine.filter(pc.invert(partial)), _meetings(touched, account, mine.schema)]
    )
    stale = pc.or_(
        _named(old, left, touched.values), _named(old, right, touched.values)
    )
    met = ["\x1f".join((*one, *other)) for one, other in touched.meetings]
    both = _joined(old, (*left, *right))
    return pc.or_(stale, pc.is_in(both, value_set=pa.array(met, pa.string())))


def _meetings(touched: Touched, account: str, schema: pa.Schema) -> pa.Table:
    found = []
    for (one, other), first in touched.meetings.items():
        if first is None:
            continue
        pair = (one in touched.blocked, other in touched.blocked)
        found.append(
            {
                "account_id": account,
                "left_type": one[0],
                "left_value": one[1],
                "right_type": other[0],
                "right_value": other[1],
                "rule": "BLOCKED" if any(pair) else "WEAK_PAIR",
                "engagement_id": first[0],
                "seen_at": np.datetime64(first[1], "us").item(),
            }
        )
    columns = {
        field.name: pa.array([row.get(field.name) for row in found]).cast(field.type)
        for field in schema
    }
    return pa.table(columns, schema=schema)


def _remembered(
    before: Mapping[str, pa.Table], touched: Touched, account: str, version: int
) -> dict[str, Carried]:
    """History with the night's events, and where retired ids lead now."""
    events = touched.naming.events
    old = before[CUSTOMER_ID_REDIRECTS.name]
    led = {
        retired: (living, reason)
        for retired, living, reason in zip(
            old["retired_customer_id"].to_pylist(),
            old["customer_id"].to_pylist(),
            old["reason"].to_pylist(),
            strict=True,
        )
    }
    tables = rows.remembered(
        account, events, redirected(led, events) if events else led
    )
    history = CUSTOMER_ID_HISTORY
    added = carry(history, tables[history.name], empty(history), version)
    return {
        history.name: Carried(
            pa.concat_tables([before[history.name], added.data]), len(events), 0
        ),
        CUSTOMER_ID_REDIRECTS.name: carry(
            CUSTOMER_ID_REDIRECTS, tables[CUSTOMER_ID_REDIRECTS.name], old, version
        ),
    }


def _among(column: pa.ChunkedArray, names: Iterable[str]) -> pa.Array:
    return pc.is_in(column, value_set=pa.array(sorted(names), pa.string()))


def _joined(table: pa.Table, columns: Sequence[str]) -> pa.Array:
    return pc.binary_join_element_wise(*(table[name] for name in columns), "\x1f")


def _named(
    table: pa.Table, columns: tuple[str, str], names: Iterable[Identifier]
) -> pa.Array:
    wanted = pa.array(["\x1f".join(name) for name in names], pa.string())
    return pc.is_in(_joined(table, columns), value_set=wanted)
