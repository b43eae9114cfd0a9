"""Landing: the source walked day by day, every new document kept as it came.

How completeness is proved is said in `journeyport.extract`.
"""

import dagster as dg

from journeyport.tables import RAW_ENGAGEMENTS
from pipelines.catalogue import (
    SINGLE_RUN,
    SOURCE_POOL,
    chosen_days,
    is_night,
    spec,
)
from pipelines.resources import Site
from pipelines.words import in_words


@dg.multi_asset(
    name="raw_engagements",
    specs=[spec(RAW_ENGAGEMENTS)],
    backfill_policy=SINGLE_RUN,
    pool=SOURCE_POOL,
)
def raw_engagements(
    context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]
) -> dg.MaterializeResult[None]:
    """Walk the chosen days of every account; land each version that is new."""
    from journeyport import night, seeing

    days = chosen_days(context.run)
    with in_words():
        site.landed = night.land(
            site.run(context.run),
            site.source,
            accounts=site.accounts,
            days=None if is_night(context.run) else days,
            options=site.options,
            strengths=site.identity.strengths,
        )
        site.remember_types()
    for warning in site.landed.warnings:
        context.log.warning(warning)
    site.told["landing"] = site.landed.told()
    run = site.run(context.run)
    for day in days:
        facts = seeing.day_facts(run.state, site.accounts, day)
        context.add_asset_metadata(
            {"dagster/row_count": facts.pop("rows"), **facts},
            asset_key=RAW_ENGAGEMENTS.name,
            partition_key=day.isoformat(),
        )
    return dg.MaterializeResult(asset_key=RAW_ENGAGEMENTS.name)
