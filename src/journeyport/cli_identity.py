"""`journeyport identity …` and `journeyport explain`: who is who, why, and rulings.

Values of identifiers are printed because the person typed or asked for them; nothing
is logged.
"""

import getpass
from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from journeyport.console import report, shown
from journeyport.errors import ArgumentError

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
    identity.undo_rule(
        place.state, number, author=author or _login(), clock=place.clock
    )
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
    rule = identity.add_rule(
        place.state,
        account=place.account(account),
        kind=kind,
        left=left,
        right=right,
        author=decided[0] or _login(),
        reason=decided[1],
        clock=place.clock,
        expires_at=_end(expires),
    )
    shown.print(f"Rule {rule.number} holds from the next night on.")


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
