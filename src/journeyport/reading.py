"""Reading the lake: tables as Arrow, SQL over all of them, a profile of what is there.

For notebooks and scripts: `journeyport.read("participants", "2026-03-01")`. Nothing
here writes; how tables lie in the lake is said in `lake`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from journeyport import environment
from journeyport.deployment import Deployment
from journeyport.errors import ArgumentError
from journeyport.lake import Lake
from journeyport.schema import Layout
from journeyport.session import open_session
from journeyport.tables import TABLES

Day = date | str
Place = Lake | str | Path

_CHANNELS = """
SELECT e.account_id, e."day", coalesce(c.channel_id, '(none)') AS channel,
    count(*) AS engagements
FROM engagements_alone e LEFT JOIN engagement_channels c
    ON c.account_id = e.account_id AND c.engagement_id = e.engagement_id
    AND c.ordinal = 0
WHERE NOT e.is_deleted AND {where}
GROUP BY ALL ORDER BY ALL
"""


def read(
    table: str,
    start: Day | None = None,
    end: Day | None = None,
    *,
    accounts: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    lake: Place | None = None,
) -> pa.Table:
    """A table of the lake as Arrow; `.to_pandas()` makes a frame of it.

    Args:
        table: its name, as in the data dictionary.
        start: the first UTC day, a date or YYYY-MM-DD; None: from the beginning.
        end: the last UTC day, included; None: to the end. Snapshots have no days and
            come whole.
        accounts: only these.
        columns: only these, in this order.
        lake: a lake, its folder or URL; None: the one of the settings.

    Raises:
        ArgumentError: there is no such table or column, or a day is none.
    """
    try:
        return opened(lake).read(table, day(start), day(end), accounts, columns)
    except KeyError as error:
        raise ArgumentError(
            f"The table {table} has no column {error}; the dictionary lists them."
        ) from None


def query(sql: str, *, lake: Place | None = None) -> pa.Table:
    """The answer of one SQL question over all tables of the lake, as Arrow.

    The SQL is DuckDB's; every table is a view, daily ones with a column `day` besides,
    and `engagements` carries `customer_id` and `resolution`.

    Raises:
        ArgumentError: DuckDB does not understand it; its own words are in the message.
    """
    with open_session() as connection:
        opened(lake).create_views(connection)
        try:
            return connection.execute(sql).to_arrow_table()
        except duckdb.CatalogException as error:
            lost = str(error).splitlines()[0].removesuffix("!")
            raise ArgumentError(
                f"The SQL cannot be answered: {lost}; SHOW TABLES lists what there is."
            ) from None
        except duckdb.Error as error:
            raise ArgumentError(f"The SQL cannot be answered: {error}") from None


@dataclass(frozen=True)
class Profile:
    """What a range of days holds, to lay beside the platform's own report.

    Attributes:
        channels: account_id, day, channel (the first), engagements.
        nulls: table, column, rows, null_share (0 to 1), per daily table.
        drift: what was new to us in these days, by name, counted.
    """

    channels: pa.Table
    nulls: pa.Table
    drift: Mapping[str, int]


def profile(
    start: Day | None = None,
    end: Day | None = None,
    *,
    accounts: Sequence[str] | None = None,
    lake: Place | None = None,
) -> Profile:
    """Counts per channel and day, null shares per column, new fields and values."""
    place, first, last = opened(lake), day(start), day(end)
    named = place.accounts() if accounts is None else list(accounts)
    where = ["true"]
    where += [f"\"day\" >= DATE '{first}'"] if first else []
    where += [f"\"day\" <= DATE '{last}'"] if last else []
    quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in named)
    where.append(f"account_id IN ({quoted})" if named else "false")
    chosen = " AND ".join(where)
    with open_session() as connection:
        place.create_views(connection)
        of_engagement = chosen.replace("account_id", "e.account_id")
        of_engagement = of_engagement.replace('"day"', 'e."day"')
        counted = connection.execute(_CHANNELS.format(where=of_engagement))
        channels = counted.to_arrow_table()
        nulls = _nulls(connection, chosen)
    return Profile(channels, nulls, _drift(place, named, first, last))


def opened(lake: Place | None) -> Lake:
    """The lake given, or the one of the settings."""
    if lake is None:
        return Deployment(environment.read).lake
    return lake if isinstance(lake, Lake) else Lake(lake)


def day(given: Day | None) -> date | None:
    """A day from a date or its text.

    Raises:
        ArgumentError: it is neither.
    """
    if not isinstance(given, str):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise ArgumentError(f"{given!r} is no day; 2026-03-05 is one.") from None


def _nulls(connection: duckdb.DuckDBPyConnection, where: str) -> pa.Table:
    found: dict[str, list[object]] = {"table": [], "column": []}
    found |= {"rows": [], "null_share": []}
    for table in TABLES:
        if table.layout is not Layout.DAILY:
            continue
        view = "engagements_alone" if table.name == "engagements" else table.name
        counts = ", ".join(f'count("{name}")' for name in table.names)
        row = connection.execute(
            f"SELECT count(*), {counts} FROM {view} "  # noqa: S608 - declared names
            f"WHERE {where}"
        ).fetchall()[0]
        for name, there in zip(table.names, row[1:], strict=True):
            found["table"].append(table.name)
            found["column"].append(name)
            found["rows"].append(row[0])
            found["null_share"].append(1 - there / row[0] if row[0] else None)
    return pa.table(found)


def _drift(
    lake: Lake, accounts: Sequence[str], first: date | None, last: date | None
) -> dict[str, int]:
    counts: dict[str, int] = {}
    for account in accounts:
        for one in lake.days(account):
            if (first and one < first) or (last and one > last):
                continue
            manifest = lake.manifest(account, one)
            drift = {} if manifest is None else manifest.facts.get("drift", {})
            for name, count in drift.items():
                counts[name] = counts.get(name, 0) + count
    return dict(sorted(counts.items()))
