"""What is ours in the target: which tables we made, how, and which files they hold.

A table that is not listed here, or no longer looks as it was made, is never touched.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.ext.compiler import compiles

from journeyport.errors import PermanentError
from journeyport.schema import Column, Kind, Layout, Origin, Table
from journeyport.sql import ddl_table
from journeyport.tables import TABLES
from journeyport.warehouse.dialect import Dialect

DELIVERED: tuple[Table, ...] = tuple(
    table if "_row_hash" in table.names else replace(table, columns=columns)
    for table in TABLES
    if table.layout is not Layout.RAW
    for columns in [
        (
            *table.columns,
            Column(
                "_row_hash",
                Kind.STRING,
                "xxh3_128 over the content columns, hexadecimal.",
                required=True,
                origin=Origin.DERIVED,
            ),
        )
    ]
)
"""Every table of the lake but raw; those without a row hash are given one."""

DATA_TABLES = tuple(
    table.name for table in DELIVERED if table.layout is not Layout.OPERATIONS
)
"""Names of the tables that hold data; the others record what runs did."""

VIEWS = (
    "current_customers",
    "engagements_with_customer",
    "journey_timeline",
    "crm_customers",
)
"""Names of the views; what they show is said in `views`."""

MADE = "journeyport_tables"
HELD = "journeyport_files"


@dataclass(frozen=True)
class File:
    """A file of the lake as the warehouse holds it; account and day empty: whole."""

    table: str
    account: str = ""
    day: str = ""

    @property
    def date(self) -> date:
        """The day as a date; ValueError where the file is a whole table."""
        return date.fromisoformat(self.day)


@dataclass(frozen=True)
class Held:
    """A file of the lake when it was loaded: its digest, rows delivered, tombstones."""

    sha256: str
    rows: int
    tombstones: str


class Catalogue:
    """The target's tables, as declared and as they are.

    Args:
        dialect: the kind of warehouse.
        schema: the schema in the target; None: the connection's own.
    """

    def __init__(self, dialect: Dialect, schema: str | None = None) -> None:
        self.dialect = dialect
        self.schema = schema
        self.metadata = sa.MetaData(schema=schema)
        self.tables = {table.name: self._declared(table) for table in DELIVERED}
        self.made = sa.Table(
            MADE,
            self.metadata,
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("kind", sa.Text, nullable=False),
            sa.Column("dialect", sa.Text, nullable=False),
            sa.Column("declared", sa.Text, nullable=False),
            sa.Column("reflected", sa.Text, nullable=False),
            sa.Column("made_at", sa.TIMESTAMP(timezone=True), nullable=False),
            comment="What journeyport made in this schema; it touches nothing else.",
        )
        self.held = sa.Table(
            HELD,
            self.metadata,
            sa.Column("table_name", sa.Text, nullable=False),
            sa.Column("account_id", sa.Text, nullable=False),
            sa.Column("day", sa.Text, nullable=False),
            sa.Column("sha256", sa.Text, nullable=False),
            sa.Column("row_count", sa.BigInteger, nullable=False),
            sa.Column("tombstones", sa.Text, nullable=False),
            sa.Column("loaded_at", sa.TIMESTAMP(timezone=True), nullable=False),
            comment="The lake's files as they were when journeyport loaded them last.",
        )

    def _declared(self, table: Table) -> sa.Table:
        target = ddl_table(table, self.metadata, self.dialect.name, self.schema)
        self.dialect.indexes(table, target)
        return target

    def exists(self, connection: sa.Connection) -> bool:
        """Whether journeyport ever loaded into this schema."""
        return sa.inspect(connection).has_table(MADE, schema=self.schema)

    def present(self, connection: sa.Connection) -> dict[str, str]:
        """What we made and is there: tables and views, with what was declared."""
        found = sa.inspect(connection)
        there = set(found.get_table_names(schema=self.schema))
        if MADE not in there:
            return {}
        there |= set(found.get_view_names(schema=self.schema))
        listed = connection.execute(sa.select(self.made.c.name, self.made.c.declared))
        return {name: declared for name, declared in listed if name in there}

    def prepare(
        self, connection: sa.Connection, tables: Iterable[str], now: datetime
    ) -> None:
        """Make what is missing, add new columns, refuse what is not as we made it.

        Raises:
            PermanentError: tables that are not ours, that somebody altered, or whose
                declaration changed in a way that rows already there cannot follow.
        """
        if not self.exists(connection):
            self.made.create(connection)
            self.held.create(connection)
        there = self._reflected(connection)
        ours = {row.name: row for row in connection.execute(sa.select(self.made))}
        _refuse_foreign(sorted(there.keys() - ours.keys()))
        altered = [
            name
            for name in there.keys() & self.tables.keys()
            if there[name] != json.loads(ours[name].reflected)
        ]
        _refuse_altered(sorted(altered))
        changed = []
        for name in tables:
            if name not in there:
                self._make(connection, name)
                changed.append(name)
            elif self._follow(connection, name, json.loads(ours[name].declared)):
                changed.append(name)
        declared = {name: json.dumps(_declaration(_table(name))) for name in changed}
        self._list(connection, declared, now)

    def _make(self, connection: sa.Connection, name: str) -> None:
        self.tables[name].create(connection)
        # Where somebody dropped the table, its files are held no longer.
        connection.execute(sa.delete(self.held).where(self.held.c.table_name == name))

    def _follow(
        self, connection: sa.Connection, name: str, before: Mapping[str, Any]
    ) -> bool:
        """Add what was declared since; whether there was any such thing."""
        table = _table(name)
        after = _declaration(table)
        if before == after:
            return False
        _refuse_narrowing(table, before, after)
        for column in self.tables[name].columns:
            if column.name not in before:
                added = sa.Column(column.name, column.type, comment=column.comment)
                connection.execute(AddColumn(self.tables[name], added))
        return True

    def _list(
        self, connection: sa.Connection, declared: Mapping[str, str], now: datetime
    ) -> None:
        """Write down what we made and how it looks when it is made."""
        if not declared:
            return
        names = list(declared)
        there = self._reflected(connection, *names)
        connection.execute(sa.delete(self.made).where(self.made.c.name.in_(names)))
        rows = [
            {
                "name": name,
                "kind": "view" if name in VIEWS else "table",
                "dialect": self.dialect.name,
                "declared": declared[name],
                "reflected": json.dumps(there[name]),
                "made_at": now,
            }
            for name in names
        ]
        connection.execute(sa.insert(self.made), rows)

    def note_view(
        self, connection: sa.Connection, name: str, digest: str, now: datetime
    ) -> None:
        """Remember that the view is ours and what it shows."""
        self._list(connection, {name: digest}, now)

    def _reflected(
        self, connection: sa.Connection, *names: str
    ) -> dict[str, list[list[Any]]]:
        """Columns of our tables and views, or of these, as they are there."""
        wanted = names or (*self.tables, *VIEWS)
        found = sa.inspect(connection).get_multi_columns(
            schema=self.schema, filter_names=wanted, kind=ObjectKind.ANY
        )
        return {
            name: [
                [
                    column["name"],
                    column["type"].compile(connection.dialect),
                    column["nullable"],
                ]
                for column in columns
            ]
            for (_, name), columns in found.items()
            if name in wanted
        }

    def files(self, connection: sa.Connection) -> dict[File, Held]:
        """Every file that the warehouse holds, as it was when it was loaded."""
        held = self.held.c
        rows = connection.execute(
            sa.select(
                held.table_name,
                held.account_id,
                held.day,
                held.sha256,
                held.row_count,
                held.tombstones,
            )
        )
        return {
            File(name, account, day): Held(digest, count, tombstones)
            for name, account, day, digest, count, tombstones in rows
        }

    def note_files(
        self,
        connection: sa.Connection,
        files: Mapping[File, tuple[str, int]],
        tombstones: str,
        now: datetime,
    ) -> None:
        """Remember the files just loaded."""
        if not files:
            return
        held = self.held
        facts = [(file, digest, count) for file, (digest, count) in files.items()]
        columns = {
            "table_name": [file.table for file, _, _ in facts],
            "account_id": [file.account for file, _, _ in facts],
            "day": [file.day for file, _, _ in facts],
            "sha256": [digest for _, digest, _ in facts],
            "row_count": [count for _, _, count in facts],
            "tombstones": [tombstones] * len(facts),
            "loaded_at": pa.array([now] * len(facts), pa.timestamp("us", "UTC")),
        }
        staged = self.dialect.staged(connection, "stage", held, pa.table(columns))
        with staged as stage:
            same = sa.and_(
                held.c.table_name == stage.c.table_name,
                held.c.account_id == stage.c.account_id,
                held.c.day == stage.c.day,
            )
            there = sa.select(stage.c.day).where(same).exists()
            connection.execute(sa.delete(held).where(there))
            rows = sa.select(*(stage.c[name] for name in columns))
            connection.execute(sa.insert(held).from_select(list(columns), rows))


@cache
def catalogue_of(dialect: Dialect, schema: str | None = None) -> Catalogue:
    """The catalogue, made once in a process: declaring every table takes a while."""
    return Catalogue(dialect, schema)


class AddColumn(sa.schema.ExecutableDDLElement):
    """ALTER TABLE … ADD COLUMN, which SQLAlchemy leaves to others.

    Args:
        table: the table.
        column: the column, not attached to a table.
    """

    inherit_cache = False

    def __init__(self, table: sa.Table, column: sa.Column[Any]) -> None:
        self.table = table
        self.column = column


@compiles(AddColumn)  # type: ignore[untyped-decorator, unused-ignore]
def _add_column(element: AddColumn, compiler: Any, **_: Any) -> str:
    table = compiler.preparer.format_table(element.table)
    column = compiler.get_column_specification(element.column)
    return f"ALTER TABLE {table} ADD COLUMN {column}"


def _table(name: str) -> Table:
    return next(table for table in DELIVERED if table.name == name)


def _declaration(table: Table) -> dict[str, list[Any]]:
    return {
        column.name: [column.kind.value, column.required] for column in table.columns
    }


def _refuse_foreign(names: list[str]) -> None:
    if names:
        raise PermanentError(
            f"The warehouse already has {_named(names)} that journeyport did not make; "
            "rename them, or name another schema or database in "
            "JOURNEYPORT_WAREHOUSE_URL. Nothing was touched."
        )


def _refuse_altered(names: list[str]) -> None:
    if names:
        raise PermanentError(
            f"Somebody changed the columns of {_named(names)} in the warehouse; undo "
            "that, or drop what was changed and journeyport makes it again from the "
            "lake. Nothing was touched."
        )


def _refuse_narrowing(
    table: Table, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    for name, (kind, required) in before.items():
        if name not in after:
            change = "is no longer declared"
        elif after[name][0] != kind:
            change = f"was a {kind} and is now a {after[name][0]}"
        elif required and not after[name][1]:
            change = "may now be null, which the table there refuses"
        else:
            continue
        raise PermanentError(
            f"{table.name}.{name} {change}; rename or drop {table.name} in the "
            "warehouse and journeyport makes it again from the lake."
        )


def _named(names: list[str]) -> str:
    return f"{'table' if len(names) == 1 else 'tables'} {', '.join(names)}"
