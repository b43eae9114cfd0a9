"""Agents and queues, as all engagements together show them."""

from collections.abc import Iterable
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from journeyport.arrow import conform, schema_of
from journeyport.lake import Lake, Manifest
from journeyport.normalise.versions import Workspace
from journeyport.tables import AGENTS, BY_NAME, QUEUES

_READ = ("participants", "queue_segments", "transfers", "agent_notes")

_SEEN = "account_id, engagement_id, start_date"

_AGENTS = f"""
WITH sighted AS (
    SELECT {_SEEN}, participant_id AS id, agent_display_name AS name, extension
    FROM participants WHERE role IN ('AGENT', 'SUPERVISOR')
    UNION ALL SELECT {_SEEN}, agent_id, NULL, NULL FROM queue_segments
    UNION ALL SELECT {_SEEN}, initiating_agent_id, NULL, NULL FROM transfers
    UNION ALL SELECT {_SEEN}, destination_agent_id, destination_agent_name, NULL
    FROM transfers
    UNION ALL SELECT {_SEEN}, created_by_id, created_by_name, NULL FROM agent_notes
    UNION ALL SELECT {_SEEN}, updated_by_id, updated_by_name, NULL FROM agent_notes
)
SELECT account_id, lower(trim(id)) AS agent_id,
    max({{'at': start_date, 'of': engagement_id, 'is': name}})
        FILTER (name IS NOT NULL)['is'] AS display_name,
    max({{'at': start_date, 'of': engagement_id, 'is': extension}})
        FILTER (extension IS NOT NULL)['is'] AS extension,
    min(start_date) AS first_seen_at, max(start_date) AS last_seen_at,
    count(DISTINCT engagement_id) AS engagement_count
FROM sighted WHERE trim(id) <> '' GROUP BY ALL
"""  # noqa: S608 - constants only

_QUEUES = f"""
WITH sighted AS (
    SELECT {_SEEN}, queue_id AS id, queue_name AS name, true AS entered
    FROM queue_segments
    UNION ALL SELECT {_SEEN}, queue_id, queue_name, false FROM transfers
    UNION ALL SELECT {_SEEN}, fallback_queue_id, NULL, false FROM transfers
)
SELECT account_id, lower(trim(id)) AS queue_id,
    max({{'at': start_date, 'of': engagement_id, 'is': name}})
        FILTER (name IS NOT NULL)['is'] AS queue_name,
    min(start_date) AS first_seen_at, max(start_date) AS last_seen_at,
    count(DISTINCT engagement_id) FILTER (entered) AS engagement_count
FROM sighted WHERE trim(id) <> '' GROUP BY ALL
"""  # noqa: S608 - constants only


def conform_snapshots(
    lake: Lake, accounts: Iterable[str], *, run_id: str
) -> dict[str, Manifest]:
    """Write `agents` and `queues` from the daily tables of these accounts.

    Accounts left out keep the rows they have.
    """
    named = sorted(set(accounts))
    with Workspace() as workspace:
        connection = workspace.connection
        for table in _READ:
            _register(lake, connection, table, named)
        return {
            table.name: _written(lake, connection, table.name, query, named, run_id)
            for table, query in ((AGENTS, _AGENTS), (QUEUES, _QUEUES))
        }


def _register(
    lake: Lake, connection: duckdb.DuckDBPyConnection, table: str, accounts: list[str]
) -> None:
    """Name the accounts' rows of all days; they are read while they are asked for."""
    places = [
        lake.files.place(path)
        for path in lake.paths(table, date.min, date.max, accounts)
    ]
    schema = schema_of(BY_NAME[table])
    found = (
        ds.dataset(places, schema, filesystem=lake.files.filesystem, format="parquet")
        if places
        else schema.empty_table()
    )
    connection.register(table, found)


def _written(  # noqa: PLR0917 - one step of the loop above
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    table: str,
    query: str,
    accounts: list[str],
    run_id: str,
) -> Manifest:
    found = connection.execute(query).to_arrow_table()
    held = lake.read_snapshot(table)
    mine = pa.compute.is_in(held.column("account_id"), pa.array(accounts, pa.string()))
    others = held.filter(pa.compute.invert(mine))
    made = conform(BY_NAME[table], found)
    return lake.write_snapshot(table, pa.concat_tables([others, made]), run_id=run_id)
