"""The code location: everything put together, nothing decided."""

import dagster as dg

from pipelines import (
    conformed,
    crm_jobs,
    delivery,
    identity,
    landing,
    nightly,
    operations,
    release,
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
    asset_checks=[conformed.checks],
    jobs=[nightly.nightly, nightly.export, *crm_jobs.JOBS, release.release_day],
    schedules=[nightly.nightly_schedule],
    resources=RESOURCES,
    # Steps share the run's process: a process each costs more than it brings.
    executor=dg.in_process_executor,
)
