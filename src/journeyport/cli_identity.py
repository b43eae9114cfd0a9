"""`journeyport identity …` and `journeyport explain`: who is who, why, and rulings.

Values of identifiers are printed because the person typed or asked for them; nothing
is logged.
"""

from datetime import UTC, datetime
from typing import Annotated

import typer

from journeyport.console import shown
from journeyport.errors import ArgumentError

app = typer.Typer(
    no_args_is_help=True, help="Who is who: explain, rule, compare rules."
)

Author = Annotated[str, typer.Option(help="Who decides.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Account = Annotated[str, typer.Option(help="The account.")]
Identifier = Annotated[str, typer.Argument(metavar="TYPE=VALUE")]


@app.command()
def explain(
    left: Annotated[str, typer.Argument(help="An identifier: value or type=value.")],
    right: Annotated[str, typer.Argument(help="Another one.")],
    account: Annotated[str | None, typer.Option(help="The account.")] = None,
) -> None:
    """Say why two identifiers are one customer, or what keeps them apart."""
    from journeyport import identity
    from journeyport.deployment import here

    place = here()
    told = identity.explain(place.lake, place.state, left, right, account=account)
    shown.print(identity.render_explanation(told), markup=False)


@app.command("must-link")
def must_link(
    left: Identifier,
    right: Identifier,
    *,
    account: Account,
    author: Author,
    reason: Reason,
    until: Annotated[str | None, typer.Option(help="The day it ends.")] = None,
) -> None:
    """Rule that two identifiers are one customer's, from the next night on."""
    _rule("MUST_LINK", (left, right), account, (author, reason), until)


@app.command("cannot-link")
def cannot_link(
    left: Identifier,
    right: Identifier,
    *,
    account: Account,
    author: Author,
    reason: Reason,
    until: Annotated[str | None, typer.Option(help="The day it ends.")] = None,
) -> None:
    """Rule that two identifiers never are one customer's, from the next night on."""
    _rule("CANNOT_LINK", (left, right), account, (author, reason), until)


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
def undo(number: int, author: Author) -> None:
    """Take a ruling back."""
    from journeyport import identity
    from journeyport.deployment import here

    place = here()
    identity.undo_rule(place.state, number, author=author, clock=place.clock)
    shown.print(f"Rule {number} is taken back; the next night resolves without it.")


@app.command()
def diff(
    new: Annotated[str, typer.Argument(metavar="RULES.yaml", help="Other rules.")],
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


def _rule(
    kind: str,
    sides: tuple[str, str],
    account: str,
    decided: tuple[str, str],
    until: str | None,
) -> None:
    from journeyport import identity
    from journeyport.deployment import here

    place = here()
    left, right = (identity.parse_identifier(side) for side in sides)
    rule = identity.add_rule(
        place.state,
        account=account,
        kind=kind,
        left=left,
        right=right,
        author=decided[0],
        reason=decided[1],
        clock=place.clock,
        expires_at=_until(until),
    )
    shown.print(f"Rule {rule.number} holds from the next night on.")


def _until(day: str | None) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        raise ArgumentError(
            f"--until {day} is no day; write it as 2026-12-31."
        ) from None
