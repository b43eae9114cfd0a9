"""The lake: Parquet in three layouts, replaced whole, manifests last.

    raw_engagements/account=A/day=D/<run>-<window>.parquet   append-only
    <table>/account=A/day=D/part-0.parquet                   daily
    <table>/part-0.parquet                                   snapshot, operations
    _manifests/account=A/day=D.json, _manifests/<table>.json
    _sightings/account=A/<month>.parquet                     `normalise`'s own

Readable as it stands by DuckDB, pandas, polars and Spark. The same rows give the same
bytes, and a file whose content did not change is not touched. What the rows mean is
said elsewhere; so is which account-days may be delivered.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import shape
from journeyport.errors import ArgumentError
from journeyport.lake.catalogue import create_views, write_catalogue
from journeyport.lake.committing import DayWriter, commit, read_manifest
from journeyport.lake.files import FileInfo, Files
from journeyport.lake.manifests import Manifest, TableFacts
from journeyport.lake.paths import (
    day_folder,
    day_manifest,
    days_of,
    file_name,
    inside,
    safe,
)
from journeyport.lake.reading import batches, read, size
from journeyport.lake.writing import TableFile, written
from journeyport.schema import Layout, Table
from journeyport.tables import BY_NAME, RAW_ENGAGEMENTS

__all__ = ["DayWriter", "FileInfo", "Lake", "Manifest", "TableFacts"]

_RAW = RAW_ENGAGEMENTS.name


class Lake:
    """A lake at a folder or URL; opening it does no I/O.

    Args:
        url_or_path: a folder, `file://…`, `s3://…`.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        self.files = Files(url_or_path)
        self.url = self.files.url

    # raw

    def append_raw(
        self, account: str, day: date, run_id: str, window: str, data: pa.Table
    ) -> FileInfo:
        """Add document versions; a repeated call with run and window replaces."""
        name = f"{file_name(run_id)}-{file_name(window)}.parquet"
        return self._put_raw(account, day, name, data)

    def replace_raw(self, account: str, day: date, data: pa.Table) -> FileInfo:
        """Put these versions in place of all the account-day's (for a purge only).

        What a replacement that was killed left twice is there once again after it.
        """
        before = self.raw_files(account, day)
        name = "rewritten-0.parquet"
        folder = day_folder(_RAW, account, day)
        if f"{folder}/{name}" in before:
            name = "rewritten-1.parquet"
        info = self._put_raw(account, day, name, _once(data))
        for path in before:
            if path != f"{folder}/{name}":
                self.files.delete(path)
        self.sweep_raw(account, day)
        return info

    def sweep_raw(self, account: str, day: date) -> None:
        """Remove half-written raw files of killed runs; nobody else may be writing."""
        self.files.sweep(day_folder(_RAW, account, day))

    def _put_raw(self, account: str, day: date, name: str, data: pa.Table) -> FileInfo:
        content = written(RAW_ENGAGEMENTS, data)
        path = f"{day_folder(_RAW, account, day)}/{name}"
        with self.files.draft(path) as draft:
            draft.stream.write(content)
            size, digest = draft.facts()
            draft.keep()
        return FileInfo(path, len(data), size, digest)

    def raw_files(self, account: str, day: date) -> list[str]:
        """Paths of the account-day's raw files, relative to the lake, sorted."""
        folder = day_folder(_RAW, account, day)
        return [
            f"{folder}/{name}"
            for name in self.files.names(folder)
            if name.endswith(".parquet") and not name.startswith((".", "_"))
        ]

    def read_raw(
        self, account: str, day: date, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """All document versions of the account-day, in the order of the files."""
        return read(
            self.files, RAW_ENGAGEMENTS, self.raw_files(account, day), columns=columns
        )

    def raw_batches(
        self,
        account: str,
        day: date,
        rows: int,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.Table]:
        """`read_raw`, some rows at once."""
        paths = self.raw_files(account, day)
        return batches(self.files, RAW_ENGAGEMENTS, paths, rows, columns)

    def raw_size(self, account: str, day: date) -> tuple[int, int]:
        """How many rows `read_raw` would give, and about how many bytes."""
        return size(self.files, self.raw_files(account, day))

    def raw_days(self, account: str) -> list[date]:
        """The days of which raw documents are held, in order."""
        return days_of(self.files.names(f"{_RAW}/account={safe(account)}"))

    # daily

    def day_writer(self, account: str, day: date) -> DayWriter:
        """Write an account-day batch by batch."""
        return DayWriter(self.files, account, day)

    def write_day(
        self,
        account: str,
        day: date,
        tables: Mapping[str, pa.Table],
        *,
        run_id: str,
        facts: Mapping[str, Any],
    ) -> Manifest:
        """Replace all daily tables of the account-day; absent ones become empty.

        The rows must be in the order of each table's key.
        """
        with self.day_writer(account, day) as writer:
            for name, data in tables.items():
                writer.write(name, data)
            return writer.commit(run_id=run_id, facts=facts)

    def read_day(
        self, table: str, account: str, day: date, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """One table of one account-day; empty and typed when there is none."""
        path = f"{day_folder(table, account, day)}/part-0.parquet"
        paths = [path] if self.files.exists(path) else []
        return read(self.files, _table(table), paths, columns=columns)

    def read(
        self,
        table: str,
        start: date | None = None,
        end: date | None = None,
        accounts: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """A table over a range of UTC days, both ends included.

        Snapshots have no days: they are read whole, of the accounts asked for.
        """
        declared = _table(table)
        if declared.layout in (Layout.SNAPSHOT, Layout.OPERATIONS):
            whole = read(self.files, declared, self._snapshot_paths(table))
            if accounts is not None and "account_id" in declared.names:
                known = pa.array(list(accounts), pa.string())
                whole = whole.filter(pc.is_in(whole.column("account_id"), known))
            return whole if columns is None else whole.select(list(columns))
        paths = self.paths(table, start, end, accounts)
        return read(self.files, declared, paths, columns=columns)

    def values(self, table: str, column: str, account: str) -> set[Any]:
        """What a column of a daily table holds over all days, read day after day."""
        found: set[Any] = set()
        for path in self.paths(table, accounts=[account]):
            day = read(self.files, _table(table), [path], columns=[column])
            found.update(day.column(column).unique().to_pylist())
        return found

    def paths(
        self,
        table: str,
        start: date | None = None,
        end: date | None = None,
        accounts: Sequence[str] | None = None,
    ) -> list[str]:
        """Paths of a table's files over a range of days, relative to the lake."""
        declared = _table(table)
        if declared.layout in (Layout.SNAPSHOT, Layout.OPERATIONS):
            return self._snapshot_paths(table)
        found: list[str] = []
        for account in self.accounts() if accounts is None else accounts:
            raw = declared.layout is Layout.RAW
            for day in self.raw_days(account) if raw else self.days(account):
                if (start and day < start) or (end and day > end):
                    continue
                if raw:
                    found += self.raw_files(account, day)
                else:
                    found.append(f"{day_folder(table, account, day)}/part-0.parquet")
        return found

    def days(self, account: str) -> list[date]:
        """The account's days whose tables are complete, in order."""
        return days_of(self.files.names(f"_manifests/account={safe(account)}"))

    def manifest(self, account: str, day: date) -> Manifest | None:
        """What the account-day consists of; None before it was written."""
        return read_manifest(self.files, day_manifest(account, day))

    def accounts(self) -> list[str]:
        """The accounts of which anything is held, sorted."""
        folders = {*self.files.names("_manifests"), *self.files.names(_RAW)}
        prefix = "account="
        return sorted(
            name.removeprefix(prefix) for name in folders if name.startswith(prefix)
        )

    # snapshots

    def write_snapshot(self, table: str, data: pa.Table, *, run_id: str) -> Manifest:
        """Replace a whole table; rows are put in the order of its key."""
        declared = _table(table)
        ordered = shape(declared, data).sort_by(
            [(name, "ascending") for name in declared.key]
        )
        with TableFile(self.files, f"{table}/part-0.parquet", declared) as file:
            file.write(ordered)
            info = file.finish()
            path = f"_manifests/{table}.json"
            done = {table: (file, info)}
            return commit(self.files, path, done, run_id=run_id, facts={})

    def read_snapshot(
        self, table: str, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The whole table; empty and typed when it was never written."""
        return read(
            self.files, _table(table), self._snapshot_paths(table), columns=columns
        )

    def snapshot_manifest(self, table: str) -> Manifest | None:
        """What the snapshot consists of; None before it was written."""
        return read_manifest(self.files, f"_manifests/{_table(table).name}.json")

    def _snapshot_paths(self, table: str) -> list[str]:
        path = f"{table}/part-0.parquet"
        return [path] if self.files.exists(path) else []

    # documents

    def write_document(self, path: str, content: bytes) -> bool:
        """Keep a document beside the tables; False when it was there already."""
        return self.files.write(inside(path), content)

    def read_document(self, path: str) -> bytes:
        """A document's bytes.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.files.read(inside(path))

    # reading by SQL

    def create_views(self, connection: Any) -> None:
        """Create a view per table in an open DuckDB connection."""
        create_views(connection, self.files)

    def write_catalogue(self, path: str | Path) -> None:
        """Write a DuckDB file of views over this lake, aside, then renamed."""
        write_catalogue(Path(path), self.files)


def _once(data: pa.Table) -> pa.Table:
    """Each landing of a version once; of equal ones that which has no document left."""
    names = ("engagement_id", "content_hash", "_extracted_at")
    keys = zip(*(data.column(name).to_pylist() for name in names), strict=True)
    erased = data.column("payload").is_null().to_pylist()
    places: dict[tuple[Any, ...], int] = {}
    for place, key in enumerate(keys):
        if key not in places or erased[place]:
            places[key] = place
    if len(places) == len(data):
        return data
    return data.take(pa.array(sorted(places.values()), pa.int64()))


def _table(name: str) -> Table:
    if name not in BY_NAME:
        raise ArgumentError(
            f"There is no table {name!r}; there are {', '.join(BY_NAME)}."
        )
    return BY_NAME[name]
