"""Verifying: does the warehouse hold what the lake holds? Reads both, mends nothing."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from journeyport.arrow import row_hashes
from journeyport.errors import SettingsError
from journeyport.lake import Lake
from journeyport.schema import Layout, Table
from journeyport.warehouse.catalogue import Catalogue, File, Held, catalogue_of
from journeyport.warehouse.difference import HASH, inside, spans
from journeyport.warehouse.files import read_file, without_tombstones
from journeyport.warehouse.loading import chosen
from journeyport.warehouse.report import Difference, VerifyReport
from journeyport.warehouse.targets import failure, opened

Progress = Callable[[str, int, int], None]

CHUNK_ROWS = 200_000
"""Rows of one table compared at once."""


def verify(
    lake: Lake,
    url: str,
    deep: bool = False,
    *,
    schema: str | None = None,
    tables: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Compare the warehouse with the lake, per table and account-day.

    Args:
        lake: the lake.
        url: SQLAlchemy URL of the warehouse.
        deep: work the hashes out again from the columns fetched, which finds values
            altered by hand; otherwise the hashes stored there are compared.
        schema: schema in the target; None: the connection's own.
        tables: names of tables; None: all that hold data. Those that record runs
            are a run behind by nature and compared only when named.
        progress: told how many tables are done, of how many.

    Raises:
        SettingsError, AccessError, TransientError: the warehouse cannot be read.
    """
    started = time.monotonic()
    wanted = [
        table
        for table in chosen(tables)
        if tables is not None or table.layout is not Layout.OPERATIONS
    ]
    with opened(url, make=False) as (dialect, engine):
        try:
            with engine.begin() as connection:
                dialect.snapshot(connection)
                catalogue = catalogue_of(dialect, schema)
                session = _Session(lake, connection, catalogue, deep)
                report = session.run(wanted, progress)
        except Exception as error:
            meaning = failure(dialect, error)
            if meaning is None:
                raise
            raise meaning.error from None
    seconds = time.monotonic() - started
    return VerifyReport(**(vars(report) | {"seconds": seconds}))


@dataclass
class _Side:
    """One table's rows, on either side: the hashes they carry."""

    hashes: pa.Array

    def without(self, other: "_Side") -> int:
        """How many of these rows the other side lacks."""
        return len(self.hashes) - int(
            pc.sum(pc.is_in(self.hashes, value_set=other.hashes)).as_py() or 0
        )


class _Session:
    """One call of `verify`."""

    def __init__(
        self,
        lake: Lake,
        connection: sa.Connection,
        catalogue: Catalogue,
        deep: bool,
    ) -> None:
        self.lake = lake
        self.connection = connection
        self.catalogue = catalogue
        self.deep = deep
        self.held: Mapping[File, Held] = {}
        self.rows = 0

    def run(self, wanted: Sequence[Table], progress: Progress | None) -> VerifyReport:
        if not self.catalogue.exists(self.connection):
            raise SettingsError(
                "The warehouse of JOURNEYPORT_WAREHOUSE_URL was never loaded by "
                "journeyport; load it first, or correct the URL."
            )
        present = self.catalogue.present(self.connection)
        self.held = self.catalogue.files(self.connection)
        found: list[Difference] = []
        absent: list[str] = []
        for number, table in enumerate(wanted):
            if table.name not in present:
                absent.append(table.name)
            elif table.layout is Layout.DAILY:
                found += self._daily(table)
            else:
                found += self._whole(table)
            if progress is not None:
                progress("warehouse tables", number + 1, len(wanted))
        compared = len(wanted) - len(absent)
        return VerifyReport(
            self.catalogue.dialect.name,
            self.deep,
            compared,
            self.rows,
            tuple(found),
            tuple(absent),
        )

    def _whole(self, table: Table) -> Iterator[Difference]:
        if self.lake.snapshot_manifest(table.name) is None:
            return
        data = read_file(self.lake, table, File(table.name))
        self.rows += len(data)
        yield from self._compared(table, sa.true(), data, "", None)

    def _daily(self, table: Table) -> Iterator[Difference]:
        there = self._counts(table)
        for chunk in self._chunks(table):
            days = [(file.account, file.date) for file in chunk]
            parts = [self._read(table, file) for file in chunk]
            self.rows += sum(map(len, parts))
            target = self.catalogue.tables[table.name]
            where = inside(target, spans(days))
            if any(self._compared(table, where, pa.concat_tables(parts), "", None)):
                for (account, day), data in zip(days, parts, strict=True):
                    where = inside(target, spans([(account, day)]))
                    yield from self._compared(table, where, data, account, day)
            for account, day in days:
                there.pop((account, day), None)
        for (account, day), rows in sorted(there.items()):
            yield Difference(table.name, account, day, 0, rows, 0, rows)

    def _counts(self, table: Table) -> dict[tuple[str, date], int]:
        """Rows per account-day, as the warehouse has them."""
        target = self.catalogue.tables[table.name]
        day = sa.cast(target.c.start_date, sa.Date)
        select = sa.select(target.c.account_id, day, sa.func.count()).group_by(
            target.c.account_id, day
        )
        return {
            (account, on): count
            for account, on, count in self.connection.execute(select)
        }

    def _chunks(self, table: Table) -> Iterator[list[File]]:
        chunk: list[File] = []
        rows = 0
        for account in self.lake.accounts():
            for day in self.lake.days(account):
                manifest = self.lake.manifest(account, day)
                if manifest is None or table.name not in manifest.tables:
                    continue
                if chunk and rows + manifest.tables[table.name].rows > CHUNK_ROWS:
                    yield chunk
                    chunk, rows = [], 0
                chunk.append(File(table.name, account, day.isoformat()))
                rows += manifest.tables[table.name].rows
        if chunk:
            yield chunk

    def _read(self, table: Table, file: File) -> pa.Table:
        data = read_file(self.lake, table, file)
        held = self.held.get(file)
        return without_tombstones(data, held.tombstones if held else "delete")

    def _compared(
        self,
        table: Table,
        where: sa.ColumnElement[bool],
        data: pa.Table,
        account: str,
        day: date | None,
    ) -> Iterator[Difference]:
        target = self.catalogue.tables[table.name]
        columns = list(target.columns) if self.deep else [target.c[HASH]]
        found = self.catalogue.dialect.fetch(
            self.connection, sa.select(*columns).where(where)
        )
        lake, there = _side(data), _side(found)
        missing, unexpected = lake.without(there), there.without(lake)
        altered = self._altered(table, data, found) if self.deep else 0
        if missing or unexpected or altered or len(data) != len(found):
            yield Difference(
                table.name,
                account,
                day,
                len(data),
                len(found),
                missing,
                unexpected,
                altered,
            )

    def _altered(self, table: Table, data: pa.Table, found: pa.Table) -> int:
        """Rows whose columns do not give the hash that stands beside them."""
        stored = found.column(HASH).combine_chunks()
        again = row_hashes(table, found)
        wrong = pc.not_equal(stored, again)
        if not pc.any(wrong).as_py():
            return 0
        # Where the database cannot hold a value as it is, the columns give the hash
        # of what it can hold.
        held = row_hashes(table, self.catalogue.dialect.storable(data))
        known = dict(zip(data.column(HASH).to_pylist(), held.to_pylist(), strict=True))
        pairs = zip(
            stored.filter(wrong).to_pylist(),
            again.filter(wrong).to_pylist(),
            strict=True,
        )
        return sum(known.get(carried, carried) != worked for carried, worked in pairs)


def _side(data: pa.Table) -> _Side:
    return _Side(data.column(HASH).combine_chunks())
