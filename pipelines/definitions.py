"""The code location: everything put together, nothing decided."""

import dagster as dg

from pipelines import (
    alerts,
    conformed,
    crm_jobs,
    delivery,
    identity,
    landing,
    nightly,
    operations,
    release,
    upkeep,
    watching,
    worker,
)
from pipelines.resources import RESOURCES

defs = dg.Definitions(
    assets=[
        landing.raw_engagements,
        conformed.daily_tables,
        conformed.directory,
        identity.identity_tables,
        delivery.warehouse,
        delivery.crm_plan,
        operations.operations_tables,
    ],
    asset_checks=[conformed.checks, *watching.CHECKS],
    jobs=[
        nightly.nightly,
        nightly.export,
        nightly.lake,
        *crm_jobs.JOBS,
        release.release_day,
        upkeep.upkeep,
    ],
    schedules=[nightly.nightly_schedule, upkeep.upkeep_schedule],
    sensors=[alerts.alerts_sensor],
    resources=RESOURCES,
    executor=worker.in_process,
)
