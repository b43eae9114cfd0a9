"""The command ``salesforce-sandbox``."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from salesforce_sandbox.admin import seed
from salesforce_sandbox.errors import ApiError, Rejection, SchemaError
from salesforce_sandbox.org import Org
from salesforce_sandbox.schema import load
from salesforce_sandbox.serve import address, bind, run

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="A loopback CRM that speaks Salesforce's REST, Collections and Bulk 2.0.",
)


@app.callback()
def root() -> None:
    """A loopback CRM that speaks Salesforce's REST, Collections and Bulk 2.0."""


@app.command()
def serve(
    *,
    database: Annotated[Path, typer.Option(help="SQLite file; made when missing.")],
    port: Annotated[int, typer.Option(help="Port of the APIs; 0 takes any.")] = 0,
    admin_port: Annotated[int, typer.Option(help="Port of the admin door.")] = 0,
    host: Annotated[str, typer.Option(help="Address of the APIs.")] = "127.0.0.1",
    anywhere: Annotated[
        bool, typer.Option(help="Allow a host that is not loopback.")
    ] = False,
    schema: Annotated[
        Path | None, typer.Option(help="YAML with more objects and fields.")
    ] = None,
    person_accounts: Annotated[
        bool, typer.Option(help="Give Account the fields of a person.")
    ] = False,
    production: Annotated[
        bool, typer.Option(help="A new org says that it is in production.")
    ] = False,
    jwt_public_key: Annotated[
        Path | None, typer.Option(help="PEM key or certificate for JWT bearer.")
    ] = None,
    seed_contacts: Annotated[
        Path | None,
        typer.Option(help="JSON list of Contacts, added to an org that has none."),
    ] = None,
) -> None:
    """Serves an org; prints its address and credentials as one line of JSON."""
    if not (anywhere or _loopback(host)):
        _fail(f"{host} is not loopback. Add --anywhere to serve beyond this machine.")
    contacts = _contacts(seed_contacts)
    try:
        declared = load(schema, person_accounts=person_accounts)
    except SchemaError as error:
        _fail(str(error))
    key = _text(jwt_public_key, "The JWT key") if jwt_public_key else None
    org = Org(database, declared, public_key=key, production=production)
    try:
        _seed(org, contacts)
        _serve(org, host, port, admin_port)
    finally:
        org.close()


def _serve(org: Org, host: str, port: int, admin_port: int) -> None:
    try:
        main = bind(host, port)
    except OSError as error:
        _fail(
            f"Port {port} of {host} cannot be used: {error.strerror}. Choose another."
        )
    with main:
        try:
            steering = bind("127.0.0.1", admin_port)
        except OSError as error:
            _fail(
                f"Port {admin_port} cannot be used: {error.strerror}. Choose another."
            )
        with steering:
            line = json.dumps(asdict(address(org, main, steering)))
            try:
                run(org, main, steering, lambda: typer.echo(line))
            except KeyboardInterrupt:
                raise typer.Exit(130) from None


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _contacts(path: Path | None) -> list[Any]:
    if path is None:
        return []
    try:
        found = json.loads(_text(path, "The file of Contacts"))
    except ValueError:
        _fail(f"The file of Contacts {path} is not JSON.")
    if not isinstance(found, list):
        _fail(f"The file of Contacts {path} must hold a JSON list of records.")
    return found


def _seed(org: Org, contacts: list[Any]) -> None:
    sobject = org.schema.objects["Contact"]
    with org.store.reading() as connection:
        full = bool(org.store.find(connection, sobject, {}, deleted=True))
    if full or not contacts:
        return
    try:
        seed(org, sobject, contacts)
    except (ApiError, Rejection) as error:
        # The sentence may hold a value of the file; the code does not.
        _fail(f"A Contact of the file was refused with {error.code}; mend the file.")


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        _fail(f"{what} {path} cannot be read: {error.strerror}.")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)


def main() -> None:
    """Runs the command."""
    app()
