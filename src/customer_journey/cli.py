"""The command line: ``customer-journey serve`` and ``customer-journey generate``.

What the commands say to programs goes to standard output as one JSON line each; what
they say to people goes to standard error.
"""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
import typer

from customer_journey import instants
from customer_journey.admin import create_admin
from customer_journey.app import create_app
from customer_journey.auth import Given, announced, ensure_account
from customer_journey.clock import Clock
from customer_journey.faults import UnknownProfileError, parse_profiles
from customer_journey.generator import Plan, generate
from customer_journey.server import address, listen, run, stop_on_signals
from customer_journey.service import BODY_SECONDS, Service, open_service
from customer_journey.store import Store
from customer_journey.validation import ACCOUNT

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # a mistake is one plain sentence, not a box
    rich_markup_mode=None,
)

Accounts = Annotated[
    str, typer.Option(help="Account ids, six letters each, comma-separated.")
]
Database = Annotated[str, typer.Option(help="SQLite file or SQLAlchemy URL.")]
Count = Annotated[int, typer.Option(min=0, help="Engagements to generate.")]
Days = Annotated[int, typer.Option(min=1, max=3660, help="Days they spread over.")]
Start = Annotated[
    str | None, typer.Option(help="First day, YYYY-MM-DD. Default: DAYS before today.")
]
Seed = Annotated[int, typer.Option(help="The same seed makes the same data.")]
Truth = Annotated[
    Path | None,
    typer.Option(help="Where the true people go. Default: DATABASE.truth.jsonl."),
]


class _Wrong(typer.BadParameter):
    """A mistake in the arguments: one sentence and exit code 2."""


def main() -> None:
    """The console command."""
    app()


@app.callback()
def _root() -> None:
    """A local Customer Journey service: real answers over generated data."""


@app.command("generate")
def generate_command(  # noqa: PLR0917 - typer reads options from parameters
    database: Database = "customer-journey.db",
    accounts: Accounts = "ABCDEF,GHIJKL",
    engagements: Count = 5000,
    days: Days = 14,
    start: Start = None,
    seed: Seed = 1,
    truth: Truth = None,
) -> None:
    """Fill an empty database with engagements of invented people."""
    plan = _plan(accounts, engagements, days, start=start, seed=seed, now=Clock().now())
    store = _open(Store, database)
    try:
        for account in plan.accounts:
            ensure_account(store, account, _given(account, None, {}))
        _print(_generate(store, plan, truth, database))
    except ValueError as wrong:
        raise _Wrong(str(wrong)) from wrong
    finally:
        store.close()


@app.command()
def serve(  # noqa: PLR0917 - typer reads options from parameters
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free.")] = 8080,
    admin_port: Annotated[int, typer.Option(min=0, max=65535)] = 0,
    database: Database = "customer-journey.db",
    accounts: Accounts = "ABCDEF,GHIJKL",
    engagements: Annotated[
        int, typer.Option(min=0, help="Generate so many when the database is empty.")
    ] = 0,
    days: Days = 14,
    start: Start = None,
    seed: Seed = 1,
    truth: Truth = None,
    clock: Annotated[
        str | None, typer.Option(help="Stand at this instant, RFC 3339.")
    ] = None,
    clock_rate: Annotated[
        float, typer.Option(min=0, help="Service seconds per second of a set clock.")
    ] = 0.0,
    write_lag: Annotated[
        float, typer.Option(min=0, help="Seconds until a write is seen.")
    ] = 0.0,
    request_log: Annotated[
        Path | None, typer.Option(help="File for one JSON line per request.")
    ] = None,
    body_seconds: Annotated[
        float, typer.Option(min=0.01, help="Patience with each piece of a body.")
    ] = BODY_SECONDS,
    faults: Annotated[
        str, typer.Option(help="Fault profiles, comma-separated; see docs/service.md.")
    ] = "",
    fault_seed: Annotated[
        int, typer.Option(help="The same seed, the same faults.")
    ] = 1,
    live: Annotated[
        float, typer.Option(min=0, help="Events a minute while serving.")
    ] = 0.0,
    credentials_file: Annotated[
        Path | None,
        typer.Option(help="JSON: account to client_id, client_secret, app_key."),
    ] = None,
    client_id: Annotated[str | None, typer.Option(help="For every account.")] = None,
    client_secret: Annotated[str | None, typer.Option()] = None,
    app_key: Annotated[str | None, typer.Option()] = None,
    tell_credentials: Annotated[
        bool,
        typer.Option(
            "--tell-credentials",
            help="Print the random secrets again; else only at the first start.",
        ),
    ] = False,
) -> None:
    """Serve until Ctrl-C; the first line on standard output says where and to whom."""
    watch = _clock(clock, clock_rate)
    plan = _plan(accounts, engagements, days, start=start, seed=seed, now=watch.now())
    options = {"client_id": client_id, "client_secret": client_secret}
    options["app_key"] = app_key
    service = _open(
        open_service,
        database,
        clock=watch,
        write_lag=int(write_lag * instants.SECOND),
        request_log=request_log,
        body_seconds=body_seconds,
        truth=_truth_path(truth, database),
    )
    try:
        chosen = {
            account: _given(account, credentials_file, options)
            for account in plan.accounts
        }
        for account, given in chosen.items():
            ensure_account(service.store, account, given)
        if engagements and not service.store.count():
            _say(f"Generating {engagements} engagements …")
            _generate(service.store, plan, truth, database)
        service.set_faults(parse_profiles(faults.split(",")), fault_seed)
        accounts_told = announced(service.store, chosen, again=tell_credentials)
        asyncio.run(_serve(service, accounts_told, host, port, admin_port, live))
    except UnknownProfileError as wrong:
        raise _Wrong(str(wrong)) from wrong
    finally:
        service.close()


