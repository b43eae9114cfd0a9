"""`journeyport crm …`: check, plan, apply, undo, verify, as an administrator does.

The work is `journeyport.crm_jobs`'; values of records stay in the plan's files.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from journeyport.console import shown
from journeyport.errors import ArgumentError

if TYPE_CHECKING:
    from journeyport.crm_jobs import Told

app = typer.Typer(
    no_args_is_help=True,
    help="The CRM: check, plan, apply, undo, verify. Only apply and undo write to it.",
)

PlanId = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id.")]
Reason = Annotated[str, typer.Option(help="Why; kept with what is done.")]


@app.command()
def check() -> None:
    """Look whether the org fits the mapping. Writes nothing."""
    from journeyport import crm_jobs
    from journeyport.deployment import here

    _end(crm_jobs.check(here()))


@app.command()
def plan(
    start: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First UTC day.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last UTC day.")
    ] = None,
    last_month: Annotated[
        bool, typer.Option("--last-month", help="The calendar month that ended last.")
    ] = False,
    reason: Annotated[str, typer.Option(help="What for; kept with the plan.")] = "",
) -> None:
    """Plan what an apply would write, for some days or for all. Writes nothing."""
    from journeyport import crm_jobs, receipts
    from journeyport.deployment import here

    place = here()
    told = crm_jobs.plan(
        place,
        place.work(receipts.operator()),
        start=start,
        end=end,
        last_month=last_month,
        reason=reason,
    )
    _end(told)


@app.command("apply")
def apply_command(
    plan_id: PlanId,
    reason: Reason,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="The first records are right: go on.")
    ] = False,
) -> None:
    """WRITES TO THE ORG what a plan says; the first time 25 records, then it stops."""
    from journeyport import crm_jobs, receipts
    from journeyport.deployment import here

    place = here()
    told = crm_jobs.apply(
        place,
        place.work(receipts.operator()),
        plan_id=plan_id,
        reason=reason,
        confirm=confirm,
    )
    _end(told)


@app.command()
def undo(plan_id: PlanId, reason: Reason) -> None:
    """WRITES TO THE ORG: restores what an apply changed and nobody changed since."""
    from journeyport import crm_jobs, receipts
    from journeyport.deployment import here

    place = here()
    _end(
        crm_jobs.undo(
            place, place.work(receipts.operator()), plan_id=plan_id, reason=reason
        )
    )


@app.command()
def verify() -> None:
    """Compare the org with what it accepted. Writes nothing."""
    from journeyport import crm_jobs
    from journeyport.deployment import here

    _end(crm_jobs.verify(here()))


@app.command()
def scaffold(
    folder: Annotated[Path, typer.Argument(help="Where the package goes.")],
) -> None:
    """Write a package with the fields and objects that the mapping needs in an org."""
    from journeyport import crm
    from journeyport.deployment import here

    mapping = crm.load_mapping(here().settings.salesforce_mapping)
    shown.print(crm.scaffold(mapping, folder).text(), markup=False)


@app.command()
def suppress(
    subject: Annotated[
        str, typer.Argument(help="ACCOUNT:customer id, or a record's id.")
    ],
    author: Annotated[str, typer.Option(help="Who asked for it.")],
    reason: Reason,
) -> None:
    """Keep a customer, with all that is its, or one record out of the CRM."""
    from journeyport import crm_jobs, receipts
    from journeyport.deployment import here

    place = here()
    run = place.work(receipts.operator(author))
    if crm_jobs.suppress(run, subject, author=author, reason=reason):
        shown.print("It is kept back from the next write on.")
    else:
        shown.print(
            "It is on the list, but no customer and no record sent so far goes by it: "
            "see that it is spelt right (crm unsuppress takes it off)."
        )


@app.command()
def unsuppress(
    subject: Annotated[str, typer.Argument(help="What was kept back.")],
    reason: Reason,
) -> None:
    """Let a suppressed customer or record pass again."""
    from journeyport import crm_jobs, receipts
    from journeyport.deployment import here

    run = here().work(receipts.operator())
    crm_jobs.unsuppress(run, subject, reason=reason)
    shown.print("It passes again from the next plan on.")


def ends(start: str | None, end: str | None) -> tuple[str, str]:
    """Both ends of a range as typed; the first day alone is a range of one day.

    Raises:
        ArgumentError: it has an end and no beginning.
    """
    if start is None:
        raise ArgumentError(f"--to {end} needs a --from; name the first day, too.")
    return start, end or start


def _end(told: "Told") -> NoReturn:
    """Print what a job came to; red when somebody must look."""
    shown.print(told.details, markup=False)
    raise typer.Exit(0 if told.ok else 1)
