"""Identity: which customer each engagement belongs to, and every customer's journey.

The rules live in `journeyport.identity`; here they are one asset of several tables.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from journeyport.tables import CUSTOMERS, DAILY
from pipelines.catalogue import IDENTITY, lineage, spec
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
                **lineage(table, DAILY),
                # Drawing costs seconds; without a change the pictures still hold.
                **(_shown(site) if table is CUSTOMERS and report.changed else {}),
            },
        )


def _shown(site: Site) -> dict[str, dg.MetadataValue]:
    """Coverage, sizes, the largest customers, the most shared values: all masked."""
    from journeyport import identity
    from pipelines import charts

    shown: dict[str, dg.MetadataValue] = {}
    for account in site.accounts:
        found = identity.overview(site.lake, account)
        sizes = {f"{many} own": count for many, count in found.sizes.items()}
        shown |= {
            f"coverage {account}": dg.MetadataValue.text(
                f"{found.coverage:.1%} of engagements have a resolved customer"
            ),
            f"customer sizes {account}": charts.bars(
                f"Customers of {account} by how many identifiers are their own",
                sizes,
                "customers",
            ),
            f"largest customers {account}": _rows(
                ("customer", "identifiers", "engagements"),
                [(f"{one[:8]}…", *numbers) for one, *numbers in found.largest],
            ),
            f"most shared {account}": _rows(
                ("type", "value, masked", "candidates", "engagements"),
                [
                    (one.identifier_type, one.masked, one.candidates, one.engagements)
                    for one in found.shared
                ],
            ),
        }
    return shown


def _rows(names: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MetadataValue:
    if not rows:
        return dg.MetadataValue.md("None.")
    lines = [names, ["---"] * len(names), *rows]
    return dg.MetadataValue.md(
        "\n".join(f"| {' | '.join(map(str, one))} |" for one in lines)
    )
