"""The command line: `journeyport …`.

Commands check what was asked for, call one function and say what came of it. Exit
codes: 0 all proved and delivered, 1 something failed, 2 bad arguments or settings.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from journeyport import demo as rehearse
from journeyport import environment, rehearsal, runs, up
from journeyport.console import note, report
from journeyport.deployment import Deployment
from journeyport.errors import ArgumentError, JourneyportError, SettingsError
from journeyport.launch import Outcome

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=(
        "Customer journeys from a contact centre to Parquet, a warehouse and a CRM: "
        "proved complete, explained, undoable."
    ),
)

Day = Annotated[str, typer.Option(metavar="DAY")]


def site() -> Deployment:
    """The installation that the environment and `.env` describe."""
    return Deployment(environment.read)


@app.command()
def export(
    start: Annotated[str, typer.Option("--from", metavar="DAY", help="First UTC day.")],
    end: Annotated[str, typer.Option("--to", metavar="DAY", help="Last UTC day.")],
    only: Annotated[
        str | None,
        typer.Option(help="Deliver to one target alone: lake, warehouse or crm."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would do; write nothing.")
    ] = False,
    from_raw: Annotated[
        bool,
        typer.Option("--from-raw", help="Make the tables again from landed documents."),
    ] = False,
) -> None:
    """Export exactly these days: lake, warehouse, and a plan for the CRM."""

    def work(place: Deployment) -> Outcome:
        if dry_run:
            raise ArgumentError("--dry-run is not there yet.")
        return runs.export(place, start, end, only=only, from_raw=from_raw)

    _reported("export", work)


@app.command()
def nightly(
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="DAY", help="Begin here, for a first night."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last UTC day.")
    ] = None,
) -> None:
    """Do what the nightly schedule does; for cron."""
    _reported("nightly", lambda place: runs.nightly(place, start, end))


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=60, help="Days of data.")] = 14,
    engagements: Annotated[
        int, typer.Option(min=1, max=200_000, help="Engagements over both accounts.")
    ] = 5000,
    clock_days: Annotated[
        int, typer.Option(min=0, max=300, help="Set the demo's clock so far ahead.")
    ] = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what an earlier demo left.")
    ] = False,
) -> None:
    """Run the main job against two local servers; touches nothing but loopback."""
    plan = rehearsal.Plan(days, engagements, clock_days)
    raise typer.Exit(rehearse.run(plan, fresh=fresh))


Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the Dagster UI.")]


@app.command("up")
def up_command(port: Port = up.PORT) -> None:
    """Start the demo's servers and the Dagster UI together; Ctrl-C ends all."""
    up.rehearse(port)


@app.command()
def ui(port: Port = up.PORT) -> None:
    """Start the Dagster UI on your own settings; Ctrl-C ends it."""
    up.own(port)


def _reported(command: str, work: Callable[[Deployment], Outcome]) -> None:
    """Run a command that ends with one JSON line, whatever happens."""
    place = site()
    try:
        outcome = work(place)
    except JourneyportError as error:
        code = exit_code(error)
        status = "refused" if code == 2 else "failed"
        note(str(error))
        report({"command": command, "status": status, "error": str(error)})
        raise typer.Exit(code) from None
    finally:
        place.close()
    for sentence in outcome.report.get("failures", ()):
        note(str(sentence["reason"]))
    if "error" in outcome.report:
        note(str(outcome.report["error"]))
    report({"command": command, **outcome.report})
    raise typer.Exit(outcome.code)


def exit_code(error: JourneyportError) -> int:
    """2 where arguments or settings are at fault, else 1."""
    return 2 if isinstance(error, SettingsError | ArgumentError) else 1


def main() -> None:
    """Run the command of this process and end it with its exit code."""
    try:
        app()
    except JourneyportError as error:
        note(str(error))
        sys.exit(exit_code(error))
