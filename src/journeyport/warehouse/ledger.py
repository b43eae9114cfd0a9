"""The sink ledger as a table of the lake."""

import pyarrow as pa

from journeyport.arrow import conform
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state.warehouse import deliveries
from journeyport.tables import SINK_LEDGER


def publish_ledger(lake: Lake, state: State, *, run_id: str) -> int:
    """Write what every target was given so far into the lake; the number of rows.

    A load publishes before it begins, so that what it delivers is what the lake
    holds; its own entry is published by the next one, or by a call after it.
    """
    rows = deliveries(state)
    columns = {name: [row[name] for row in rows] for name in SINK_LEDGER.names}
    data = conform(SINK_LEDGER, pa.table(columns)) if rows else None
    if data is not None:
        lake.write_snapshot(SINK_LEDGER.name, data, run_id=run_id)
    return len(rows)
