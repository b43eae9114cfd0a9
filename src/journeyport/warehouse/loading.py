"""Loading: batches of account-days, each in one transaction over all tables.

What differs within a table is worked out in `difference`; which files of the lake a
batch holds, retries and the report are decided here; what is held back, in `holding`.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from typing import TypeVar

import pyarrow as pa
import sqlalchemy as sa

from journeyport.clock import Clock
from journeyport.errors import ArgumentError, StaleError
from journeyport.lake import Lake, Manifest
from journeyport.schema import Layout, Table
from journeyport.state import State
from journeyport.state.leases import Lease, held
from journeyport.state.warehouse import record_delivery
from journeyport.tables import BY_NAME
from journeyport.warehouse.catalogue import (
    DELIVERED,
    Catalogue,
    File,
    Held,
    catalogue_of,
)
from journeyport.warehouse.difference import Place, deliver, spans
from journeyport.warehouse.files import read_file, without_tombstones
from journeyport.warehouse.holding import Withheld
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
    except_days: frozenset[tuple[str, date]]
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
    except_days: Iterable[tuple[str, date]] = (),
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
        except_days: account-days that are held back. What the warehouse has of them
            stays as it is, in the snapshots too: see `holding`.
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
    wanted = _Wanted(
        chosen(tables),
        frozenset(except_days),
        tombstones,
        rewrite,
        clock,
        attempts,
        batch_rows,
    )
    started = time.monotonic()
    with ExitStack() as stack:
        lease = None
        if state is not None:
            name = lease_name(url, schema)
            lease = stack.enter_context(held(state, [name], run_id=run_id, clock=clock))
            publish_ledger(lake, state, run_id=run_id)
        dialect, engine = stack.enter_context(opened(url))
        catalogue = catalogue_of(dialect, schema)
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
        self.withheld = Withheld(lake, wanted.except_days)
        self.manifests: dict[tuple[str, date], Manifest | None] = {}
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

    def _held(self) -> dict[File, Held]:
        """The files the warehouse holds, treated as is wished now."""
        with self.engine.connect() as connection:
            present = self.catalogue.present(connection)
            held = self.catalogue.files(connection) if present else {}
        return {
            file: facts
            for file, facts in held.items()
            # Somebody may have dropped the table since.
            if file.table in present and facts.tombstones == self.wanted.tombstones
        }

    def _plan(
        self,
        days: Sequence[tuple[str, date]] | None,
        held: Mapping[File, Held],
    ) -> tuple[list[_Batch], dict[str, Counts]]:
        """The files to compare, in batches; and the rows of those left out."""
        batches = [_Batch()]
        unchanged: dict[str, int] = {}
        for files in self._files(days):
            same = set()
            for file, (digest, _) in files.items():
                known = held.get(file)
                if known is None or known.sha256 != digest or self.wanted.rewrite:
                    continue
                if days is None or not file.day:
                    same.add(file)
                    unchanged[file.table] = unchanged.get(file.table, 0) + known.rows
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
            manifest = self._manifest(account, day)
            if manifest is not None and (account, day) not in self.wanted.except_days:
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

    def _manifest(self, account: str, day: date) -> Manifest | None:
        key = (account, day)
        if key not in self.manifests:
            self.manifests[key] = self.lake.manifest(account, day)
        return self.manifests[key]

    def _load(self, batch: _Batch, *, last: bool) -> dict[str, Counts]:
        """One transaction: all of the batch, or nothing."""
        now = self.wanted.clock.now()
        counts: dict[str, Counts] = {}
        rows: dict[File, int] = {}
        with self.engine.begin() as connection:
            self.catalogue.dialect.guard(connection)
            names = [table.name for table in self.wanted.tables]
            self.catalogue.prepare(connection, names, now)
            held = self.catalogue.files(connection)
            for table in self.wanted.tables:
                files = [file for file in batch.files if file.table == table.name]
                if files and self.lease is not None:
                    self.lease.renew()
                if files:
                    with self._place(connection, table, files, held) as place:
                        data = pa.concat_tables(
                            self._read(table, batch, file, rows) for file in files
                        )
                        counts[table.name] = deliver(
                            place, data, rewrite=self.wanted.rewrite
                        )
            noted = {
                file: (digest, rows[file])
                for file, (digest, _) in batch.files.items()
                if not self.withheld.concerns(BY_NAME[file.table])
            }
            self.catalogue.note_files(connection, noted, self.wanted.tombstones, now)
            if last:
                make_views(connection, self.catalogue, now)
        return counts

    @contextmanager
    def _place(
        self,
        connection: sa.Connection,
        table: Table,
        files: Sequence[File],
        held: Mapping[File, Held],
    ) -> Iterator[Place]:
        """Where the files go: a table, or the days that they are."""
        dialect, target = self.catalogue.dialect, self.catalogue.tables[table.name]
        there = {
            file: facts for file, facts in held.items() if file.table == table.name
        }
        place = Place(
            connection,
            dialect,
            table,
            target,
            days=None,
            rows=sum(facts.rows for facts in there.values()),
        )
        if table.layout is Layout.DAILY:
            days = spans([(file.account, file.date) for file in files])
            moved_from = [
                (file.account, file.date)
                for file, facts in there.items()
                if file not in files and self._digest(file) != facts.sha256
            ]
            yield replace(place, days=days, elsewhere=spans(moved_from))
        else:
            with self.withheld.apart(connection, dialect, table, target) as apart:
                yield replace(place, apart=apart)

    def _digest(self, file: File) -> str | None:
        """The SHA-256 of a daily file in the lake."""
        manifest = self._manifest(file.account, file.date)
        facts = manifest.tables.get(file.table) if manifest else None
        return facts.sha256 if facts else None

    def _read(
        self, table: Table, batch: _Batch, file: File, rows: dict[File, int]
    ) -> pa.Table:
        data = read_file(self.lake, table, file)
        if len(data) != batch.files[file][1]:
            raise StaleError(
                f"{table.name} changed in the lake while it was being loaded; start "
                "the load again when the other run has ended."
            )
        data = without_tombstones(data, self.wanted.tombstones)
        if not file.day:
            data = self.withheld.without(table, data)
        rows[file] = len(data)
        return data
