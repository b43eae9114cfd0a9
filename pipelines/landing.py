"""Landing: the source walked day by day, every new document kept as it came.

How completeness is proved is said in `journeyport.extract`.
"""

from datetime import date
from typing import Any

import dagster as dg

from journeyport import night
from journeyport.tables import RAW_ENGAGEMENTS
from pipelines.catalogue import SINGLE_RUN, chosen_days, in_words, spec
from pipelines.resources import Site


@dg.multi_asset(
    name="raw_engagements",
    specs=[spec(RAW_ENGAGEMENTS)],
    backfill_policy=SINGLE_RUN,
)
def raw_engagements(
    context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]
) -> dg.MaterializeResult[None]:
    """Walk the chosen days of every account; land each version that is new."""
    days = chosen_days(context.run)
    with in_words():
        site.landed = night.land(
            site.run(context.run),
            site.source,
            accounts=site.accounts,
            days=days,
            options=site.options,
            strengths=site.identity.strengths,
        )
    for warning in site.landed.warnings:
        context.log.warning(warning)
    site.told["landing"] = site.landed.told()
    for day in days:
        context.add_asset_metadata(
            _facts(site.landed, day),
            asset_key=RAW_ENGAGEMENTS.name,
            partition_key=day.isoformat(),
        )
    return dg.MaterializeResult(asset_key=RAW_ENGAGEMENTS.name)


def _facts(landed: night.Landed, day: date) -> dict[str, Any]:
    """What one day came to, over all accounts; no values."""
    mine = {
        account: landing
        for account, report in landed.reports.items()
        for landing in report.days
        if landing.day == day
    }
    return {
        "dagster/row_count": sum(one.rows for one in mine.values()),
        "calls": sum(one.calls for one in mine.values()),
        "new versions": sum(one.new_versions for one in mine.values()),
        **{f"status {account}": one.status for account, one in mine.items()},
        **{f"proof {account}": str(one.proof) for account, one in mine.items()},
    }
