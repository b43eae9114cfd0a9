"""Rows of the org on SQLite: one table per object, and a table of the org's own facts.

Text columns compare without regard to case, as Salesforce does, unless a field says
otherwise. A row here is a plain dict. Which rows may be written is decided in
``records``; this module writes what it is told.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from salesforce_sandbox import ids
from salesforce_sandbox.schema import NUMBER_TYPES, Field, Schema, SObject

Row = dict[str, Any]


def _column(field: Field) -> sa.Column[Any]:
    kind: sa.types.TypeEngine[Any]
    if field.type == "boolean":
        kind = sa.Boolean()
    elif field.type in NUMBER_TYPES:
        kind = sa.Integer() if field.scale == 0 else sa.Float()
    elif field.type in {"id", "reference", "date", "datetime"} or field.case_sensitive:
        kind = sa.Text()
    else:
        kind = sa.Text(collation="NOCASE")
    indexed = field.external_id or field.unique or field.type in {"reference", "email"}
    indexed = indexed or field.name == "SystemModstamp"
    return sa.Column(field.name, kind, primary_key=field.name == "Id", index=indexed)


class Store:
    """The database of one org.

    Args:
        path: The SQLite file; created when missing, and widened when the schema grew.
        schema: What the org declares.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # it holds secrets
        self.schema = schema
        self.lock = threading.RLock()
        self.engine = sa.create_engine(
            f"sqlite:///{path}",
            connect_args={"timeout": 30, "check_same_thread": False},
        )
        sa.event.listen(self.engine, "connect", _tune)
        sa.event.listen(self.engine, "begin", _begin)
        self._joined = threading.local()
        metadata = sa.MetaData()
        self.tables = {
            o.name: sa.Table(o.name, metadata, *map(_column, o.fields.values()))
            for o in schema.objects.values()
        }
        self.facts = sa.Table(
            "sandbox_facts",
            metadata,
            sa.Column("name", sa.Text, primary_key=True),
            sa.Column("value", sa.Text, nullable=False),
        )
        self.jobs = sa.Table(
            "sandbox_jobs",
            metadata,
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("info", sa.Text, nullable=False),
            sa.Column("data", sa.LargeBinary),
        )
        self.results = sa.Table(
            "sandbox_results",
            metadata,
            sa.Column("job", sa.Text, primary_key=True),
            sa.Column("line", sa.Integer, primary_key=True),
            sa.Column("kind", sa.Text, nullable=False),
            sa.Column("record", sa.Text),
            sa.Column("created", sa.Boolean),
            sa.Column("error", sa.Text),
        )
        metadata.create_all(self.engine)
        self._widen()
        with self.engine.connect() as connection:
            self._counters = {
                name: int(self.fact(connection, f"counter.{name}") or 0)
                for name in schema.objects
            }
        self._dirty: set[str] = set()

    def _widen(self) -> None:
        present = sa.inspect(self.engine)
        with self.engine.begin() as connection:
            for table in self.tables.values():
                known = {c["name"] for c in present.get_columns(table.name)}
                for column in table.columns:
                    if column.name not in known:
                        kind = column.type.compile(self.engine.dialect)
                        added = f'"{column.name}" {kind}'
                        connection.exec_driver_sql(
                            f'ALTER TABLE "{table.name}" ADD COLUMN {added}'
                        )

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Gives a connection that sees one snapshot, or the open transaction's own."""
        current: sa.Connection | None = getattr(self._joined, "connection", None)
        if current is not None:
            yield current
            return
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Gives the one writing transaction; an exception leaves nothing behind.

        Inside another one of the same thread it is a part of that one: what it wrote
        goes when either ends with an exception.
        """
        current: sa.Connection | None = getattr(self._joined, "connection", None)
        if current is not None:
            with current.begin_nested():
                yield current
            return
        with self.lock, self.engine.begin() as connection:
            self._joined.connection = connection
            try:
                yield connection
            finally:
                self._joined.connection = None
            for name in self._dirty:
                self.set_fact(connection, f"counter.{name}", str(self._counters[name]))
            self._dirty.clear()

    def fact(self, connection: sa.Connection, name: str) -> str | None:
        """Returns one of the org's own facts, None when it was never set."""
        query = sa.select(self.facts.c.value).where(self.facts.c.name == name)
        return connection.execute(query).scalar()

    def set_fact(self, connection: sa.Connection, name: str, value: str) -> None:
        """Keeps one of the org's own facts."""
        connection.exec_driver_sql(
            "INSERT INTO sandbox_facts (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def new_number(self, sobject: SObject) -> int:
        """Returns the next running number of an object's records."""
        self._counters[sobject.name] += 1
        self._dirty.add(sobject.name)
        return self._counters[sobject.name]

    def last_number(self, sobject: SObject) -> int:
        """Returns the running number that the newest record has."""
        return self._counters[sobject.name]

    def new_id(self, sobject: SObject) -> str:
        """Returns a fresh record id."""
        return ids.make(sobject.prefix, self.new_number(sobject))

    def get(self, connection: sa.Connection, sobject: SObject, key: str) -> Row | None:
        """Returns the row with an id, deleted or not."""
        found = self.find(connection, sobject, {"Id": key}, deleted=True)
        return found[0] if found else None

    def find(
        self,
        connection: sa.Connection,
        sobject: SObject,
        values: Mapping[str, Any],
        *,
        deleted: bool = False,
    ) -> list[Row]:
        """Returns the rows equal in all the given fields, oldest first."""
        names = list(sobject.fields)
        flags = [n for n, f in sobject.fields.items() if f.type == "boolean"]
        found = []
        for values_of_row in self._matching(
            connection, sobject, names, values, deleted=deleted
        ):
            row = dict(zip(names, values_of_row, strict=True))
            for name in flags:
                row[name] = bool(row[name])
            found.append(row)
        return found

    def find_ids(
        self, connection: sa.Connection, sobject: SObject, values: Mapping[str, Any]
    ) -> list[str]:
        """Returns the ids of rows outside the bin equal in all the given fields."""
        rows = self._matching(connection, sobject, ["Id"], values, deleted=False)
        return [str(row[0]) for row in rows]

    @staticmethod
    def _matching(
        connection: sa.Connection,
        sobject: SObject,
        names: list[str],
        values: Mapping[str, Any],
        *,
        deleted: bool,
    ) -> list[Any]:
        columns = ", ".join(f'"{n}"' for n in names)
        tests = [f'"{n}" = ?' for n in values]
        if not deleted:
            tests.append('"IsDeleted" = 0')
        where = " AND ".join(tests) or "1"
        sql = f'SELECT {columns} FROM "{sobject.name}" WHERE {where} ORDER BY "Id"'  # noqa: S608
        return _execute(connection, sql, tuple(values.values()))

    def insert(self, connection: sa.Connection, sobject: SObject, row: Row) -> None:
        """Writes a new row."""
        columns = ", ".join(f'"{n}"' for n in row)
        places = ", ".join("?" for _ in row)
        sql = f'INSERT INTO "{sobject.name}" ({columns}) VALUES ({places})'  # noqa: S608
        _execute(connection, sql, tuple(row.values()))

    def update(
        self, connection: sa.Connection, sobject: SObject, key: str, changes: Row
    ) -> None:
        """Writes changed columns of one row."""
        columns = ", ".join(f'"{n}" = ?' for n in changes)
        sql = f'UPDATE "{sobject.name}" SET {columns} WHERE "Id" = ?'  # noqa: S608
        _execute(connection, sql, (*changes.values(), key))

    def purge(self, connection: sa.Connection, sobject: SObject) -> int:
        """Empties the recycle bin of one object; returns the number of rows."""
        table = self.tables[sobject.name]
        result = connection.execute(table.delete().where(table.c.IsDeleted.is_(True)))
        return int(result.rowcount)

    def count(self, connection: sa.Connection) -> int:
        """Returns the number of records that count towards storage."""
        total = 0
        for sobject in self.schema.objects.values():
            if sobject.createable:
                table = self.tables[sobject.name]
                query = sa.select(sa.func.count()).select_from(table)
                query = query.where(table.c.IsDeleted.is_(False))
                total += connection.execute(query).scalar_one()
        return total


def _execute(connection: sa.Connection, sql: str, values: tuple[Any, ...]) -> list[Any]:
    """Runs SQL on the transaction's own driver connection.

    Several statements run for each record that is written, and SQLAlchemy's result
    objects were two thirds of its cost. Names come from the schema, values are bound.
    """
    driver: Any = connection.connection.driver_connection
    found: list[Any] = driver.execute(sql, values).fetchall()
    return found


def _tune(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling knows no savepoints: SQLAlchemy begins.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
