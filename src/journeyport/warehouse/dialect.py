"""What a warehouse must provide to be a target: one entry, as data.

The two entries are in `duckdb_file` and `postgresql`, the list of them in `targets`.
How a difference is worked out and written is the same for all, in `difference`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import sqlalchemy as sa

from journeyport.errors import JourneyportError
from journeyport.schema import Table


@dataclass(frozen=True)
class Failure:
    """What an error of the database means.

    Attributes:
        error: what to raise: one sentence with the remedy, no value of a row.
        retry: the transaction left nothing behind, and the same one may pass when
            begun again.
    """

    error: JourneyportError
    retry: bool = False


@dataclass(frozen=True)
class Dialect:
    """One kind of warehouse.

    Attributes:
        name: SQLAlchemy's name of the dialect, also the key of the type mapping.
        engine: from a URL to an engine without a pool. Where the database is a file,
            it is made if that is allowed, readable by this user alone.
        guard: called first in every writing transaction; keeps a second load out
            until this one ends.
        snapshot: called first in a reading transaction, which then sees one moment.
            Both set the time zone to UTC.
        stage: makes the (temporary) table and fills it by the bulk path. It is gone
            when the transaction ends, or by `unstage`.
        unstage: takes a staged table away, for the next one of that name.
        append: adds rows to a table that is there, by the bulk path.
        fetch: the rows of a SELECT as Arrow.
        take: deletes the rows of a table where a condition holds; these columns of
            them as Arrow.
        storable: the rows as this database is able to hold them.
        writes_over: few changed rows are written over the ones that are there; else
            they are always deleted and inserted again.
        indexes: gives a new table the indexes that its loads and readers need.
        failure: what an error of the driver means; None: not known.
    """

    name: str
    engine: Callable[[sa.URL, bool], sa.Engine]
    guard: Callable[[sa.Connection], None]
    snapshot: Callable[[sa.Connection], None]
    stage: Callable[[sa.Connection, sa.Table, pa.Table], None]
    unstage: Callable[[sa.Connection, sa.Table], None]
    append: Callable[[sa.Connection, sa.Table, pa.Table], None]
    fetch: Callable[[sa.Connection, sa.Select[tuple[object, ...]]], pa.Table]
    take: Callable[
        [sa.Connection, sa.Table, sa.ColumnElement[bool], Sequence[str]], pa.Table
    ]
    storable: Callable[[pa.Table], pa.Table]
    writes_over: bool
    indexes: Callable[[Table, sa.Table], None]
    failure: Callable[[BaseException], Failure | None]

    @contextmanager
    def staged(
        self, connection: sa.Connection, what: str, like: sa.Table, data: pa.Table
    ) -> Iterator[sa.Table]:
        """A staged table of these rows, named for what they are.

        Its columns have the types of those of one of our tables.
        """
        stage = sa.Table(
            f"{what}_{like.name}",
            sa.MetaData(),
            *(sa.Column(name, like.c[name].type) for name in data.schema.names),
            prefixes=["TEMPORARY"],
            postgresql_on_commit="DROP",
        )
        self.stage(connection, stage, data)
        yield stage
        # Not after an error: the transaction is over then, and with it what it staged.
        self.unstage(connection, stage)