async def _serve(  # noqa: PLR0917 - each is one option of the command
    service: Service,
    accounts: dict[str, dict[str, Any]],
    host: str,
    port: int,
    admin_port: int,
    live: float,
) -> None:
    stop = asyncio.Event()
    try:
        public = listen(host, port)
        admin = listen("127.0.0.1", admin_port)
    except OSError as wrong:
        raise _Wrong(
            f"Cannot listen on {host}:{port}: {wrong.strerror}. Choose another port."
        ) from wrong
    stop_on_signals(stop)
    service.set_live(live)
    announcement = {
        "url": address(public),
        "admin_url": address(admin),
        "accounts": accounts,
    }
    await run(
        [(create_app(service), public), (create_admin(service), admin)],
        lambda: _print(announcement),
        stop,
    )
    service.set_live(0)


def _plan(
    accounts: str,
    engagements: int,
    days: int,
    *,
    start: str | None,
    seed: int,
    now: int,
) -> Plan:
    listed = tuple(name.strip() for name in accounts.split(",") if name.strip())
    for name in listed:
        if not ACCOUNT.fullmatch(name):
            raise _Wrong("An account id is exactly six letters, such as ABCDEF.")
    if not listed or len(set(listed)) < len(listed):
        raise _Wrong("Name at least one account, and each of them once.")
    first = now // instants.DAY - days
    if start is not None:
        parsed = instants.parse_day(start)
        if parsed is None:
            raise _Wrong("The start must be a day such as 2026-11-01.")
        first = parsed
    return Plan(listed, engagements, seed, first, days)


def _clock(start: str | None, rate: float) -> Clock:
    if start is None:
        return Clock()
    instant = instants.parse_instant(start)
    if instant is None:
        raise _Wrong("The clock must be an instant such as 2026-11-15T02:00:00Z.")
    return Clock(instant, rate)


def _given(account: str, path: Path | None, options: dict[str, str | None]) -> Given:
    """Credentials by option, else by environment, else by file."""
    chosen: dict[str, Any] = {}
    if path is not None:
        try:
            chosen = dict(orjson.loads(path.read_bytes()).get(account, {}))
        except (OSError, ValueError, AttributeError, TypeError) as wrong:
            raise _Wrong(
                f"The credentials file {path} cannot be read as JSON: an object "
                "of accounts with client_id, client_secret and app_key."
            ) from wrong
    for name in ("client_id", "client_secret", "app_key"):
        variable = f"CUSTOMER_JOURNEY_{name.upper()}"
        value = (
            options.get(name)
            or os.environ.get(f"{variable}_{account}")
            or os.environ.get(variable)
            or chosen.get(name)
        )
        chosen[name] = value
    return Given(chosen["client_id"], chosen["client_secret"], chosen["app_key"])


def _open(opener: Any, database: str, **options: Any) -> Any:
    try:
        return opener(database, **options)
    except ValueError as wrong:
        raise _Wrong(str(wrong)) from wrong
    except Exception as wrong:  # the driver's own errors differ by database
        raise _Wrong(
            f"The database {database.rpartition('@')[2]} cannot be opened: "
            f"{type(wrong).__name__}. Check the path or the URL."
        ) from wrong


def _generate(
    store: Store, plan: Plan, truth: Path | None, database: str
) -> dict[str, Any]:
    truth = _truth_path(truth, database)
    report = generate(store, plan, truth)
    return {
        "database": database.rpartition("@")[2],
        "engagements": report.engagements,
        "people": report.people,
        "seconds": round(report.seconds, 2),
        "truth": None if truth is None else str(truth),
        "as_of": instants.format_instant(plan.as_of),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _truth_path(given: Path | None, database: str) -> Path:
    """Beside an SQLite file; for a server's database in the working folder."""
    name = database if "://" not in database else sa.make_url(database).database
    return given or Path(f"{name}.truth.jsonl")


def _print(line: dict[str, Any]) -> None:
    typer.echo(orjson.dumps(line).decode())


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
