"""The database: opening it, and reading and writing engagements as whole documents.

What a document means is in documents.py, what a search asks for in search.py, which
identifiers belong together in identity.py. One process writes at a time.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import event

from customer_journey import identity
from customer_journey.documents import Document, facets_of
from customer_journey.instants import format_instant, parse_instant
from customer_journey.models import (
    STRETCH,
    accounts,
    engagements,
    facets,
    identifier_types,
    metadata,
    occurrences,
    secondary_indexes,
    settings,
    tallies,
)

SCHEMA_VERSION = "2"


class Store:
    """One database of engagements.

    Args:
        database: an SQLAlchemy URL, or the path of an SQLite file.
    """

    def __init__(self, database: str) -> None:
        url = database if "://" in database else f"sqlite:///{database}"
        self.url = sa.make_url(url)
        if self.url.get_backend_name() == "sqlite" and self.url.database:
            path = Path(self.url.database)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # it holds secrets
        # a failing statement's values must not reach a log
        self.engine = sa.create_engine(self.url, hide_parameters=True)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _tune_sqlite)
        metadata.create_all(self.engine)
        #: Sees every commit, holds no transaction open; for the event loop's thread.
        self.reader = self.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        )
        self._check_version()
        self.make_secondary_indexes()  # a bulk load that was cut short left none

    def _check_version(self) -> None:
        found = self.setting("schema_version")
        if found is None:
            self.set_setting("schema_version", SCHEMA_VERSION)
        elif found != SCHEMA_VERSION:
            self.close()
            raise ValueError(
                f"The database has schema version {found}, this program needs "
                f"{SCHEMA_VERSION}: start it with a new database file."
            )

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is committed at the end of the block."""
        with self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.reader.close()
        self.engine.dispose()

    def setting(self, name: str) -> str | None:
        """A value kept beside the data, such as the secret that signs tokens."""
        query = sa.select(settings.c.value).where(settings.c.name == name)
        value: str | None = self.reader.execute(query).scalar()
        return value

    def set_setting(self, name: str, value: str) -> None:
        """Keep a value; the later one wins."""
        with self.write() as connection:
            connection.execute(sa.delete(settings).where(settings.c.name == name))
            connection.execute(sa.insert(settings).values(name=name, value=value))

    def account_ids(self) -> list[str]:
        """The accounts in the order they were made."""
        query = sa.select(accounts.c.account_id).order_by(accounts.c.position)
        return list(self.reader.execute(query).scalars())

    def count(self, account: str | None = None) -> int:
        """How many engagements there are, in one account or in all."""
        query = sa.select(sa.func.count()).select_from(engagements)
        if account is not None:
            query = query.where(engagements.c.account_id == account)
        return int(self.reader.execute(query).scalar_one())

    def add_microseconds(self) -> None:
        """Give every startDate of whole milliseconds some microseconds of its own."""
        extra = {table: table.c.seq * 389 % 1000 for table in (engagements, facets)}
        whole = engagements.c.start_us % 1000 == 0
        with self.write() as connection:
            for table, more in extra.items():
                connection.execute(
                    sa.update(table)
                    .where(table.c.start_us % 1000 == 0)
                    .values(start_us=table.c.start_us + more)
                )
            last = 0
            while rows := connection.execute(
                sa.select(
                    engagements.c.seq, engagements.c.start_us, engagements.c.document
                )
                .where(engagements.c.seq > last, sa.not_(whole))
                .order_by(engagements.c.seq)
                .limit(1000)
            ).all():
                last = rows[-1].seq
                for row in rows:
                    document = orjson.loads(row.document)
                    document["startDate"] = format_instant(row.start_us)
                    connection.execute(
                        sa.update(engagements)
                        .where(engagements.c.seq == row.seq)
                        .values(document=orjson.dumps(document).decode())
                    )

    def drop_secondary_indexes(self) -> None:
        """Before a bulk load: an index costs far less when it is made afterwards."""
        for index in secondary_indexes:
            index.drop(self.engine, checkfirst=True)

    def make_secondary_indexes(self) -> None:
        """After a bulk load; where they exist already nothing happens."""
        for index in secondary_indexes:
            index.create(self.engine, checkfirst=True)


class Replica:
    """A reader that sees the database as it was when it was last refreshed."""

    def __init__(self, database: Store) -> None:
        self._engine = database.engine
        self._connection: sa.Connection | None = None

    @property
    def reader(self) -> sa.Connection:
        """The old state; made at the first use."""
        if self._connection is None:
            connection = self._engine.connect()
            if self._engine.dialect.name == "sqlite":
                # the driver itself begins no transaction for a read
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(sa.select(sa.func.max(engagements.c.seq))).all()
            self._connection = connection
        return self._connection

    def refresh(self) -> None:
        """Let go of the old state; the next use sees the present one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Let go for good."""
        self.refresh()


def _tune_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.execute("PRAGMA cache_size=-65536")
    cursor.close()


_BY_ID = sa.and_(
    engagements.c.account_id == sa.bindparam("account"),
    engagements.c.engagement_id == sa.bindparam("engagement"),
)
_GET = sa.select(engagements.c.seq, engagements.c.document).where(_BY_ID)


