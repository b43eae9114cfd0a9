"""The database behind the state: opening, schema version, migrations, transactions.

Which tables there are is said in the sibling modules. SQLite in WAL mode by default,
PostgreSQL where several machines share the state.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from journeyport.errors import PermanentError, SettingsError

metadata = sa.MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK = 0x6A706F72

MIGRATIONS: tuple[Mapping[str, str], ...] = (
    {
        "crm_suppressions": "ADD COLUMN identity_version INTEGER",
        "crm_ledger": "DROP COLUMN is_ours",
    },
    {"crm_writes": "ADD COLUMN kept JSON"},
)
"""How tables change from version n to n + 1, at index n - 1; new ones are just made."""

SCHEMA_VERSION = len(MIGRATIONS) + 1

_version = sa.Table(
    "schema_version",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)


class State:
    """The opened state.

    Args:
        url: a SQLAlchemy URL, `sqlite:///…` or `postgresql+psycopg://…`.

    Raises:
        SettingsError: the database cannot be reached or the URL is no URL.
        PermanentError: a newer journeyport wrote it.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.engine.make_url(url)
        except sa.exc.ArgumentError as error:
            raise SettingsError(
                "JOURNEYPORT_STATE_URL is no database URL; "
                "sqlite:////path/to/state.db and postgresql+psycopg://… are."
            ) from error
        self.path = _sqlite_path(parsed)
        self.engine = _engine(parsed, self.path)
        try:
            self._migrate()
        except sa.exc.OperationalError as error:
            self.engine.dispose()
            raise SettingsError(
                "The state database of JOURNEYPORT_STATE_URL cannot be opened; check "
                "that it is there and that this user may write it."
            ) from error
        except PermanentError:
            self.engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for reading; its changes are not kept."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: kept whole when the block ends, dropped whole on an error."""
        with self.engine.connect() as connection:
            if self.path is not None:
                # Take SQLite's write lock now: a read that turns into a write later
                # fails at once instead of waiting for its turn.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            with connection.begin() if self.path is None else _commit(connection):
                yield connection

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    def _migrate(self) -> None:
        with self.read() as connection:
            held = _held_version(connection)
        if held is not None and held > SCHEMA_VERSION:
            raise PermanentError(
                f"The state has schema version {held} and this journeyport knows up to "
                f"{SCHEMA_VERSION}; install the newer journeyport that wrote it."
            )
        if held is not None and held < SCHEMA_VERSION and self.path is not None:
            _copy(self.path, self.path.with_name(f"{self.path.name}.version-{held}"))
        with self.write() as connection:
            if self.path is None:
                # As SQLite's own lock does: two that open it at once migrate it once.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            held = _held_version(connection)
            there = sa.inspect(connection).get_table_names()
            for changes in MIGRATIONS[(held or SCHEMA_VERSION) - 1 :]:
                for name in changes.keys() & there:
                    change = f"ALTER TABLE {name} {changes[name]}"
                    connection.execute(sa.text(change))
            metadata.create_all(connection)
            if held is None:
                connection.execute(_version.insert().values(id=1, version=1))
            connection.execute(_version.update().values(version=SCHEMA_VERSION))


def _held_version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(_version.name):
        return None
    return connection.scalar(sa.select(_version.c.version))


def _copy(path: Path, copy: Path) -> None:
    """By SQLite itself: the file alone lacks what is in its log."""
    copy.touch(mode=0o600)
    with (
        closing(sqlite3.connect(path)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)


@contextmanager
def _commit(connection: sa.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _sqlite_path(url: sa.URL) -> Path | None:
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise SettingsError(
            "JOURNEYPORT_STATE_URL names no SQLite file; the state must outlive a run."
        )
    path = Path(url.database).absolute()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def _engine(url: sa.URL, path: Path | None) -> sa.Engine:
    if path is None:
        return sa.create_engine(url, pool_pre_ping=True)
    path.touch(mode=0o600)
    # Autocommit at the driver: `State.write` opens and ends the transactions itself.
    engine = sa.create_engine(
        url, isolation_level="AUTOCOMMIT", connect_args={"timeout": 60}
    )

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine


class Instant(sa.types.TypeDecorator[Any]):
    """An aware instant, kept as microseconds since 1970 in UTC.

    A whole number sorts and compares alike in every database, SQLite included.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> int | None:
        """From an aware datetime to microseconds."""
        del dialect
        if value is None:
            return None
        whole: timedelta = value - _EPOCH
        return (whole.days * 86_400 + whole.seconds) * 1_000_000 + whole.microseconds

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        """From microseconds to an aware datetime."""
        del dialect
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def upsert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows by primary key, or put them in the place of those there.

    All rows name the same columns; columns they do not name keep what they hold.
    """
    if not rows:
        return
    insert: Any = _INSERTS[connection.dialect.name](table)
    keys = [column.name for column in table.primary_key]
    rest = {name: insert.excluded[name] for name in rows[0] if name not in keys}
    statement = (
        insert.on_conflict_do_update(index_elements=keys, set_=rest)
        if rest
        else insert.on_conflict_do_nothing(index_elements=keys)
    )
    connection.execute(statement, [dict(row) for row in rows])


_INSERTS: Mapping[str, Callable[[sa.Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
