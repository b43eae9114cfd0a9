"""The daily tables, made from what has landed, and the checks that guard delivery.

What a row is made of is said in `journeyport.normalise`; what must hold of an
account-day, in `journeyport.guards`.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from journeyport.checklist import (
    CERTIFIED,
    COUNTS_MATCH,
    KEYS_UNIQUE,
    NOT_SHRUNK,
    PARENTS_THERE,
    RULES,
)
from journeyport.tables import DAILY, ENGAGEMENTS, RAW_ENGAGEMENTS
from pipelines.catalogue import (
    DIRECTORY,
    SINGLE_RUN,
    chosen_days,
    is_night,
    lineage,
    spec,
)
from pipelines.ending import end_here
from pipelines.resources import Site
from pipelines.words import in_words

_SHOWN = 31
"""Days that a chart covers, at most."""


@dg.multi_asset(
    name="daily_tables",
    specs=[spec(table, deps=["raw_engagements"]) for table in DAILY],
    backfill_policy=SINGLE_RUN,
)
def daily_tables(
    context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]
) -> Iterator[dg.MaterializeResult[None]]:
    """Every table of the chosen days, and of other days that something landed for."""
    from journeyport import night

    days = chosen_days(context.run)
    with in_words():
        made = night.conform(
            site.run(context.run),
            rules=site.rules,
            # A night makes what something came for; whoever chose days gets those.
            days=None if is_night(context.run) else days,
            strengths=site.identity.strengths,
            policy=site.options.policy.hash,
            landed=site.known,
        )
    site.told["tables"] = made.told()
    others = {report.day for report in made.reports} - set(days)
    for day in sorted({*days, *others}):
        rows = night.day_rows(site.lake, site.accounts, day)
        for table in DAILY:
            facts: dict[str, int | str] = {
                "dagster/row_count": rows[table.name],
                "changed": day in made.changed,
            }
            stale = {why for one in made.reports if one.day == day for why in one.stale}
            if stale:
                facts["made because"] = "; ".join(sorted(stale))
            if table is ENGAGEMENTS:
                facts["rejected"] = sum(
                    len(one.rejects) for one in made.reports if one.day == day
                )
            if day in others:
                # A night makes days that are not of its range, too; each is marked.
                context.log_event(
                    dg.AssetMaterialization(
                        table.name, partition=day.isoformat(), metadata=facts
                    )
                )
            else:
                context.add_asset_metadata(
                    facts, asset_key=table.name, partition_key=day.isoformat()
                )
    for table in DAILY:
        context.add_asset_metadata(
            lineage(table, [RAW_ENGAGEMENTS]), table.name, days[-1].isoformat()
        )
    if made.changed:  # drawing costs seconds; the pictures of before still hold
        with in_words():
            shown = _charts(site, days)
        context.add_asset_metadata(shown, ENGAGEMENTS.name, days[-1].isoformat())
    for table in DAILY:
        yield dg.MaterializeResult(asset_key=table.name)


def _charts(site: Site, days: Sequence[date]) -> dict[str, dg.MetadataValue]:
    """When people got in touch, and how long after that a row still changed."""
    from journeyport import seeing
    from pipelines import charts

    pairs = [(account, day) for account in site.accounts for day in days[-_SHOWN:]]
    since = f"{pairs[0][1]} to {days[-1]}"
    return {
        "by channel and hour": charts.heat(
            f"Engagements by channel and local hour, {since}",
            seeing.by_channel_and_hour(site.lake, pairs),
            "hour of day",
        ),
        "lag of updates": charts.bars(
            f"Last update after the start, {since}",
            seeing.update_lag(site.lake, pairs),
            "engagements",
        ),
    }


@dg.multi_asset(
    name="directory",
    specs=[
        spec(table, deps=[one.name for one in DAILY], group="tables")
        for table in DIRECTORY
    ],
)
def directory(
    context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]
) -> Iterator[dg.MaterializeResult[None]]:
    """Identifier types, agents and queues, as all engagements together show them."""
    from journeyport import night

    with in_words():
        rows = night.directory(
            site.run(context.run), site.known, accounts=site.accounts
        )
    for table in DIRECTORY:
        yield dg.MaterializeResult(
            asset_key=table.name,
            metadata={
                "dagster/row_count": rows[table.name],
                **lineage(table, DAILY),
            },
        )


_CHECKS = [
    *((table.name, KEYS_UNIQUE) for table in DAILY),
    *((table.name, PARENTS_THERE) for table in DAILY if table.parent),
    *((table.name, COUNTS_MATCH) for table in DAILY if table.parent),
    *((table.name, NOT_SHRUNK) for table in DAILY),
]


@dg.multi_asset_check(
    name="guards",
    specs=[
        dg.AssetCheckSpec(rule, asset=table, blocking=True, description=RULES[rule])
        for table, rule in (("engagements", CERTIFIED), *_CHECKS)
    ],
)
def checks(
    context: dg.AssetCheckExecutionContext, site: dg.ResourceParam[Site]
) -> Iterator[dg.AssetCheckResult]:
    """What must hold before anything is delivered.

    A check that fails for some account-days holds those back and warns; it stops the
    run where nothing is left to deliver. A night looks at every day there is: one that
    is held back stays on its list until it is mended or released.
    """
    from journeyport import gate

    with in_words():
        checked = gate.guard(
            site.run(context.run),
            site.asked(context.run),
            shrink_limit=site.settings.shrink_limit,
        )
    severity = (
        dg.AssetCheckSeverity.WARN if checked.fit else dg.AssetCheckSeverity.ERROR
    )
    yield _result("engagements", CERTIFIED, checked.unproved, severity)
    for table, rule in _CHECKS:
        yield _result(table, rule, checked.broken(rule, table), severity)
    end_here(context, site, before_delivery=True)


def _result(
    table: str,
    rule: str,
    wrong: Sequence[tuple[object, ...]],
    severity: dg.AssetCheckSeverity,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=table,
        check_name=rule,
        passed=not wrong,
        severity=severity,
        metadata={
            "account-days held back": len(wrong),
            **({"which": [" ".join(map(str, one)) for one in wrong]} if wrong else {}),
        },
    )
