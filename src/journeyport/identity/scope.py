"""The scope of a night: what its changes reach in the index, and nothing else.

Lies in temporary tables of the index's transaction until the next `reach`.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa

from journeyport.identity.index import Index


def reach(
    index: Index,
    seeds: Iterable[int],
    touched: Iterable[int],
    ties: Mapping[int, Iterable[int]],
) -> None:
    """Set the scope: all that is connected with the seeds, crowded values apart.

    `touched` engagements are in it in any case; `ties` lead from a value to those
    that operators' rules name beside it.
    """
    index.fill("wanted_engagements", touched)
    index.fill("wanted_values", ())
    edge = list(seeds)
    while edge:
        edge += [other for value in edge for other in ties.get(value, ())]
        index.fill("edge_values", edge)
        index.run(
            "DELETE FROM edge_values WHERE id IN (SELECT id FROM wanted_values) "
            "OR EXISTS (SELECT 1 FROM identity_index_values v "
            "WHERE v.id = edge_values.id AND (v.weight = 0 OR v.crowded))"
        )
        index.run("INSERT INTO wanted_values SELECT id FROM edge_values")
        index.run("DELETE FROM edge_engagements")
        index.run(
            "INSERT INTO edge_engagements SELECT DISTINCT e.engagement "
            "FROM edge_values w CROSS JOIN identity_index_evidence e "
            "WHERE e.value = w.id AND NOT EXISTS "
            "(SELECT 1 FROM wanted_engagements x WHERE x.id = e.engagement)"
        )
        index.run("INSERT INTO wanted_engagements SELECT id FROM edge_engagements")
        edge = [
            value
            for (value,) in index.rows(
                "SELECT DISTINCT e.value FROM edge_engagements w "
                "CROSS JOIN identity_index_evidence e "
                "CROSS JOIN identity_index_values v "
                "WHERE e.engagement = w.id AND v.id = e.value "
                "AND v.weight > 0 AND NOT v.crowded AND NOT EXISTS "
                "(SELECT 1 FROM wanted_values x WHERE x.id = e.value)"
            )
        ]


class Known(NamedTuple):
    """A value of the scope, as the last night left it."""

    number: int
    kind: str
    value: str
    weight: int
    customer: str | None
    crowded: bool
    often: int


def scope_values(index: Index) -> list[Known]:
    """The values of the scope."""
    rows = index.rows(
        "SELECT v.id, v.kind, v.value, v.weight, v.customer, v.crowded, v.often "
        "FROM wanted_values w CROSS JOIN identity_index_values v WHERE v.id = w.id"
    )
    return [Known(*row) for row in rows]


def scope_engagements(index: Index) -> pa.Table:
    """engagement_id, start_date, status, channel, topic of the scope."""
    rows = index.rows(
        "SELECT e.name, e.start, e.status, e.channel, e.topic "
        "FROM wanted_engagements w CROSS JOIN identity_index_engagements e "
        "WHERE e.id = w.id ORDER BY e.name"
    )
    columns = list(zip(*rows, strict=True)) or [()] * 5
    starts = pa.array(columns[1], pa.int64()).cast(pa.timestamp("us", "UTC"))
    name, status, channel, topic = (
        pa.array(columns[place], pa.string()) for place in (0, 2, 3, 4)
    )
    return pa.table(
        {
            "engagement_id": name,
            "start_date": starts,
            "status": status,
            "channel": channel,
            "topic": topic,
        }
    )


def scope_identifiers(index: Index) -> tuple[pa.Table, dict[tuple[str, str], int]]:
    """engagement_id, identifier_type, value; and the numbers of crowded values."""
    rows = index.rows(
        "SELECT n.name, v.kind, v.value, v.id, v.crowded FROM wanted_engagements w "
        "CROSS JOIN identity_index_engagements n "
        "CROSS JOIN identity_index_evidence e CROSS JOIN identity_index_values v "
        "WHERE n.id = w.id AND e.engagement = w.id AND v.id = e.value"
    )
    columns = list(zip(*rows, strict=True)) or [()] * 5
    crowded = {(kind, value): number for _, kind, value, number, flag in rows if flag}
    names = ("engagement_id", "identifier_type", "value")
    return pa.table(
        {
            name: pa.array(columns[place], pa.string())
            for place, name in enumerate(names)
        }
    ), crowded


def drop_bare_values(index: Index) -> None:
    """Forget values of the scope that no engagement carries any more."""
    index.run(
        "DELETE FROM identity_index_values WHERE id IN "
        "(SELECT id FROM wanted_values) AND NOT EXISTS "
        "(SELECT 1 FROM identity_index_evidence e "
        "WHERE e.value = identity_index_values.id)"
    )
