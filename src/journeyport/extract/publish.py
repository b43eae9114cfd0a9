"""What the state knows of extraction, published as tables of the lake."""

from typing import Any

import pyarrow as pa

from journeyport.arrow import conform, empty, schema_of
from journeyport.lake import Lake
from journeyport.schema import Table
from journeyport.state import State, certificates, rejects, windows
from journeyport.tables import CERTIFICATES, EXTRACT_WINDOWS, REJECTED_RECORDS


def publish(lake: Lake, state: State, run_id: str) -> dict[str, int]:
    """Write `certificates`, `extract_windows` and `rejected_records`; rows by table."""
    rows: dict[Table, list[dict[str, Any]]] = {
        CERTIFICATES: certificates.all_rows(state),
        EXTRACT_WINDOWS: windows.all_windows(state),
        REJECTED_RECORDS: rejects.all_rows(state),
    }
    for table, held in rows.items():
        lake.write_snapshot(table.name, _typed(table, held), run_id=run_id)
    return {table.name: len(held) for table, held in rows.items()}


def _typed(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    if not rows:
        return empty(table)
    named = [{name: row.get(name) for name in table.names} for row in rows]
    return conform(table, pa.Table.from_pylist(named, schema=schema_of(table)))
