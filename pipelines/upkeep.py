"""Keeping Dagster's own storage small: old runs and their events are forgotten.

Nothing of the lake, the state or a target is touched. What the UI says of a day comes
from the events of the run that made it last, so that run stays however old it is.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from pipelines import worker
from pipelines.resources import Site
from pipelines.words import in_words

_BATCH = 200
_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


@dg.op(name="forget_old_runs")
def forget_op(
    context: dg.OpExecutionContext, site: dg.ResourceParam[Site]
) -> dg.Output[None]:
    """Forget the runs that ended longer ago than they are kept."""
    with in_words():
        kept_for = timedelta(days=site.settings.keep_runs_days)
    # The age of a run is Dagster's matter: by the machine's clock, not a rehearsal's.
    before = datetime.now(UTC) - kept_for
    gone, kept = forget(context.instance, before)
    told = (
        f"{gone} run(s) that ended before {before:%Y-%m-%d} are forgotten; {kept} as "
        "old stay, because the UI shows what they made."
    )
    context.log.info(told)
    return dg.Output(None, metadata={"result": told, "forgotten": gone, "kept": kept})


@dg.job(
    executor_def=worker.in_process,
    description=(
        "Writes nothing to the warehouse and the CRM. Forgets runs older than "
        "JOURNEYPORT_KEEP_RUNS_DAYS, with their events and logs, except those that "
        "made what the UI shows of a day."
    ),
)
def upkeep() -> None:
    """Forget old runs."""
    forget_op()


upkeep_schedule = dg.ScheduleDefinition(
    name="upkeep",
    job=upkeep,
    cron_schedule="0 12 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every Sunday at noon, when no night runs.",
)


def forget(instance: dg.DagsterInstance, before: datetime) -> tuple[int, int]:
    """Forget runs that ended before an instant; how many, and how many as old stay."""
    # Late: it loads what makes storages, which no code location needs.
    from dagster._core.storage.event_log import SqliteEventLogStorage

    shown = _shown(instance)
    gone = kept = 0
    for run_id in list(_old(instance, before)):
        if run_id in shown:
            kept += 1
            continue
        instance.delete_run(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        storage = instance.event_log_storage
        if isinstance(storage, SqliteEventLogStorage):
            # A file for each run: its rows are gone, and now their room. A webserver
            # may have it open, so the file itself stays.
            with contextlib.closing(
                sqlite3.connect(storage.path_for_shard(run_id))
            ) as db:
                db.execute("VACUUM")
        gone += 1
    return gone, kept


def _old(instance: dg.DagsterInstance, before: datetime) -> Iterator[str]:
    cursor = None
    while True:
        records = instance.get_run_records(
            dg.RunsFilter(statuses=_ENDED, updated_before=before),
            limit=_BATCH,
            cursor=cursor,
        )
        for record in records:
            yield record.dagster_run.run_id
        if len(records) < _BATCH:
            return
        cursor = records[-1].dagster_run.run_id


def _shown(instance: dg.DagsterInstance) -> set[str]:
    """The runs that hold the last materialization of something: of a day, or whole."""
    runs: set[str] = set()
    for key in instance.all_asset_keys():
        latest = instance.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        whole = instance.get_latest_materialization_event(key)
        if whole is not None:
            runs.add(whole.run_id)
        ids = sorted(latest.values())
        for start in range(0, len(ids), _BATCH):
            asked = dg.AssetRecordsFilter(key, storage_ids=ids[start : start + _BATCH])
            found = instance.fetch_materializations(asked, limit=_BATCH)
            runs |= {record.run_id for record in found.records}
    return runs
