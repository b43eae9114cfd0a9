"""PostgreSQL 14 and up as a warehouse.

Bulk path: Arrow batches encoded as PostgreSQL's binary COPY format, into temporary
tables that end with the transaction. Readers are never kept waiting: a load takes row
locks and an advisory lock of its own, no table lock, unless a column is added.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import errors as pg
from psycopg import pq, sql
from pyarrow import csv

from journeyport.errors import (
    AccessError,
    JourneyportError,
    LeaseError,
    PermanentError,
    SettingsError,
    TransientError,
)
from journeyport.schema import Table
from journeyport.warehouse.dialect import Dialect, Failure

_LOCK = 0x6A6F7572
"""The advisory lock's number: the first four letters of our name."""

_BATCH = 20_000
"""Rows encoded and sent at once: a few megabytes."""


def _engine(
    url: sa.URL,
    make: bool,
) -> sa.Engine:
    del make  # a database is its administrator's to make
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        poolclass=sa.pool.NullPool,
        hide_parameters=True,
        logging_name="warehouse",
        connect_args={
            "application_name": "journeyport",
            "connect_timeout": 20,
            "client_encoding": "utf8",
        },
    )


def _guard(connection: sa.Connection) -> None:
    for setting in (
        "SET LOCAL TimeZone = 'UTC'",
        "SET LOCAL lock_timeout = '10min'",
        "SET LOCAL work_mem = '64MB'",
        "SET LOCAL default_statistics_target = 5",
    ):
        connection.execute(sa.text(setting))
    # Null where the user has no schema of its own: the lock is then on the database.
    schema = sa.func.hashtext(sa.func.coalesce(sa.func.current_schema(), ""))
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK, schema)))


def _snapshot(connection: sa.Connection) -> None:
    for setting in (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "SET LOCAL TimeZone = 'UTC'",
    ):
        connection.execute(sa.text(setting))


def _stage(connection: sa.Connection, table: sa.Table, data: pa.Table) -> None:
    connection.execute(sa.schema.CreateTable(table))
    _copy_in(connection, table, data)
    # Without it the planner takes the staged table for a small one; its number of rows
    # is all it needs, so few are looked at.
    connection.execute(sa.text("ANALYZE " + _quoted(connection, table)))


def _append(connection: sa.Connection, table: sa.Table, data: pa.Table) -> None:
    _copy_in(connection, table, data)


def _copy_in(connection: sa.Connection, table: sa.Table, data: pa.Table) -> None:
    encoder = ArrowToPostgresBinaryEncoder(data.schema)
    columns = sql.SQL(", ").join(map(sql.Identifier, data.schema.names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.SQL(_quoted(connection, table)), columns
    )
    with _raw(connection).cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(encoder.write_header())
        for batch in data.to_batches(max_chunksize=_BATCH):
            copy.write(encoder.write_batch(batch))
        copy.write(encoder.finish())


def _quoted(connection: sa.Connection, table: sa.Table) -> str:
    return connection.dialect.identifier_preparer.format_table(table)


def _unstage(connection: sa.Connection, table: sa.Table) -> None:
    connection.execute(sa.schema.DropTable(table))


def _raw(connection: sa.Connection) -> psycopg.Connection:
    return cast("psycopg.Connection", connection.connection.driver_connection)


def _fetch(
    connection: sa.Connection, select: sa.Select[tuple[object, ...]]
) -> pa.Table:
    return _copied(connection, select, select.selected_columns)


def _take(
    connection: sa.Connection,
    table: sa.Table,
    where: sa.ColumnElement[bool],
    names: Sequence[str],
) -> pa.Table:
    columns = [table.c[name] for name in names]
    taken = sa.delete(table).where(where).returning(*columns)
    return _copied(connection, taken, columns)


def _copied(
    connection: sa.Connection,
    statement: sa.sql.ClauseElement,
    columns: Iterable[sa.ColumnElement[Any]],
) -> pa.Table:
    """As CSV, which the server writes and Arrow reads without Python in between."""
    compiled = statement.compile(dialect=connection.dialect)
    copying = f"COPY ({compiled}) TO STDOUT (FORMAT CSV, ENCODING 'UTF8')"
    types = {column.name: _arrow_type(column) for column in columns}
    raw = _raw(connection)
    found = _copied_out(
        raw, psycopg.ClientCursor(raw).mogrify(copying, compiled.params)
    )
    if not found:
        return pa.schema(types.items()).empty_table()
    return csv.read_csv(
        pa.py_buffer(found),
        csv.ReadOptions(column_names=list(types)),
        # A line is empty where its one column is null.
        csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
            timestamp_parsers=[csv.ISO8601],
        ),
    )


