"""A lake made up for the tests: engagements with rows in every table, night by night.

Every value follows from the engagement's id and version by a fixed rule, so that the
same account-day is the same bytes.
"""

import random
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from journeyport.arrow import conform
from journeyport.clock import SetClock
from journeyport.lake import Lake
from journeyport.schema import Column, Kind, Layout, Table
from journeyport.tables import BY_NAME, DAILY, TABLES

FIRST = date(2026, 3, 1)
CLOCK = SetClock(datetime(2026, 3, 20, 3, tzinfo=UTC))
COUNTS = {
    "engagement_identifiers": "identifier_count",
    "engagement_channels": "channel_count",
    "engagement_topics": "topic_count",
    "participants": "participant_count",
    "agent_notes": "note_count",
    "engagement_data": "data_count",
    "engagement_attributes": "attribute_count",
    "queue_segments": "queue_count",
    "transfers": "transfer_count",
}


@dataclass(frozen=True)
class Made:
    """An engagement: its children's number and all values follow from these."""

    account: str
    engagement_id: str
    day: date
    version: int = 0
    shape: int = 0
    is_deleted: bool = False

    def children(self, table: str) -> int:
        if table == "engagement_outcomes":
            return 1
        return zlib.crc32(f"{self.engagement_id}{table}{self.shape}".encode()) % 4


@dataclass
class World:
    """The lake and what it was made of."""

    lake: Lake
    made: dict[tuple[str, str], Made] = field(default_factory=dict)
    tables: frozenset[str] = frozenset(table.name for table in TABLES)
    """Those it writes."""

    def add(self, account: str, day: date, *ids: str) -> None:
        for name in ids:
            self.made[account, name] = Made(account, name, day)

    def change(self, account: str, name: str, **what: object) -> None:
        """All values, and how many children there are."""
        before = self.made[account, name]
        version = before.version + 1
        shaped = {"shape": version, "version": version}
        self.made[account, name] = replace(before, **(shaped | what))

    def write(self, *days: tuple[str, date], run_id: str = "run-1") -> None:
        """Write these account-days; all that have engagements when none is given."""
        chosen = days or sorted(
            {(made.account, made.day) for made in self.made.values()}
        )
        for account, day in chosen:
            here = sorted(
                (
                    made
                    for made in self.made.values()
                    if (made.account, made.day) == (account, day)
                ),
                key=lambda made: made.engagement_id,
            )
            tables = {
                table.name: rows(table, here, run_id)
                for table in DAILY
                if table.name in self.tables
            }
            self.lake.write_day(account, day, tables, run_id=run_id, facts={})
        self.snapshots(run_id)

    def snapshots(self, run_id: str) -> None:
        """One row a living engagement in each snapshot and operations table."""
        alive = [made for made in self.made.values() if not made.is_deleted]
        for table in TABLES:
            if table.name not in self.tables:
                continue
            if table.layout in (Layout.SNAPSHOT, Layout.OPERATIONS):
                data = _table(table, [_row(table, made, 0, run_id) for made in alive])
                self.lake.write_snapshot(table.name, data, run_id=run_id)


def rows(table: Table, here: list[Made], run_id: str) -> pa.Table:
    found = []
    for made in here:
        if table.name == "engagements":
            row = _row(table, made, 0, run_id)
            for child, count in COUNTS.items():
                row[count] = 0 if made.is_deleted else made.children(child)
            found.append(row)
        elif not made.is_deleted:
            numbers = range(made.children(table.name))
            found += [_row(table, made, number, run_id) for number in numbers]
    return _table(table, found)


def _table(table: Table, found: list[dict]) -> pa.Table:
    found.sort(key=lambda row: [(row[k] is not None, str(row[k])) for k in table.key])
    return (
        conform(
            table,
            pa.table({name: [row[name] for row in found] for name in table.names}),
        )
        if found
        else conform(table, pa.table({name: [] for name in table.names}))
    )


def _row(table: Table, made: Made, number: int, run_id: str) -> dict:
    row = {
        column.name: _value(table, column, made, number)
        for column in table.columns
        if column.name != "_row_hash"
    }
    fixed = {
        "account_id": made.account,
        "engagement_id": made.engagement_id,
        "start_date": _instant(made.day, made.engagement_id),
        "is_deleted": made.is_deleted,
        "ordinal": number,
        "_run_id": run_id,
        "_extracted_at": CLOCK.now(),
    }
    row |= {name: value for name, value in fixed.items() if name in row}
    row["_row_hash"] = ""
    return row


def _instant(day: date, seed: str) -> datetime:
    seconds = zlib.crc32(seed.encode()) % 86_400
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight + timedelta(seconds=seconds, microseconds=seconds)


def _value(  # noqa: PLR0911 - one answer per kind
    table: Table, column: Column, made: Made, number: int
) -> object:
    # The key of a row stays as its content changes.
    version = 0 if column.name in table.key else made.version
    seed = f"{made.account}/{made.engagement_id}/{column.name}/{number}/{version}"
    rng = random.Random(seed)
    if not column.required and rng.random() < 0.2:
        return None
    match column.kind:
        case Kind.STRING:
            return rng.choice(["", "é", "a\x1fb", "quote\"'", "\\N"]) + seed
        case Kind.JSON:
            return '{"a": [1, null], "b": "ü"}'
        case Kind.INTEGER:
            return rng.randrange(-(2**62), 2**62)
        case Kind.NUMBER:
            return rng.choice([0.0, 1 / 3, 1e300, rng.random()])
        case Kind.BOOLEAN:
            return rng.random() < 0.5
        case Kind.INSTANT:
            return _instant(FIRST, seed)
        case Kind.DATE:
            return FIRST + timedelta(days=rng.randrange(400))


def fill(world: World, days: int = 2, each: int = 3, accounts=("AAAAAA", "BBBBBB")):
    """Some days of some accounts, written."""
    for account in accounts:
        for number in range(days):
            day = FIRST + timedelta(days=number)
            names = (f"{account}-{number}-{i:03d}" for i in range(each))
            world.add(account, day, *names)
    world.write()
    return world


def content(world: World, table: str, *, tombstones: str = "delete") -> list[tuple]:
    """The lake's rows over the columns that count, in a fixed order."""
    data = world.lake.read(table)
    if tombstones == "delete" and "is_deleted" in data.column_names:
        data = data.filter([not flag for flag in data.column("is_deleted").to_pylist()])
    return as_rows(BY_NAME[table], data)


def as_rows(table: Table, data: pa.Table) -> list[tuple]:
    names = [column.name for column in table.content]
    columns = [data.column(name).to_pylist() for name in names]
    return sorted(zip(*columns, strict=True), key=repr)


def delivered() -> list[str]:
    return [table.name for table in TABLES if table.layout is not Layout.RAW]


def assert_equal(target, world: World, **named: str) -> None:
    """The warehouse's tables are the lake's, row by row."""
    wanted = [table for table in delivered() if table in world.tables]
    there = target.rows(wanted)
    assert list(there) == wanted
    for table in wanted:
        assert there[table] == content(world, table, **named), table
