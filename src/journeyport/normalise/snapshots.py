"""Agents and queues, as all engagements together show them."""

from collections.abc import Iterable

import pyarrow as pa

from journeyport.arrow import conform
from journeyport.lake import Lake, Manifest
from journeyport.normalise.sightings import (
    AGENT,
    GROUPS,
    QUEUE,
    SCHEMA,
    TOGETHER,
    answer,
    sightings,
)
from journeyport.normalise.versions import Workspace
from journeyport.tables import AGENTS, BY_NAME, QUEUES

_AGENTS = f"""
SELECT id AS agent_id, name['is'] AS display_name, extension['is'] AS extension,
    first_seen_at, last_seen_at, engagements AS engagement_count
FROM seen WHERE kind = '{AGENT}'
"""  # noqa: S608 - constants only

_QUEUES = f"""
SELECT id AS queue_id, name['is'] AS queue_name,
    first_seen_at, last_seen_at, engagements AS engagement_count
FROM seen WHERE kind = '{QUEUE}'
"""  # noqa: S608 - constants only


def conform_snapshots(
    lake: Lake, accounts: Iterable[str], *, run_id: str, groups: int = GROUPS
) -> dict[str, Manifest]:
    """Write `agents` and `queues` from the daily tables of these accounts.

    Accounts left out keep the rows they have. Only days that changed since the last
    time are read, so many row groups of a day's longest table at once.
    """
    named = sorted(set(accounts))
    queries = ((AGENTS, _AGENTS), (QUEUES, _QUEUES))
    made: dict[str, list[pa.Table]] = {table.name: [] for table, _ in queries}
    with Workspace() as workspace:
        for account in named:
            seen = _seen(lake, workspace, account, groups)
            for table, query in queries:
                rows = answer(workspace, query, {"seen": seen})
                whose = pa.repeat(pa.scalar(account), len(rows))
                made[table.name].append(rows.append_column("account_id", whose))
    return {
        name: _written(lake, name, parts, named, run_id) for name, parts in made.items()
    }


def _seen(lake: Lake, workspace: Workspace, account: str, groups: int) -> pa.Table:
    """One row per agent and queue of the account, over all its days."""
    months = [
        answer(workspace, TOGETHER, {"seen": month})
        for month in sightings(lake, workspace, account, groups)
    ]
    whole = pa.concat_tables(months) if months else SCHEMA.empty_table()
    return answer(workspace, TOGETHER, {"seen": whole})


def _written(
    lake: Lake, table: str, made: list[pa.Table], accounts: list[str], run_id: str
) -> Manifest:
    declared = BY_NAME[table]
    held = lake.read_snapshot(table)
    mine = pa.compute.is_in(held.column("account_id"), pa.array(accounts, pa.string()))
    others = held.filter(pa.compute.invert(mine))
    parts = [others, *(conform(declared, rows) for rows in made)]
    return lake.write_snapshot(table, pa.concat_tables(parts), run_id=run_id)
