"""Account-days made by hand: their tables in a lake, and how their walks ended."""

from datetime import UTC, date, datetime, time

import pyarrow as pa

from journeyport.arrow import conform, empty
from journeyport.schema import Kind
from journeyport.state.windows import WalkedDay
from journeyport.tables import BY_NAME, DAILY

ACCOUNT = "ABCDEF"
VALUES = {Kind.STRING: "x", Kind.INTEGER: 0, Kind.BOOLEAN: False, Kind.NUMBER: 0.0}


def rows(name, count, day, **given):
    """Rows of a table, made of nothing but what is required and what is given."""
    table = BY_NAME[name]
    start = datetime.combine(day, time(9), UTC)
    columns = {}
    for column in table.columns:
        if column.name in given or column.required:
            default = VALUES | {Kind.INSTANT: start, Kind.DATE: day}
            value = given.get(column.name, default.get(column.kind))
            made = value if callable(value) else lambda _n, value=value: value
            columns[column.name] = [made(n) for n in range(count)]
    return conform(table, pa.table(columns))


def fill(lake, day, count, **given):
    """Write an account-day of so many engagements, two thirds of them on Voice."""
    given = {
        "channel_count": 1,
        "engagement_id": lambda n: f"{day}-{n:04}",
        "account_id": ACCOUNT,
    } | given
    named = {name: given[name] for name in ("engagement_id", "account_id")}
    tables = {table.name: empty(table) for table in DAILY}
    tables["engagements"] = rows("engagements", count, day, **given)
    tables["engagement_channels"] = rows(
        "engagement_channels",
        count,
        day,
        **named,
        channel_id=lambda n: "Voice" if n % 3 else "Chat",
    )
    lake.write_day(ACCOUNT, day, tables, run_id="r", facts={})


def walked(day: date, status: str) -> WalkedDay:
    """How the walk of an account-day ended."""
    at = datetime.combine(day, time(), UTC)
    return WalkedDay(
        account=ACCOUNT,
        day=day,
        status=status,
        proof="PROVEN",
        coverage="all engagements",
        began_at=at,
        claim_from=at,
        claim_to=at,
        source_clock=True,
        walked_at=at,
        run_id="r",
        calls=1,
        found=0,
        breaches={},
        dropped={},
    )
