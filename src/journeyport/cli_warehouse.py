"""`journeyport backfill` and `journeyport verify warehouse`: lake against target.

Loading in a night is the pipelines' work; what is done here asks the source nothing.
"""

from dataclasses import replace
from typing import Annotated

import typer

from journeyport.console import Bars, report
from journeyport.errors import ArgumentError


def backfill(
    start: Annotated[str, typer.Option("--from", metavar="DAY", help="First UTC day.")],
    end: Annotated[str, typer.Option("--to", metavar="DAY", help="Last UTC day.")],
    tables: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Only these tables, with commas between."),
    ] = None,
    rewrite: Annotated[
        bool,
        typer.Option("--rewrite", help="Write every row anew, altered values too."),
    ] = False,
) -> None:
    """Load days and tables into the warehouse again, from the lake alone."""
    from journeyport import delivery, receipts, runs, warehouse
    from journeyport.deployment import here

    place = here()
    first, last = runs.days(place, start, end)
    names = None if tables is None else tables.replace(",", " ").split()
    if names == []:
        raise ArgumentError("--tables names no table; name some, or leave it out.")
    warehouse.chosen(names)
    wanted = [
        (account, day)
        for account in place.accounts
        for day in place.lake.days(account)
        if first <= day <= last
    ]
    if not wanted:
        raise ArgumentError(
            f"The lake holds no day from {first} to {last}; `journeyport export` "
            "fetches them."
        )
    with Bars() as bars:
        run = replace(place.work(receipts.operator()), progress=bars)
        loaded = delivery.load(
            run,
            place.warehouse_url,
            account_days=wanted,
            shrink_limit=place.settings.shrink_limit,
            tables=names,
            rewrite=rewrite,
        )
    report({"command": "backfill", **loaded.as_dict()})
    # Days that are held back: the others were loaded all the same.
    delivery.end(run)


def verify(
    deep: Annotated[
        bool, typer.Option("--deep", help="Work every row's hash out again.")
    ] = False,
) -> None:
    """Compare the warehouse with the lake, per table and account-day."""
    from journeyport import warehouse
    from journeyport.deployment import here

    place = here()
    with Bars() as bars:
        found = warehouse.verify(place.lake, place.warehouse_url, deep, progress=bars)
    report({"command": "verify warehouse", **found.as_dict()})
    raise typer.Exit(0 if found.equal else 1)
