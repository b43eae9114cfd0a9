"""`journeyport identity …` and `journeyport explain`: who is who, why, and rulings.

Values of identifiers are printed because the person typed or asked for them; nothing
is logged.
"""

import getpass
from datetime import UTC, date, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from journeyport.console import report, shown
from journeyport.errors import ArgumentError

if TYPE_CHECKING:
    from journeyport.deployment import Deployment

app = typer.Typer(
    no_args_is_help=True, help="Who is who: explain, rule, compare rules."
)

Account = Annotated[
    str | None, typer.Option(help="The account; needless where there is one.")
]
Author = Annotated[str | None, typer.Option(help="Who decides; default: your login.")]
Expires = Annotated[
    str | None, typer.Option(metavar="DAY", help="The UTC day on which it ends.")
]
Identifier = Annotated[str, typer.Argument(metavar="TYPE=VALUE")]
Reason = Annotated[str, typer.Option(help="Why; kept with the ruling.")]


@app.command()
def explain(
    left: Annotated[str, typer.Argument(help="An identifier: value or type=value.")],
    right: Annotated[str, typer.Argument(help="Another one.")],
    account: Annotated[str | None, typer.Option(help="The account.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="As one JSON line instead of words.")
    ] = False,
) -> None:
    """Say why two identifiers are one customer, or what keeps them apart."""
    from journeyport import identity
    from journeyport.deployment import here

    place = here()
    told = identity.explain(place.lake, place.state, left, right, account=account)
    if as_json:
        report(told.to_json())
    else:
        shown.print(identity.render_explanation(told), markup=False)


@app.command()
def link(
    left: Identifier,
    right: Identifier,
    *,
    reason: Reason,
    account: Account = None,
    author: Author = None,
    expires: Expires = None,
) -> None:
    """Rule that two identifiers are one customer's, from the next night on."""
    _rule("MUST_LINK", (left, right), account, (author, reason), expires)


@app.command()
def unlink(
    left: Identifier,
    right: Identifier,
    *,
    reason: Reason,
    account: Account = None,
    author: Author = None,
    expires: Expires = None,
) -> None:
    """Rule that two identifiers never are one customer's, from the next night on."""
    _rule("CANNOT_LINK", (left, right), account, (author, reason), expires)


@app.command()
def rules(
    account: Annotated[str | None, typer.Option(help="The account.")] = None,
) -> None:
    """List the rulings, those taken back too."""
    from journeyport import identity
    from journeyport.deployment import here

    place = here()
    found = identity.list_rules(place.state, account)
    shown.print(identity.render_rules(found, place.clock.now()), markup=False)


@app.command()
def undo(
    number: Annotated[int, typer.Argument(help="Its number; `rules` lists them.")],
    author: Author = None,
) -> None:
    """Take a ruling back."""
    from journeyport import identity
    from journeyport.deployment import here

    place = here()
    name = author or _login()
    identity.undo_rule(place.state, number, author=name, clock=place.clock)
    told = "A ruling is taken back."
    _receipt(place, "RULE_UNDONE", name, reason=told, number=number)
    shown.print(f"Rule {number} is taken back; the next night resolves without it.")


@app.command()
def diff(
    new: Annotated[
        str, typer.Option("--config", metavar="RULES.yaml", help="The other rules.")
    ],
) -> None:
    """Say what other identity rules would change, without changing anything."""
    from journeyport import identity
    from journeyport.deployment import here

    place = here()
    found = identity.diff(
        place.lake,
        place.state,
        place.identity,
        identity.load_config(new),
        accounts=place.accounts,
        clock=place.clock,
    )
    shown.print(identity.render_diff(found), markup=False)


@app.command()
def compare(
    identifiers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IDENTIFIER]...", help="The customers of these."),
    ] = None,
    sample: Annotated[
        int, typer.Option(min=1, max=1000, help="Else so many customers.")
    ] = 20,
    account: Account = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="As one JSON line instead of words.")
    ] = False,
) -> None:
    """Ask the source how it groups some customers; propose what it has unlinked.

    One question per customer mostly, within JOURNEYPORT_CALL_BUDGET. Nothing is
    changed: a proposal is a command that you may run or not.
    """
    from journeyport import identity
    from journeyport.deployment import here

    place = here()
    chosen = place.account(account)
    try:
        found = identity.compare(
            place.lake,
            chosen,
            partial(place.source.linked, chosen),
            sample=sample,
            identifiers=identifiers or (),
        )
    finally:
        place.close()
    if as_json:
        report(identity.comparison_to_json(found))
    else:
        shown.print(identity.render_comparison(found), markup=False)


def _rule(
    kind: str,
    sides: tuple[str, str],
    account: str | None,
    decided: tuple[str | None, str],
    expires: str | None,
) -> None:
    from journeyport import identity
    from journeyport.deployment import here

    place = here()
    left, right = (identity.parse_identifier(side) for side in sides)
    name = decided[0] or _login()
    rule = identity.add_rule(
        place.state,
        account=place.account(account),
        kind=kind,
        left=left,
        right=right,
        author=name,
        reason=decided[1],
        clock=place.clock,
        expires_at=_end(expires),
    )
    _receipt(
        place,
        "RULE",
        name,
        reason=rule.reason,
        number=rule.number,
        account=rule.account_id,
    )
    shown.print(f"Rule {rule.number} holds from the next night on.")


def _receipt(
    place: "Deployment",
    action: str,
    author: str,
    *,
    reason: str,
    number: int,
    account: str | None = None,
) -> None:
    from journeyport import receipts
    from journeyport.state.receipts import Receipt

    work = place.work(receipts.operator(author))
    receipts.write(
        work.lake,
        work.state,
        Receipt(
            action,
            work.clock.now(),
            work.actor,
            work.run_id,
            reason,
            account_id=account,
            subject=f"rule {number}",
        ),
    )


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ArgumentError(
            "This user has no login name; say who decides with --author."
        ) from None


def _end(day: str | None) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(day), time(), UTC)
    except ValueError:
        raise ArgumentError(
            f"--expires {day} is no day; write it as 2026-12-31."
        ) from None
