"""Committing what was written: files take their names, their manifest comes last."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Self

import pyarrow as pa

from journeyport.lake.files import FileInfo, Files
from journeyport.lake.manifests import Manifest, TableFacts
from journeyport.lake.paths import day_folder, day_manifest
from journeyport.lake.writing import TableFile
from journeyport.tables import BY_NAME, DAILY


def read_manifest(files: Files, path: str) -> Manifest | None:
    """The manifest of that path; None where there is none."""
    if not files.exists(path):
        return None
    return Manifest.of(files.read(path), path)


def commit(
    files: Files,
    path: str,
    done: Mapping[str, tuple[TableFile, FileInfo]],
    *,
    run_id: str,
    facts: Mapping[str, Any],
    account: str = "",
    day: str = "",
) -> Manifest:
    """Give files their names, then write the manifest; what is the same stays."""
    tables = {
        name: TableFacts(
            info.path, info.rows, info.bytes, info.sha256, BY_NAME[name].version
        )
        for name, (_, info) in done.items()
    }
    manifest = Manifest(run_id, tables, facts, account, day)
    before = read_manifest(files, path)
    touched = False
    for file, info in done.values():
        if info.changed:
            file.keep()
            touched = True
        else:
            file.drop()
    if not touched and before is not None and manifest.same(before):
        return before
    files.write(path, manifest.to_bytes())
    return Manifest(run_id, tables, facts, account, day, changed=True)


class DayWriter:
    """All daily tables of one account-day, written batch by batch.

    Args:
        files: where.
        account: the account.
        day: the UTC day.
    """

    def __init__(self, files: Files, account: str, day: date) -> None:
        self._to = files
        self._account = account
        self._day = day
        self._files: dict[str, TableFile] = {}

    def __enter__(self) -> Self:
        for table in DAILY:
            path = f"{day_folder(table.name, self._account, self._day)}/part-0.parquet"
            self._files[table.name] = TableFile(self._to, path, table)
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.drop()

    def write(self, table: str, data: pa.Table) -> None:
        """Add rows to a table, in the order of its key over all batches."""
        self._files[table].write(data)

    def commit(self, *, run_id: str, facts: Mapping[str, Any]) -> Manifest:
        """Give all files their names, the manifest last."""
        done = {name: (file, file.finish()) for name, file in self._files.items()}
        return commit(
            self._to,
            day_manifest(self._account, self._day),
            done,
            run_id=run_id,
            facts=facts,
            account=self._account,
            day=self._day.isoformat(),
        )