def get(
    connection: sa.Connection, account: str, engagement: str
) -> tuple[int, Document] | None:
    """An engagement's row number and document, or None when it is not known."""
    row = connection.execute(
        _GET, {"account": account, "engagement": engagement}
    ).first()
    return None if row is None else (row.seq, orjson.loads(row.document))


def get_texts(
    connection: sa.Connection, account: str, wanted: Iterable[str]
) -> list[str]:
    """The documents' JSON texts in the order asked for; unknown ids are left out."""
    ids = list(wanted)
    query = sa.select(engagements.c.engagement_id, engagements.c.document).where(
        engagements.c.account_id == account, engagements.c.engagement_id.in_(ids)
    )
    found = {row.engagement_id: row.document for row in connection.execute(query)}
    return [found[engagement] for engagement in ids if engagement in found]


def insert(connection: sa.Connection, account: str, document: Document) -> int:
    """Add an engagement, linking its identifiers; answers its row number."""
    start = _start(document)
    result = connection.execute(
        sa.insert(engagements).values(
            account_id=account,
            engagement_id=document["id"],
            start_us=start,
            identifiers=orjson.dumps(document["identifiers"]).decode(),
            document=orjson.dumps(document).decode(),
        )
    )
    seq = identity.inserted_key(result)
    _tally(connection, account, start, 1)
    _add_facets(connection, account, seq, start, facets_of(document))
    _add_occurrences(connection, account, seq, document["identifiers"])
    return seq


def replace(
    connection: sa.Connection, account: str, seq: int, old: Document, new: Document
) -> None:
    """Put a new document in the place of the old one; identifiers only ever grow."""
    start = _start(new)
    connection.execute(
        sa.update(engagements)
        .where(engagements.c.seq == seq)
        .values(
            start_us=start,
            identifiers=orjson.dumps(new["identifiers"]).decode(),
            document=orjson.dumps(new).decode(),
        )
    )
    if start != _start(old):
        _tally(connection, account, _start(old), -1)
        _tally(connection, account, start, 1)
    before, after = facets_of(old), facets_of(new)
    if before != after or start != _start(old):
        _drop_facets(connection, account, seq, old)
        _add_facets(connection, account, seq, start, after)
    if old["identifiers"] != new["identifiers"]:
        _add_occurrences(connection, account, seq, new["identifiers"])


def erase(connection: sa.Connection, account: str, engagement: str) -> bool:
    """Forget an engagement; what its identifiers were linked to stays linked."""
    found = get(connection, account, engagement)
    if found is None:
        return False
    seq, document = found
    _drop_facets(connection, account, seq, document)
    known = identity.known(connection, account, document["identifiers"])
    connection.execute(
        sa.delete(occurrences).where(
            occurrences.c.seq == seq,
            occurrences.c.identifier.in_([row.identifier for row in known]),
        )
    )
    connection.execute(sa.delete(engagements).where(engagements.c.seq == seq))
    _tally(connection, account, _start(document), -1)
    return True


def configured_names(connection: sa.Connection, account: str) -> set[str]:
    """The names whose values are collected in this account."""
    query = sa.select(identifier_types.c.name).where(
        identifier_types.c.account_id == account
    )
    return set(connection.execute(query).scalars())


def _start(document: Document) -> int:
    start = parse_instant(document["startDate"])
    if start is None:
        raise ValueError("An engagement's startDate is not a date-time.")
    return start


def _tally(connection: sa.Connection, account: str, start: int, more: int) -> None:
    stretch = start // STRETCH
    changed = connection.execute(
        sa.update(tallies)
        .where(tallies.c.account_id == account, tallies.c.stretch == stretch)
        .values(engagements=tallies.c.engagements + more)
    )
    if not changed.rowcount:
        connection.execute(
            sa.insert(tallies).values(
                account_id=account, stretch=stretch, engagements=more
            )
        )


def _add_facets(
    connection: sa.Connection,
    account: str,
    seq: int,
    start: int,
    pairs: set[tuple[str, str]],
) -> None:
    rows = [
        {
            "account_id": account,
            "kind": kind,
            "value": value,
            "start_us": start,
            "seq": seq,
        }
        for kind, value in sorted(pairs)
    ]
    if rows:
        connection.execute(sa.insert(facets), rows)


def _drop_facets(
    connection: sa.Connection, account: str, seq: int, document: Document
) -> None:
    start = _start(document)
    for kind, value in facets_of(document):
        connection.execute(
            sa.delete(facets).where(
                facets.c.account_id == account,
                facets.c.kind == kind,
                facets.c.value == value,
                facets.c.start_us == start,
                facets.c.seq == seq,
            )
        )


def _add_occurrences(
    connection: sa.Connection, account: str, seq: int, values: dict[str, list[str]]
) -> None:
    numbers = identity.link(connection, account, values)
    if not numbers:
        return
    query = sa.select(occurrences.c.identifier).where(
        occurrences.c.seq == seq, occurrences.c.identifier.in_(numbers)
    )
    present = set(connection.execute(query).scalars())
    rows = [
        {"identifier": number, "seq": seq}
        for number in numbers
        if number not in present
    ]
    if rows:
        connection.execute(sa.insert(occurrences), rows)
