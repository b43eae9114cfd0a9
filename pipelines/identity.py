"""Identity: which customer each engagement belongs to, and every customer's journey.

The rules live in `journeyport.identity`; here they are one asset of several tables.
"""

from collections.abc import Iterator

import dagster as dg

from journeyport.tables import DAILY
from pipelines.catalogue import IDENTITY, spec
from pipelines.resources import Site
from pipelines.words import in_words

_DEPS = [table.name for table in DAILY]


@dg.multi_asset(
    name="identity",
    specs=[spec(table, deps=_DEPS) for table in IDENTITY],
)
def identity_tables(
    context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]
) -> Iterator[dg.MaterializeResult[None]]:
    """Customers, journeys and which engagements are whose."""
    from journeyport import delivery

    with in_words():
        report = delivery.resolve(
            site.run(context.run), site.identity, accounts=site.accounts
        )
    site.told["identity"] = delivery.told(report)
    for table in IDENTITY:
        each = {name: one.rows[table.name] for name, one in report.accounts.items()}
        yield dg.MaterializeResult(
            asset_key=table.name,
            metadata={
                "dagster/row_count": sum(each.values()),
                **{f"rows {name}": rows for name, rows in each.items()},
                "identity version": max(
                    (one.version for one in report.accounts.values()), default=0
                ),
                "changed": report.changed,
            },
        )
