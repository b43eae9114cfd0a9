"""The five jobs of a CRM administrator, in the order in which they are used.

What each of them does is `journeyport.crm_jobs`' matter; here is what is asked for in
the Launchpad and what the result page says. Limits, targets and sign-ins are settings:
nothing of them can be changed here.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

import dagster as dg
from pydantic import Field

from journeyport import environment
from pipelines import worker
from pipelines.catalogue import CRM_POOL
from pipelines.resources import Site
from pipelines.words import RefusedError, in_words

if TYPE_CHECKING:
    from journeyport.crm_jobs import Told


class _Days(TypedDict, total=False):
    start: str
    end: str | None
    last_month: bool


class Wanted(dg.Config):
    """What to plan for."""

    days: str = Field(
        default="last month",
        description=(
            "last month, or one UTC day (2026-03-14), or a first and a last one "
            "(2026-03-01 to 2026-03-31). A month is one plan."
        ),
    )
    reason: str = Field(default="", description="What for; kept with the plan.")


class Decided(dg.Config):
    """Which plan to carry out, and why."""

    plan_id: str = Field(default="", description="The plan's id; crm_2_plan says it.")
    reason: str = Field(default="", description="Why; kept with what is done.")


class Confirmed(Decided):
    """Which plan to carry out, why, and whether the first records were looked at."""

    confirm: bool = Field(
        default=False,
        description=(
            "The first apply in an org writes 25 records and stops. Look at them "
            "there, then apply the same plan again with true."
        ),
    )


@dg.op(name="check", pool=CRM_POOL)
def check_op(
    context: dg.OpExecutionContext, site: dg.ResourceParam[Site]
) -> dg.Output[None]:
    """Look whether the org fits the mapping."""
    from journeyport import crm_jobs

    with in_words():
        return _result(context, crm_jobs.check(site))


@dg.op(name="plan", pool=CRM_POOL)
def plan_op(
    context: dg.OpExecutionContext, config: Wanted, site: dg.ResourceParam[Site]
) -> dg.Output[None]:
    """Say what an apply would write."""
    from journeyport import crm_jobs

    with in_words():
        told = crm_jobs.plan(
            site,
            site.run(context.run),
            reason=_reason(config.reason, "A plan"),
            **_days(site, config.days),
        )
    return _result(context, told)


@dg.op(name="apply", pool=CRM_POOL)
def apply_op(
    context: dg.OpExecutionContext, config: Confirmed, site: dg.ResourceParam[Site]
) -> dg.Output[None]:
    """Write what a plan says."""
    from journeyport import crm_jobs

    with in_words():
        told = crm_jobs.apply(site, site.run(context.run), **_decided(config))
    return _result(context, told)


@dg.op(name="undo", pool=CRM_POOL)
def undo_op(
    context: dg.OpExecutionContext, config: Decided, site: dg.ResourceParam[Site]
) -> dg.Output[None]:
    """Take back what an apply wrote and nobody changed since."""
    from journeyport import crm_jobs

    with in_words():
        told = crm_jobs.undo(site, site.run(context.run), **_decided(config))
    return _result(context, told)


@dg.op(name="verify", pool=CRM_POOL)
def verify_op(
    context: dg.OpExecutionContext, site: dg.ResourceParam[Site]
) -> dg.Output[None]:
    """Compare the org with what it accepted."""
    from journeyport import crm_jobs

    with in_words():
        return _result(context, crm_jobs.verify(site))


def _result(context: dg.OpExecutionContext, told: "Told") -> dg.Output[None]:
    """The result page: one paragraph, the counts, where the rows are; no values.

    Raises:
        RefusedError: somebody must look; it says the same.
    """
    # The most wanted comes first: Dagster cuts the page off after a few lines.
    facts: dict[str, dg.MetadataValue] = {
        "result": dg.MetadataValue.text(told.paragraph)
    }
    if told.plan_id is not None:
        facts["plan"] = dg.MetadataValue.text(told.plan_id)
    if told.file is not None:
        facts["rows"] = dg.MetadataValue.path(str(told.file))
    facts["records"] = dg.MetadataValue.md(_table(told.rows))
    facts["details"] = dg.MetadataValue.md(f"```\n{told.details}\n```")
    if not told.ok:
        raise RefusedError(told.paragraph, facts)
    context.log.info(told.paragraph)
    return dg.Output(None, metadata=facts)


def _table(rows: Mapping[str, int]) -> str:
    lines = [f"| {what} | {many:,} |" for what, many in rows.items() if many]
    return "\n".join(["| what | records |", "| --- | ---: |", *lines])


def _days(site: Site, asked: str) -> _Days:
    """What somebody typed as days, as `journeyport.crm_jobs.plan` wants them."""
    from journeyport import runs

    words = " ".join(asked.lower().split())
    if words == "last month":
        return {"last_month": True}
    first, _, last = words.partition(" to ")
    if not first:
        raise RefusedError(
            "Say which days to plan for: last month, or 2026-03-14, or 2026-03-01 to "
            "2026-03-31."
        )
    with in_words():
        runs.days(site, first, last or first, names=("The first day", "The last day"))
    return {"start": first, "end": last or None}


def _reason(given: str, what: str) -> str:
    if not given.strip():
        raise RefusedError(f"{what} needs a reason; say why in a few words.")
    return given.strip()


def _decided(config: Decided) -> dict[str, Any]:
    """What was decided, as `journeyport.crm_jobs` wants it."""
    if not config.plan_id.strip():
        raise RefusedError("Say which plan: its id is in the result of crm_2_plan.")
    return config.model_dump() | {"plan_id": config.plan_id.strip()}


def _job(op: dg.OpDefinition, name: str, description: str) -> dg.JobDefinition:
    return dg.GraphDefinition(
        name=name, node_defs=[op], description=description
    ).to_job(executor_def=worker.in_process)


def jobs(org: str) -> tuple[dg.JobDefinition, ...]:
    """The five jobs, each description beginning with whether it writes, and where."""
    reads, writes = "Writes nothing.", f"WRITES TO {org}."
    return (
        _job(
            check_op,
            "crm_1_check",
            f"{reads} Says whether {org} has the fields, rights and limits that the "
            "mapping needs, and what to do where it has not.",
        ),
        _job(
            plan_op,
            "crm_2_plan",
            f"{reads} Says what would change in {org} for some days, or for the whole "
            "last month: one run, one plan. Its id is what crm_3_apply asks for.",
        ),
        _job(
            apply_op,
            "crm_3_apply",
            f"{writes} Carries out one plan that is still true; refuses when the org, "
            "the mapping, the rows or the CRM's values changed since.",
        ),
        _job(
            undo_op,
            "crm_4_undo",
            f"{writes} Takes an applied plan back: fields that still hold our value "
            "get what they held before; what people changed since stays theirs.",
        ),
        _job(
            verify_op,
            "crm_5_verify",
            f"{reads} Compares {org} with what it accepted, and mends nothing.",
        ),
    )


JOBS = jobs(environment.org() or "the CRM that is set up")
