"""DuckDB as a warehouse: one file, written by one process at a time.

Bulk path: Arrow tables are registered on the connection and read where they lie. No
index and no primary key: with them a load takes several times as long and the file
grows to twice the size; the uniqueness of keys is checked before staging.
"""

import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from journeyport.errors import (
    AccessError,
    LeaseError,
    PermanentError,
    SettingsError,
    TransientError,
)
from journeyport.schema import Table
from journeyport.warehouse.dialect import Dialect, Failure

PATIENCE = 60.0
"""Seconds to wait for another process, or thread, to let go of the file."""

_TURNS: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
"""Within this process one connection at a time, as between processes."""


def _engine(
    url: sa.URL,
    make: bool,
) -> sa.Engine:
    path = _path(url)
    if make:
        _make(path)
    elif not path.exists():
        raise SettingsError(
            "The DuckDB file that JOURNEYPORT_WAREHOUSE_URL names is not there; load "
            "the warehouse first, or correct the path."
        )
    engine = sa.create_engine(
        url, poolclass=sa.pool.NullPool, hide_parameters=True, logging_name="warehouse"
    )
    turn = _TURNS[path]

    @sa.event.listens_for(engine, "do_connect")
    def _wait(
        dialect: sa.Dialect, _record: object, args: tuple[object], named: dict[str, str]
    ) -> object:
        until = time.monotonic() + PATIENCE
        if not turn.acquire(timeout=PATIENCE):
            raise duckdb.IOException("Could not set lock on file: in this process")
        try:
            return _connection(dialect, args, named, until)
        except BaseException:
            turn.release()
            raise

    @sa.event.listens_for(engine, "close")
    def _next(*_: object) -> None:
        turn.release()

    return engine


def _connection(
    dialect: sa.Dialect, args: tuple[object], named: dict[str, str], until: float
) -> object:
    while True:
        try:
            return dialect.connect(*args, **named)
        except duckdb.IOException as error:
            if not _is_locked(error) or time.monotonic() > until:
                raise
            time.sleep(0.2)


def _path(url: sa.URL) -> Path:
    name = url.database or ""
    if name in ("", ":memory:") or name.startswith(("md:", "motherduck:")):
        raise SettingsError(
            "JOURNEYPORT_WAREHOUSE_URL names no DuckDB file; "
            "duckdb:////path/to/warehouse.duckdb does."
        )
    return Path(name).absolute()


def _make(path: Path) -> None:
    """Make the file, readable by its owner alone from the first byte."""
    if path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
            draft = Path(folder) / path.name
            duckdb.connect(str(draft)).close()
            draft.chmod(0o600)
            try:
                os.link(draft, path)
            except FileExistsError:  # somebody else was faster
                return
    except OSError as error:
        raise AccessError(
            f"The warehouse file cannot be made in {path.parent} ({error.strerror}); "
            "check that this user may write there."
        ) from error


def _guard(connection: sa.Connection) -> None:
    # Nobody else is here: the file's lock keeps other processes out, `_TURNS` threads.
    connection.execute(sa.text("SET TimeZone = 'UTC'"))
    # It would write on the standard output, which belongs to the command.
    connection.execute(sa.text("SET enable_progress_bar = false"))


def _stage(connection: sa.Connection, table: sa.Table, data: pa.Table) -> None:
    _raw(connection).register(table.name, data)


def _unstage(connection: sa.Connection, table: sa.Table) -> None:
    _raw(connection).unregister(table.name)


def _append(connection: sa.Connection, table: sa.Table, data: pa.Table) -> None:
    new = sa.table(
        f"new_{table.name}", *(sa.column(name) for name in data.schema.names)
    )
    names = data.schema.names
    _raw(connection).register(new.name, data)
    connection.execute(sa.insert(table).from_select(names, sa.select(*new.columns)))
    _raw(connection).unregister(new.name)


def _raw(connection: sa.Connection) -> duckdb.DuckDBPyConnection:
    return cast("duckdb.DuckDBPyConnection", connection.connection.driver_connection)


def _fetch(
    connection: sa.Connection, select: sa.Select[tuple[object, ...]]
) -> pa.Table:
    result = connection.execute(select)
    data: pa.Table = result.cursor.to_arrow_table()
    result.close()
    return data


def _take(
    connection: sa.Connection,
    table: sa.Table,
    where: sa.ColumnElement[bool],
    names: Sequence[str],
) -> pa.Table:
    # DELETE … RETURNING takes twenty times as long as the two.
    found = _fetch(connection, sa.select(*(table.c[n] for n in names)).where(where))
    connection.execute(sa.delete(table).where(where))
    return found


def _as_it_is(data: pa.Table) -> pa.Table:
    return data


def _no_indexes(table: Table, target: sa.Table) -> None:
    del table, target


def _is_locked(error: BaseException) -> bool:
    return "lock on file" in str(error)


def _is_full(text: str) -> bool:
    # DuckDB gives no code: a commit that cannot be written is a TransactionException.
    return "No space left" in text or "could not write" in text.lower()


_FULL = (
    "The disk under the warehouse file is full; free some space and start the load "
    "again: nothing was half written."
)


def _failure(error: BaseException) -> Failure | None:
    text = str(error)
    if not isinstance(error, duckdb.Error):
        return None
    if _is_full(text):
        return Failure(PermanentError(_FULL))
    if isinstance(error, duckdb.TransactionException | duckdb.SerializationException):
        return Failure(
            TransientError(
                "Another transaction changed the same rows of the warehouse file; "
                "start the load again."
            ),
            retry=True,
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return Failure(
            PermanentError(
                "DuckDB ran out of memory while loading the warehouse; give the "
                "machine more memory or load fewer days at once."
            )
        )
    if isinstance(error, duckdb.IOException):
        return Failure(_of_the_file(text, locked=_is_locked(error)))
    return None


def _of_the_file(
    text: str, *, locked: bool
) -> LeaseError | PermanentError | SettingsError:
    if locked:
        return LeaseError(
            "Another process holds the warehouse file; close it there (analysts read "
            "the catalogue file, not the warehouse) and start the load again."
        )
    if "Permission denied" in text:
        return AccessError(
            "The warehouse file of JOURNEYPORT_WAREHOUSE_URL may not be opened by this "
            "user; check its owner and mode."
        )
    if "not a valid DuckDB" in text:
        return SettingsError(
            "The file that JOURNEYPORT_WAREHOUSE_URL names is no DuckDB database; name "
            "another one."
        )
    return PermanentError(
        "The warehouse file cannot be read or written; check the disk, and load a new "
        "file from the lake if it is damaged."
    )


DUCKDB = Dialect(
    name="duckdb",
    engine=_engine,
    guard=_guard,
    snapshot=_guard,
    stage=_stage,
    unstage=_unstage,
    append=_append,
    fetch=_fetch,
    take=_take,
    storable=_as_it_is,
    writes_over=False,
    indexes=_no_indexes,
    failure=_failure,
)