def _copied_out(connection: psycopg.Connection, statement: str) -> bytes:
    """What a COPY TO STDOUT gives; psycopg's own loop takes five times as long."""
    session = connection.pgconn
    result = session.exec_(statement.encode())
    parts = []
    if result.status == pq.ExecStatus.COPY_OUT:
        while (part := session.get_copy_data(0))[0] > 0:
            parts.append(bytes(part[1]))
        result = session.get_result() or result
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise pg.error_from_result(result, "utf-8")
    while session.get_result() is not None:
        pass
    return b"".join(parts)


def _arrow_type(column: sa.ColumnElement[object]) -> pa.DataType:
    for kinds, arrow in _ARROW:
        if isinstance(column.type, kinds):
            return arrow
    raise TypeError(f"no Arrow type for {column.type}")


_ARROW: tuple[tuple[type | tuple[type, ...], pa.DataType], ...] = (
    (sa.DateTime, pa.timestamp("us", "UTC")),
    (sa.Date, pa.date32()),
    (sa.Boolean, pa.bool_()),
    (sa.Integer, pa.int64()),
    ((sa.Float, sa.Double), pa.float64()),
    (sa.String, pa.string()),
)


def _storable(data: pa.Table) -> pa.Table:
    """Text without NUL, which PostgreSQL cannot hold: U+FFFD stands in its place."""
    for place, field in enumerate(data.schema):
        if pa.types.is_string(field.type) and _has_nul(data.column(place)):
            # PostgreSQL's own limit: https://www.postgresql.org/docs/current/datatype-character.html
            clean = pc.replace_substring(data.column(place), "\0", "�")
            data = data.set_column(place, field, clean)
    return data


def _has_nul(values: pa.ChunkedArray) -> bool:
    for chunk in values.chunks:
        octets = chunk.buffers()[2]
        if octets is not None and not np.frombuffer(octets, np.uint8).all():
            return True
    return False


def _indexes(table: Table, target: sa.Table) -> None:
    """One to find rows by, one over time; each named by SQLAlchemy.

    Rows of engagements are found by the engagement, through a hash of its id: a B-tree
    over such keys is five times as large, and ids in no order touch all of it. Others
    are found by their key, unique where no column of it may be null. The index over
    time is BRIN: batches arrive in the order of time, so it costs next to nothing.
    """
    if "engagement_id" in table.key:
        sa.Index(
            f"{table.name}_by_engagement",
            target.c.engagement_id,
            postgresql_using="hash",
        )
    else:
        required = [name for name in table.key if table.column(name).required]
        sa.Index(
            f"{table.name}_by_key",
            *(target.c[name] for name in required),
            unique=len(required) == len(table.key),
        )
    if "start_date" in target.c and "start_date" not in table.key:
        sa.Index(
            f"{table.name}_by_start",
            target.c.start_date,
            postgresql_using="brin",
            postgresql_with={"autosummarize": "on", "pages_per_range": "32"},
        )


def _failure(error: BaseException) -> Failure | None:
    if not isinstance(error, psycopg.Error):
        return None
    # At sign-in libpq gives no SQLSTATE, only the server's words.
    words = str(error) if error.sqlstate is None else ""
    for meaning in _MEANINGS:
        if isinstance(error, meaning.kinds) or (
            meaning.words and meaning.words in words
        ):
            return Failure(meaning.raised(meaning.sentence), meaning.retry)
    if isinstance(error, psycopg.OperationalError):
        return Failure(TransientError(_CUT), retry=True)
    return None


