"""Delivery: the warehouse, and a plan for the CRM.

Only account-days that are proved and sound are delivered. Materialising `crm_plan`
never writes to the CRM, except in a night of the schedule, and there only where
somebody approved an apply for that org and mapping.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from journeyport.tables import DAILY
from pipelines import attribution
from pipelines.catalogue import (
    CRM_OWNER,
    CRM_POOL,
    DAYS,
    IDENTITY,
    OWNER,
    SINGLE_RUN,
    fresh,
    is_night,
)
from pipelines.ending import end_here
from pipelines.resources import Site
from pipelines.words import in_words

_DEPS = [table.name for table in (*DAILY, *IDENTITY)]


@dg.asset(
    deps=[*_DEPS, "agents", "queues", "identifier_types"],
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    group_name="delivery",
    kinds={"sql"},
    owners=[OWNER],
    freshness_policy=fresh(),
    description=(
        "The warehouse brought to where the lake is, in one transaction over all "
        "tables; rows that did not change are not written."
    ),
)
def warehouse(
    context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]
) -> Iterator[dg.MaterializeResult[None]]:
    """Load what may be delivered of the chosen days."""
    from journeyport import delivery

    with in_words():
        report = delivery.load(
            site.run(context.run),
            site.warehouse_url,
            account_days=site.asked(context.run),
            shrink_limit=site.settings.shrink_limit,
        )
    site.told["warehouse"] = report.as_dict()
    data = report.data
    yield dg.MaterializeResult(
        metadata={
            "target": report.target,
            "inserted": data.inserted,
            "updated": data.updated,
            "deleted": data.deleted,
            "unchanged": data.unchanged,
            "account-days": report.days,
            "tables": dg.MetadataValue.table(
                [
                    dg.TableRecord({"table": name, **vars(counts)})
                    for name, counts in report.tables.items()
                ]
            ),
        }
    )
    end_here(context, site)


@dg.asset(
    deps=_DEPS,
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    group_name="delivery",
    kinds={"salesforce"},
    owners=[CRM_OWNER],
    pool=CRM_POOL,
    description=(
        "Writes nothing to the CRM: a plan of what would change there for the chosen "
        "days. The rows themselves are in the plan's file, never here."
    ),
)
def crm_plan(
    context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]
) -> Iterator[dg.MaterializeResult[None]]:
    """Plan what the CRM would be given for the chosen days."""
    from journeyport import delivery

    with in_words():
        told = delivery.plan_crm(
            site.run(context.run),
            site.crm,
            account_days=site.asked(context.run),
            shrink_limit=site.settings.shrink_limit,
            # Who starts or repeats a night by hand is given a plan, like anybody else.
            may_apply=is_night(context.run) and attribution.is_unattended(context.run),
        )
    site.told["crm"] = told
    yield dg.MaterializeResult(metadata=_shown(told, site.home / "plans"))
    end_here(context, site)


def _shown(told: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What the CRM step came to: a paragraph, where the rows are, and the counts."""
    if "skipped" in told:
        return {"result": told["skipped"]}
    plan, applied = told["plan"], told["applied"]
    org = f"{plan['org_name']} ({plan['org']}, {plan['org_kind']})"
    planned = (
        f"Plan {plan['plan']} for {org}: {plan['creates']} records to make, "
        f"{plan['updates']} to change, about {plan['calls']} API calls."
    )
    if applied is None:
        result = f"Wrote nothing. {planned} crm_3_apply would write it."
    else:
        written = sum((*applied["created"].values(), *applied["updated"].values()))
        result = (
            f"Wrote {written} records, {applied['rejected']} were rejected. {planned}"
        )
    return {
        "result": " ".join([result, *plan["refusals"]]),
        "plan": plan["plan"],
        "rows": dg.MetadataValue.path(str(folder / f"{plan['plan']}.csv")),
        "details": told,
    }
