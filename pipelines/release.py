"""The job that releases a held account-day; `journeyport.release` says what that is."""

import dagster as dg
from pydantic import Field

from pipelines import worker
from pipelines.resources import Site
from pipelines.words import in_words


class Held(dg.Config):
    """Which account-day, why, and who says so."""

    account: str = Field(default="", description="The account, six letters.")
    day: str = Field(default="", description="The UTC day, as 2026-03-14.")
    reason: str = Field(default="", description="Why; it is certified.")
    who: str = Field(
        default="",
        description="Who decides; needed only where no log-in in front names you.",
    )


@dg.op(name="release")
def release_op(
    context: dg.OpExecutionContext, config: Held, site: dg.ResourceParam[Site]
) -> dg.Output[None]:
    """Certify that a held account-day may be delivered all the same."""
    from journeyport import runs
    from journeyport.release import release

    with in_words():
        told = release(
            site.run(context.run),
            site.account(config.account.strip() or None),
            runs.day("day", config.day),
            reason=config.reason,
            who=config.who,
        )
    context.log.info(told)
    return dg.Output(None, metadata={"result": told})


@dg.job(
    executor_def=worker.in_process,
    description=(
        "Releases an account-day that is held back, with a reason: its certificate "
        "then says who released it and why, and the next night delivers it. Writes "
        "nothing to the CRM."
    ),
)
def release_day() -> None:
    """Release one held account-day."""
    release_op()