_CUT = (
    "The connection to the PostgreSQL warehouse could not be made or was cut; check "
    "that the server is up and reachable, and start the load again: nothing was half "
    "written."
)


@dataclass(frozen=True)
class _Meaning:
    raised: type[JourneyportError]
    sentence: str
    kinds: tuple[type[psycopg.Error], ...] = ()
    words: str = ""
    retry: bool = False


_MEANINGS: tuple[_Meaning, ...] = (
    _Meaning(
        AccessError,
        "PostgreSQL refuses the user or the password of JOURNEYPORT_WAREHOUSE_URL; "
        "correct them.",
        (pg.InvalidPassword, pg.InvalidAuthorizationSpecification),
        "password authentication failed",
    ),
    _Meaning(
        AccessError,
        "PostgreSQL asks for a password and JOURNEYPORT_WAREHOUSE_URL holds none; "
        "add it.",
        words="no password supplied",
    ),
    _Meaning(
        SettingsError,
        "The database or the role that JOURNEYPORT_WAREHOUSE_URL names does not exist; "
        "create it or correct the name.",
        (pg.InvalidCatalogName,),
        "does not exist",
    ),
    _Meaning(
        AccessError,
        "PostgreSQL lets nobody in from this machine with the user of "
        "JOURNEYPORT_WAREHOUSE_URL; the server's administrator must allow it.",
        words="no pg_hba.conf entry",
    ),
    _Meaning(
        AccessError,
        "The user of JOURNEYPORT_WAREHOUSE_URL lacks a right in the PostgreSQL "
        "warehouse; grant it the loader role, as docs/warehouse.md gives it.",
        (pg.InsufficientPrivilege,),
        "permission denied for database",
    ),
    _Meaning(
        PermanentError,
        "The disk of the PostgreSQL warehouse is full; free some space there and start "
        "the load again: nothing was half written.",
        (pg.DiskFull,),
    ),
    _Meaning(
        SettingsError,
        "JOURNEYPORT_WAREHOUSE_URL names a PostgreSQL server that only reads, a "
        "standby perhaps; name the one that writes.",
        (pg.ReadOnlySqlTransaction,),
    ),
    _Meaning(
        LeaseError,
        "Another load or a table lock kept the warehouse busy for ten minutes; start "
        "the load again when it has ended.",
        (pg.LockNotAvailable,),
    ),
    _Meaning(
        TransientError,
        "The load and another user of the PostgreSQL warehouse blocked each other "
        "again and again; start the load again when the other has ended.",
        (pg.DeadlockDetected, pg.SerializationFailure),
        retry=True,
    ),
    _Meaning(
        TransientError,
        "The PostgreSQL warehouse takes no more connections now; start the load again "
        "later, or allow more of them.",
        (pg.TooManyConnections, pg.CannotConnectNow),
        "too many clients",
        retry=True,
    ),
    _Meaning(
        TransientError,
        "The PostgreSQL warehouse ran out of memory; start the load again later.",
        (pg.OutOfMemory,),
    ),
    _Meaning(
        TransientError,
        "A statement was cancelled in the PostgreSQL warehouse, by its administrator "
        "or by statement_timeout; raise that for the loader and start the load again.",
        (pg.QueryCanceled,),
    ),
    _Meaning(
        PermanentError,
        "A key of the lake stands twice in the PostgreSQL warehouse, so somebody "
        "changed rows there; `journeyport verify warehouse --deep` shows where.",
        (pg.UniqueViolation,),
    ),
    _Meaning(
        PermanentError,
        "The PostgreSQL warehouse refuses a value that the lake holds; "
        "`journeyport verify warehouse` shows which tables are behind.",
        (pg.DataError, pg.IntegrityError),
    ),
)

POSTGRESQL = Dialect(
    name="postgresql",
    engine=_engine,
    guard=_guard,
    snapshot=_snapshot,
    stage=_stage,
    unstage=_unstage,
    append=_append,
    fetch=_fetch,
    take=_take,
    storable=_storable,
    writes_over=True,
    indexes=_indexes,
    failure=_failure,
)
