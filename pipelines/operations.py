"""What the runs did, published from the state; and where a run ends red.

The last step of every run. A failing account did not stop the others on the way here;
this is where it is said.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from journeyport.tables import OPERATIONS, REJECTED_RECORDS
from pipelines.catalogue import spec
from pipelines.ending import of_backfill
from pipelines.resources import Site
from pipelines.words import in_words

# An export may leave the targets out: the last step then still waits for the tables.
_DEPS = ("engagements", "agents", "customers", "warehouse", "crm_plan")


@dg.multi_asset(
    name="operations",
    specs=[spec(table, deps=_DEPS) for table in OPERATIONS],
)
def operations_tables(
    context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]
) -> Iterator[dg.MaterializeResult[None]]:
    """Certificates, windows, deliveries and rejects, for whoever wants to know."""
    from journeyport import delivery, seeing
    from pipelines import charts

    with in_words():
        run = site.run(context.run)
        rows = delivery.publish(run, site.home / "catalogue.duckdb", site.rule_hashes)
        rejects = seeing.rejects_by_reason(run.state)
    for table in OPERATIONS:
        facts: dict[str, Any] = {"dagster/row_count": rows[table.name]}
        if table is REJECTED_RECORDS:
            facts["by reason"] = charts.bars("Rejects by reason", rejects, "records")
        yield dg.MaterializeResult(asset_key=table.name, metadata=facts)
    with in_words():
        delivery.end(run, of_backfill(context))
