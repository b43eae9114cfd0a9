"""The jobs and the schedule. The schedule ships stopped: somebody decides to start it.

A night is one run over a range of days, from the frontier to the day still open, so
that an outage is caught up without a run per missed night.
"""

import dagster as dg

from journeyport import environment
from journeyport.deployment import Deployment
from journeyport.errors import JourneyportError
from journeyport.tables import DAILY, RAW_ENGAGEMENTS
from pipelines import worker
from pipelines.catalogue import RANGE_END, RANGE_START

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all(),
    executor_def=worker.in_process,
    description=(
        "What the schedule does each night: land, make tables, resolve customers, load "
        "the warehouse, plan for the CRM. Writes to the CRM only where an apply was "
        "approved for its org and mapping."
    ),
)

export = dg.define_asset_job(
    "export",
    selection=dg.AssetSelection.all(),
    executor_def=worker.in_process,
    description=(
        "Writes nothing to the CRM: it only plans. Exactly the chosen days, from the "
        "source to the warehouse."
    ),
)

lake = dg.define_asset_job(
    "lake",
    selection=dg.AssetSelection.assets(
        RAW_ENGAGEMENTS.name, *(table.name for table in DAILY)
    ),
    executor_def=worker.in_process,
    description=(
        "Writes nothing to the warehouse and the CRM. Exactly the chosen days, from "
        "the source into the lake, as one run; the asset `warehouse` takes them on."
    ),
)

_AT, _ZONE = environment.schedule_at()


@dg.schedule(
    name="nightly",
    job=nightly,
    cron_schedule="{1} {0} * * *".format(*map(int, _AT.split(":"))),
    execution_timezone=_ZONE,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every night, from the frontier to the day still open, as one run.",
)
def nightly_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    """One run over the days of tonight."""
    from journeyport import night

    site = Deployment(environment.read)
    try:
        days = night.days(site.state, site.clock, site.accounts, site.options)
    except JourneyportError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    finally:
        site.close()
    due = context.scheduled_execution_time
    return dg.RunRequest(
        run_key=due.isoformat(),
        tags={RANGE_START: days[0].isoformat(), RANGE_END: days[-1].isoformat()},
    )
