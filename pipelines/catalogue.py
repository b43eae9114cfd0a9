"""What Dagster shows of the tables: days, column schemas, specs.

All of it derives from `journeyport.tables`. What the assets do is said beside them.
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg

from journeyport import environment, tables
from journeyport.schema import Column, Kind, Layout, Origin, Table
from pipelines.words import RefusedError

_SET_DAY = environment.set_day()

DAYS = dg.DailyPartitionsDefinition(
    start_date=environment.first_day().isoformat(),
    # In a rehearsal nothing lies beyond its own day; the end is exclusive.
    end_date=(_SET_DAY + timedelta(days=1)).isoformat() if _SET_DAY else None,
    # The open day can be exported too; it is marked PARTIAL until it is closed.
    end_offset=1,
)

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
ONE_DAY = "dagster/partition"

DIRECTORY = (tables.IDENTIFIER_TYPES, tables.AGENTS, tables.QUEUES)
"""Small tables over all days: what an account knows, not what happened."""

IDENTITY = tuple(
    table
    for table in tables.SNAPSHOTS
    if table not in DIRECTORY and table is not tables.CUSTOMER_CRM_IDS
)

SINGLE_RUN = dg.BackfillPolicy.single_run()
"""A range of days is one run that a person can read."""

SOURCE_POOL = "source"
CRM_POOL = "crm_" + re.sub(r"[^A-Za-z0-9]", "_", environment.org() or "none")
"""One run at a time asks the source, and one at a time speaks to an org."""

_TYPES = {
    Kind.STRING: "string",
    Kind.INTEGER: "bigint",
    Kind.NUMBER: "double",
    Kind.BOOLEAN: "boolean",
    Kind.INSTANT: "timestamp (UTC)",
    Kind.DATE: "date",
    Kind.JSON: "json",
}

_DEADLINED = (tables.ENGAGEMENTS, tables.CUSTOMERS)
"""Tables that stand for what an analyst opens in the morning."""

_GROUPS = {
    Layout.RAW: "landing",
    Layout.DAILY: "tables",
    Layout.SNAPSHOT: "identity",
    Layout.OPERATIONS: "operations",
}


def column_schema(table: Table) -> dg.TableSchema:
    """A table's columns for the UI; personal ones carry the tag `pii`."""
    return dg.TableSchema(
        columns=[_column(column, table) for column in table.columns],
        constraints=dg.TableConstraints(other=[f"key: {', '.join(table.key)}"]),
    )


def _column(column: Column, table: Table) -> dg.TableColumn:
    tags = {"pii": ""} if column.personal else {}
    if column.origin is not Origin.SOURCE:
        tags[column.origin.value] = ""
    source = f" Source: {column.source}." if column.source else ""
    return dg.TableColumn(
        name=column.name,
        type=_TYPES[column.kind],
        description=f"{column.description}{source}",
        constraints=dg.TableColumnConstraints(
            nullable=not column.required, unique=table.key == (column.name,)
        ),
        tags=tags,
    )


def spec(
    table: Table, *, deps: Sequence[str] = (), group: str | None = None
) -> dg.AssetSpec:
    """The asset that is a table of the lake."""
    return dg.AssetSpec(
        key=table.name,
        deps=list(deps),
        description=f"{table.description}\n\nOne row is {table.grain}.",
        metadata={"dagster/column_schema": column_schema(table)},
        group_name=group or _GROUPS[table.layout],
        kinds={"parquet"},
        owners=[OWNER],
        freshness_policy=fresh() if table in _DEADLINED else None,
        tags={"journeyport/layout": table.layout.value},
        partitions_def=DAYS if table.layout in {Layout.RAW, Layout.DAILY} else None,
    )


OWNER = "team:data"
CRM_OWNER = "team:crm"


def fresh() -> dg.FreshnessPolicy:
    """Made again by six hours after the schedule's time, each day."""
    at, zone = environment.schedule_at()
    hour, minute = map(int, at.split(":"))
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"{minute} {(hour + 6) % 24} * * *",
        lower_bound_delta=timedelta(hours=24),
        timezone=zone,
    )


def lineage(table: Table, deps: Sequence[Table]) -> dict[str, dg.MetadataValue]:
    """Where each column comes from: its namesake upstream, or the raw document."""
    sources: dict[str, list[dg.TableColumnDep]] = {}
    for column in table.columns:
        found = [one for one in deps if column.name in one.names]
        name = column.name
        if not found and tables.RAW_ENGAGEMENTS in deps and column.source:
            found, name = [tables.RAW_ENGAGEMENTS], "payload"
        sources[column.name] = [
            dg.TableColumnDep(asset_key=dg.AssetKey(one.name), column_name=name)
            for one in found
        ]
    return {
        "dagster/column_lineage": dg.MetadataValue.column_lineage(
            dg.TableColumnLineage({k: v for k, v in sources.items() if v})
        )
    }


def is_night(run: dg.DagsterRun) -> bool:
    """It is the schedule's job, whoever started it: it does all there is to do."""
    return run.job_name == "nightly"


def chosen_days(run: dg.DagsterRun) -> list[date]:
    """The days a run is for, by its tags: one day, or a range with both ends.

    Raises:
        RefusedError: it was started without days; the sentence says how to choose them.
    """
    first = run.tags.get(RANGE_START) or run.tags.get(ONE_DAY)
    last = run.tags.get(RANGE_END) or first
    if first is None or last is None:
        raise RefusedError(
            "No days were chosen: start it from the backfill dialog, or choose a day "
            "in the Launchpad."
        )
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]
