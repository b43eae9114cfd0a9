"""Loading: batches of account-days, each in one transaction over all tables.

What differs within a table is worked out in `difference`; which files of the lake a
batch holds, retries and the report are decided here.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import partial
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from journeyport.arrow import row_hashes
from journeyport.clock import Clock
from journeyport.errors import ArgumentError, StaleError
from journeyport.lake import Lake
from journeyport.schema import Layout, Table
from journeyport.state import State
from journeyport.state.leases import Lease, held
from journeyport.state.warehouse import record_delivery
from journeyport.tables import BY_NAME
from journeyport.warehouse.catalogue import DELIVERED, Catalogue, File
from journeyport.warehouse.difference import Place, deliver, spans
from journeyport.warehouse.ledger import publish_ledger
from journeyport.warehouse.report import Counts, LoadReport, merged
from journeyport.warehouse.targets import failure, opened
from journeyport.warehouse.views import make_views

_T = TypeVar("_T")

Progress = Callable[[str, int, int], None]

BATCH_ROWS = 2_000_000
"""Rows of the lake per transaction; a batch holds one account-day at the least."""

ATTEMPTS = 4
"""Times a transaction is begun before its error is passed on."""


@dataclass(frozen=True)
class _Wanted:
    """What the caller asked for."""

    tables: tuple[Table, ...]
    tombstones: str
    rewrite: bool
    clock: Clock
    attempts: int
    batch_rows: int


@dataclass
class _Batch:
    files: dict[File, tuple[str, int]] = field(default_factory=dict)
    """SHA-256 and rows of every file to compare."""

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self.files.values())


def load(
    lake: Lake,
    url: str,
    *,
    days: Iterable[tuple[str, date]] | None = None,
    state: State | None = None,
    run_id: str,
    clock: Clock,
    progress: Progress | None = None,
    schema: str | None = None,
    tables: Sequence[str] | None = None,
    tombstones: str = "delete",
    rewrite: bool = False,
    attempts: int = ATTEMPTS,
    batch_rows: int = BATCH_ROWS,
) -> LoadReport:
    """Bring the warehouse to where the lake is, writing only what differs.

    Args:
        lake: the lake.
        url: SQLAlchemy URL of the warehouse.
        days: account-days to compare row by row; None: those whose files are not the
            ones loaded last. Days the lake does not hold are left alone.
        state: where the delivery is written down; None: nowhere.
        run_id: the run.
        clock: the time.
        progress: told what was done, of how much.
        schema: schema in the target; None: the connection's own.
        tables: names of the tables to load; None: all but raw.
        tombstones: `delete`, or `flag` to keep deleted engagements as rows.
        rewrite: write every row of the days and tables anew, so that values altered
            by hand are healed too.
        attempts: times a transaction is begun where that is safe.
        batch_rows: rows of the lake per transaction.

    Raises:
        SettingsError, AccessError: the warehouse cannot be reached with this URL.
        LeaseError: another run is loading this warehouse.
        PermanentError: tables there are not ours or were altered; the disk is full.
        TransientError: the connection was cut again and again.
        ContractError: the lake holds a key twice.
    """
    if tombstones not in ("delete", "flag"):
        raise ArgumentError(
            f"tombstones can be 'delete' or 'flag', not {tombstones!r}."
        )
    wanted = _Wanted(chosen(tables), tombstones, rewrite, clock, attempts, batch_rows)
    started = time.monotonic()
    with ExitStack() as stack:
        lease = None
        if state is not None:
            name = lease_name(url, schema)
            lease = stack.enter_context(held(state, [name], run_id=run_id, clock=clock))
            publish_ledger(lake, state, run_id=run_id)
        dialect, engine = stack.enter_context(opened(url))
        catalogue = Catalogue(dialect, schema)
        session = _Session(lake, engine, catalogue, wanted, lease)
        counts = session.run(None if days is None else sorted(set(days)), progress)
        report = LoadReport(
            dialect.name,
            counts,
            days=len(session.days),
            batches=session.batches,
            seconds=time.monotonic() - started,
            retries=session.retries,
        )
    if state is not None:
        objects = {name: asdict(counts) for name, counts in report.tables.items()}
        record_delivery(state, "warehouse", run_id, objects, clock.now())
    return report


def lease_name(url: str, schema: str | None = None) -> str:
    """What a load leases: the target, without the secrets in its URL."""
    try:
        shown = sa.engine.make_url(url).render_as_string()
    except sa.exc.ArgumentError:
        shown = ""
    digest = hashlib.sha256(f"{shown} {schema or ''}".encode()).hexdigest()
    return f"warehouse/{digest[:12]}"


def chosen(names: Sequence[str] | None) -> tuple[Table, ...]:
    """The declarations of these tables; None: of all that are delivered."""
    if names is None:
        return DELIVERED
    known = {table.name for table in DELIVERED}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ArgumentError(
            f"There is no table {', '.join(unknown)} to load; there are "
            f"{', '.join(sorted(known))}."
        )
    return tuple(table for table in DELIVERED if table.name in names)


class _Session:
    """One call of `load`."""

    def __init__(
        self,
        lake: Lake,
        engine: sa.Engine,
        catalogue: Catalogue,
        wanted: _Wanted,
        lease: Lease | None,
    ) -> None:
        self.lake = lake
        self.engine = engine
        self.catalogue = catalogue
        self.wanted = wanted
        self.lease = lease
        self.retries = 0
        self.days: set[tuple[str, date]] = set()
        self.batches = 0

    def run(
        self, days: Sequence[tuple[str, date]] | None, progress: Progress | None
    ) -> dict[str, Counts]:
        """Load everything wanted; the counts of what was committed."""
        batches, counts = self._plan(days, self._again(self._held))
        total = sum(batch.rows for batch in batches)
        done = 0
        for batch in batches:
            last = batch is batches[-1]
            loaded = self._again(partial(self._load, batch, last=last))
            counts = merged([counts, loaded])
            self.batches += 1
            self.days |= {(file.account, file.date) for file in batch.files if file.day}
            done += batch.rows
            if progress is not None:
                progress("warehouse rows", done, total)
        return counts

    def _again(self, work: Callable[[], _T]) -> _T:
        """Do it, and again where the database says that this is safe."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return work()
            except Exception as error:
                meaning = failure(self.catalogue.dialect, error)
                if meaning is None:
                    raise
                if not meaning.retry or attempt >= self.wanted.attempts:
                    # Not `from error`: the driver's words may hold values of rows.
                    raise meaning.error from None
            self.retries += 1
            time.sleep(random.uniform(0, 0.2 * 2**attempt))  # noqa: S311 - a pause

    def _held(self) -> dict[File, tuple[str, int]]:
        with self.engine.connect() as connection:
            return self.catalogue.files(connection, self.wanted.tombstones)

    def _plan(
        self,
        days: Sequence[tuple[str, date]] | None,
        held: Mapping[File, tuple[str, int]],
    ) -> tuple[list[_Batch], dict[str, Counts]]:
        """The files to compare, in batches; and the rows of those left out."""
        batches = [_Batch()]
        unchanged: dict[str, int] = {}
        for files in self._files(days):
            same = set()
            for file, (digest, _) in files.items():
                known, rows = held.get(file, ("", 0))
                named = days is not None and file.day
                if known == digest and not self.wanted.rewrite and not named:
                    same.add(file)
                    unchanged[file.table] = unchanged.get(file.table, 0) + rows
            chosen = {file: facts for file, facts in files.items() if file not in same}
            rows = sum(rows for _, rows in chosen.values())
            if batches[-1].files and batches[-1].rows + rows > self.wanted.batch_rows:
                batches.append(_Batch())
            batches[-1].files.update(chosen)
        return batches, {
            name: Counts(unchanged=rows) for name, rows in unchanged.items()
        }

    def _files(
        self, days: Sequence[tuple[str, date]] | None
    ) -> Iterator[dict[File, tuple[str, int]]]:
        """SHA-256 and rows of the files wanted: day by day, then the snapshots."""
        wanted = self.wanted.tables
        daily = [table.name for table in wanted if table.layout is Layout.DAILY]
        if days is None:
            days = [
                (account, day)
                for account in self.lake.accounts()
                for day in self.lake.days(account)
            ]
        for account, day in days if daily else ():
            manifest = self.lake.manifest(account, day)
            if manifest is not None:
                yield {
                    File(name, account, day.isoformat()): (facts.sha256, facts.rows)
                    for name, facts in manifest.tables.items()
                    if name in daily
                }
        whole: dict[File, tuple[str, int]] = {}
        for table in wanted:
            if table.layout is not Layout.DAILY:
                manifest = self.lake.snapshot_manifest(table.name)
                if manifest is not None:
                    facts = manifest.tables[table.name]
                    whole[File(table.name)] = (facts.sha256, facts.rows)
        yield whole

    def _load(self, batch: _Batch, *, last: bool) -> dict[str, Counts]:
        """One transaction: all of the batch, or nothing."""
        now = self.wanted.clock.now()
        counts: dict[str, Counts] = {}
        rows: dict[File, int] = {}
        with self.engine.begin() as connection:
            self.catalogue.dialect.guard(connection)
            names = [table.name for table in self.wanted.tables]
            self.catalogue.prepare(connection, names, now)
            for table in self.wanted.tables:
                files = [file for file in batch.files if file.table == table.name]
                if files and self.lease is not None:
                    self.lease.renew()
                if files:
                    counts[table.name] = self._table(
                        connection, table, batch, files, rows
                    )
            noted = {
                file: (digest, rows[file]) for file, (digest, _) in batch.files.items()
            }
            self.catalogue.note_files(connection, noted, self.wanted.tombstones, now)
            if last:
                make_views(connection, self.catalogue, now)
        return counts

    def _table(
        self,
        connection: sa.Connection,
        table: Table,
        batch: _Batch,
        files: Sequence[File],
        rows: dict[File, int],
    ) -> Counts:
        parts = []
        for file in files:
            part = self._read(table, file, batch.files[file][1])
            rows[file] = len(part)
            parts.append(part)
        daily = table.layout is Layout.DAILY
        place = Place(
            connection,
            self.catalogue.dialect,
            table,
            self.catalogue.tables[table.name],
            spans([(file.account, file.date) for file in files]) if daily else None,
        )
        return deliver(place, pa.concat_tables(parts), rewrite=self.wanted.rewrite)

    def _read(self, table: Table, file: File, rows: int) -> pa.Table:
        data = read_file(self.lake, table, file)
        if len(data) != rows:
            raise StaleError(
                f"{table.name} changed in the lake while it was being loaded; start "
                "the load again when the other run has ended."
            )
        return without_tombstones(data, self.wanted.tombstones)


def read_file(lake: Lake, table: Table, file: File) -> pa.Table:
    """A file of the lake as the warehouse takes it: every row with its hash."""
    if file.day:
        return lake.read_day(table.name, file.account, file.date)
    data = lake.read_snapshot(table.name)
    if "_row_hash" in data.schema.names:
        return data
    return data.append_column("_row_hash", row_hashes(BY_NAME[table.name], data))


def without_tombstones(data: pa.Table, tombstones: str) -> pa.Table:
    """The rows without those of deleted engagements, unless they are only flagged."""
    if tombstones == "flag" or "is_deleted" not in data.schema.names:
        return data
    return data.filter(pc.invert(data.column("is_deleted")))
