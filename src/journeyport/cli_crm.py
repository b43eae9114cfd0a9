"""`journeyport crm …`: check, plan, apply, undo, verify, as an administrator does.

What is written and what is refused is decided in `journeyport.crm`; values of records
stay in the plan's file.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from journeyport.console import shown
from journeyport.errors import ArgumentError, SettingsError

if TYPE_CHECKING:
    from journeyport.crm import CrmConfig
    from journeyport.crm.protocol import Crm
    from journeyport.deployment import Deployment
    from journeyport.night import Run

app = typer.Typer(
    no_args_is_help=True,
    help="The CRM: check, plan, apply, undo, verify. Only apply and undo write to it.",
)

PlanId = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id.")]
Reason = Annotated[str, typer.Option(help="Why; kept with what is done.")]


@app.command()
def check() -> None:
    """Look whether the org fits the mapping. Writes nothing."""
    from journeyport import crm

    with _org() as (place, config, org):
        mapping = crm.load_mapping(config.mapping_path)
        report = crm.check(org, mapping, place.lake)
    shown.print(report.text(), markup=False)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def plan(
    start: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First UTC day.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last UTC day.")
    ] = None,
) -> None:
    """Plan what an apply would write, for some days or for all. Writes nothing."""
    from journeyport import crm, delivery, runs
    from journeyport.night import span

    with _org() as (place, config, org):
        work = _work(place)
        wanted = None
        if start is not None or end is not None:
            first, last = runs.days(place, *ends(start, end))
            days = span(first, last)
            wanted = delivery.asked(None, place.accounts, days, is_night=False)
        made = crm.make_plan(
            place.lake,
            place.state,
            org,
            crm.load_mapping(config.mapping_path),
            config,
            days=delivery.fit(work, wanted, shrink_limit=place.settings.shrink_limit),
            run_id=work.run_id,
            clock=place.clock,
        )
    shown.print(made.text(), markup=False)
    raise typer.Exit(1 if made.refusals else 0)


@app.command("apply")
def apply_command(
    plan_id: PlanId,
    reason: Reason,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="The first records are right: go on.")
    ] = False,
) -> None:
    """WRITES TO THE ORG what a plan says; the first time 25 records, then it stops."""
    from journeyport import delivery

    place, config = _configured()
    report = delivery.apply_crm(
        _work(place),
        config,
        place.warehouse_url,
        plan_id=plan_id,
        reason=reason,
        confirm=confirm,
    )
    shown.print(report.text(), markup=False)
    raise typer.Exit(1 if report.red else 0)


@app.command()
def undo(plan_id: PlanId, reason: Reason) -> None:
    """WRITES TO THE ORG: restores what an apply changed and nobody changed since."""
    from journeyport import crm

    with _org() as (place, config, org):
        report = crm.undo(
            plan_id,
            reason,
            state=place.state,
            crm=org,
            mapping=crm.load_mapping(config.mapping_path),
            config=config,
            run_id=_work(place).run_id,
            clock=place.clock,
        )
    shown.print(report.text(), markup=False)
    raise typer.Exit(1 if report.rejected else 0)


@app.command()
def verify() -> None:
    """Compare the org with what it accepted. Writes nothing."""
    from journeyport import crm

    with _org() as (place, config, org):
        mapping = crm.load_mapping(config.mapping_path)
        report = crm.verify(place.lake, place.state, org, mapping, clock=place.clock)
    shown.print(report.text(), markup=False)
    raise typer.Exit(0 if report.ok else 1)


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
    subject: Annotated[str, typer.Argument(help="ACCOUNT:customer id, or a record.")],
    author: Annotated[str, typer.Option(help="Who asked for it.")],
    reason: Reason,
) -> None:
    """Keep a customer or a record out of the CRM from now on."""
    from journeyport import crm
    from journeyport.deployment import here

    place = here()
    crm.suppress(place.state, subject, author=author, reason=reason, clock=place.clock)
    shown.print("It is kept back from the next plan on.")


@app.command()
def unsuppress(
    subject: Annotated[str, typer.Argument(help="What was kept back.")],
) -> None:
    """Let a suppressed customer or record pass again."""
    from journeyport import crm
    from journeyport.deployment import here

    crm.unsuppress(here().state, subject)
    shown.print("It passes again from the next plan on.")


def ends(start: str | None, end: str | None) -> tuple[str, str]:
    """Both ends of a range as typed; the first day alone is a range of one day.

    Raises:
        ArgumentError: it has an end and no beginning.
    """
    if start is None:
        raise ArgumentError(f"--to {end} needs a --from; name the first day, too.")
    return start, end or start


def _configured() -> "tuple[Deployment, CrmConfig]":
    from journeyport.deployment import here

    place = here()
    config = place.crm
    if config is None:
        raise SettingsError(
            "No CRM is set up: set JOURNEYPORT_SALESFORCE_DOMAIN and the other "
            "JOURNEYPORT_SALESFORCE_ settings; .env.example says who knows them."
        )
    return place, config


@contextmanager
def _org() -> "Iterator[tuple[Deployment, CrmConfig, Crm]]":
    from journeyport import crm

    place, config = _configured()
    with crm.connect(config) as org:
        yield place, config, org


def _work(place: "Deployment") -> "Run":
    from journeyport.night import Run

    run_id = f"cli-{uuid.uuid4().hex[:12]}"
    return Run(place.lake, place.state, place.clock, run_id)
