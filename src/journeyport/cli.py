"""The command line: `journeyport …`.

Commands check what was asked for, call one function and say what came of it. Exit
codes: 0 all proved and delivered, 1 something failed, 2 bad arguments or settings.
Each command imports what it uses when it is used: `--help` must not wait for Arrow.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from journeyport import cli_crm, cli_identity, cli_warehouse
from journeyport.cli_crm import ends
from journeyport.console import note, report, shown
from journeyport.errors import ArgumentError, JourneyportError, SettingsError

if TYPE_CHECKING:
    from journeyport.deployment import Deployment
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
app.add_typer(cli_identity.app, name="identity")
app.add_typer(cli_crm.app, name="crm")
app.command("explain")(cli_identity.explain)

verify_app = typer.Typer(no_args_is_help=True, help="Compare a target with the lake.")
app.add_typer(verify_app, name="verify")
verify_app.command("warehouse")(cli_warehouse.verify)
app.command("backfill")(cli_warehouse.backfill)

From = Annotated[str, typer.Option("--from", metavar="DAY", help="First UTC day.")]
To = Annotated[str, typer.Option("--to", metavar="DAY", help="Last UTC day.")]
MaybeFrom = Annotated[
    str | None, typer.Option("--from", metavar="DAY", help="First UTC day.")
]
MaybeTo = Annotated[
    str | None, typer.Option("--to", metavar="DAY", help="Last UTC day.")
]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the Dagster UI.")]


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=60, help="Days of data.")] = 14,
    engagements: Annotated[
        int, typer.Option(min=1, max=200_000, help="Engagements over both accounts.")
    ] = 5000,
    clock_days: Annotated[
        int, typer.Option(min=0, max=60, help="Set the demo's clock so far ahead.")
    ] = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what an earlier demo left.")
    ] = False,
) -> None:
    """Run the main job against two local servers; touches nothing but loopback."""
    from journeyport import demo as rehearse
    from journeyport.rehearsal import Plan

    raise typer.Exit(rehearse.run(Plan(days, engagements, clock_days), fresh=fresh))


@app.command("up")
def up_command(port: Port = 3000) -> None:
    """Start the demo's servers and the Dagster UI together; Ctrl-C ends all."""
    from journeyport import up

    up.rehearse(port)


@app.command()
def ui(
    port: Port = 3000,
    only: Annotated[
        str | None,
        typer.Option(
            help="webserver, daemon or viewer: one process, in the foreground."
        ),
    ] = None,
) -> None:
    """Start the Dagster UI on your own settings; Ctrl-C ends it."""
    from journeyport import up

    up.own(port, only)


@app.command()
def doctor(
    account: Annotated[
        str | None, typer.Option(help="One account; else each in turn.")
    ] = None,
    start: MaybeFrom = None,
    end: MaybeTo = None,
) -> None:
    """Ask each account at most 10 questions: what holds, what an export costs."""
    from journeyport import extract, runs
    from journeyport.deployment import here

    place = here()
    for warning in place.settings.warnings:
        note(warning)
    first = last = None
    if start is not None or end is not None:
        first, last = runs.days(place, *ends(start, end))
    well = True
    for name in (place.account(account),) if account else place.accounts:
        found = extract.diagnose(
            place.source,
            name,
            first=first,
            last=last,
            channels=place.settings.channels,
        )
        shown.print(f"Account {name}", style="bold")
        shown.print("\n".join(found.lines), markup=False)
        well = well and found.ok
    raise typer.Exit(0 if well else 1)


@app.command()
def export(
    start: From,
    end: To,
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

    def work(place: "Deployment") -> "Outcome":
        from journeyport import runs

        chosen = runs.preview if dry_run else runs.export
        return chosen(place, start, end, only=only, from_raw=from_raw)

    _reported("export", work)


@app.command()
def nightly() -> None:
    """Do what the nightly schedule does; for cron."""

    def work(place: "Deployment") -> "Outcome":
        from journeyport import runs

        return runs.nightly(place)

    _reported("nightly", work)


@app.command()
def alerts(
    trial: Annotated[
        bool, typer.Option("--try", help="Only send a message that says it is a trial.")
    ] = False,
) -> None:
    """Say what is wrong now, and tell whom it was not told yet; for cron."""
    from journeyport import alerts as told
    from journeyport.deployment import here

    place = here()
    alerting = place.alerting
    if trial:
        for name, result in told.try_out(alerting).items():
            shown.print(f"{name}: {result}", markup=False)
        raise typer.Exit(0)
    told.look(
        place.state, place.clock, place.accounts, stale_after=alerting.stale_after
    )
    for sentence in told.tell(place.state, place.clock, alerting):
        note(sentence)
    standing = told.open_causes(place.state)
    for line in standing:
        shown.print(line, markup=False)
    raise typer.Exit(1 if standing else 0)


@app.command()
def certificate(
    account: Annotated[str, typer.Option(help="The account.")],
    day: Annotated[str, typer.Option(metavar="DAY", help="The UTC day.")],
) -> None:
    """Show an account-day's completeness certificate, and check it against the lake."""
    from journeyport import extract, runs
    from journeyport.deployment import here

    place = here()
    found = extract.verify_certificate(
        place.lake, place.state, account.upper(), runs.day("--day", day)
    )
    shown.print(found.text(), markup=False)
    raise typer.Exit(0 if found.ok else 1)


@app.command()
def release(
    account: Annotated[str, typer.Option(help="The account.")],
    day: Annotated[str, typer.Option(metavar="DAY", help="The UTC day.")],
    who: Annotated[str, typer.Option(help="Who decides; certified.")],
    reason: Annotated[str, typer.Option(help="Why; certified.")],
) -> None:
    """Let a held account-day be delivered by the next export of it."""
    from journeyport import receipts, runs
    from journeyport import release as releasing
    from journeyport.deployment import here

    place = here()
    account, named = place.account(account), runs.day("--day", day)
    work = place.work(receipts.operator(who))
    shown.print(releasing.release(work, account, named, reason=reason), markup=False)


@app.command()
def sql(
    question: Annotated[str, typer.Argument(help="SQL over the tables of the lake.")],
) -> None:
    """Answer one SQL question over the lake, as CSV."""
    from pyarrow import csv

    from journeyport import reading
    from journeyport.deployment import here

    csv.write_csv(reading.query(question, lake=here().lake), sys.stdout.buffer)


@app.command()
def profile(start: MaybeFrom = None, end: MaybeTo = None) -> None:
    """Counts per channel and day, null shares per column, new fields and values."""
    from journeyport import reading
    from journeyport.deployment import here

    first, last = reading.day(start), reading.day(end)
    if first is not None and last is not None and last < first:
        raise ArgumentError(f"--to {last} comes before --from {first}; swap them.")
    found = reading.profile(first, last, lake=here().lake)
    _table("Engagements per day and channel", found.channels.to_pylist())
    nulls = [row for row in found.nulls.to_pylist() if row["null_share"]]
    _table("Share of nulls per column that has any", nulls)
    news = [{"what": name, "seen": count} for name, count in found.drift.items()]
    _table("New fields and values", news)


def _table(title: str, rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    if not rows:
        shown.print(f"{title}: none")
        return
    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        cells = (
            f"{one:.1%}" if isinstance(one, float) else one for one in row.values()
        )
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    shown.print(table, soft_wrap=False)


def _reported(command: str, work: "Callable[[Deployment], Outcome]") -> None:
    """Run a command that ends with one JSON line, whatever happens."""
    from journeyport.deployment import here

    place = here()
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
