"""Parquet as the lake writes it: the same rows give the same bytes.

A row group has a fixed number of rows, whatever batches the rows came in. Which files
there are is said in the package itself.
"""

from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from journeyport.arrow import schema_of, shape
from journeyport.lake.files import FileInfo, Files
from journeyport.schema import Kind, Layout, Origin, Table

ROW_GROUP = 50_000
RAW_ROW_GROUP = 5_000
"""Documents are 2 KB each: who reads a group holds ten megabytes, not a hundred."""

_DISTINCT = {
    "_row_hash",
    "content_hash",
    "dialog_id",
    "engagement_id",
    "participant_id",
    "payload",
    "raw_value",
    "value",
}
"""Columns that hardly repeat: a dictionary would cost time and make them larger."""

_DIFFERENCES = {
    Kind.STRING: "DELTA_BYTE_ARRAY",
    Kind.INSTANT: "DELTA_BINARY_PACKED",
}


def options(table: Table) -> dict[str, Any]:
    """How pyarrow writes a table's Parquet.

    Level 1 is a third faster than level 3 and no larger on these tables. Ids stand in
    order and instants near each other: what differs from the one before takes less
    time to compress than the whole.
    """
    repeating = [
        column.name
        for column in table.columns
        if column.name not in _DISTINCT
        and (column.kind is not Kind.INSTANT or column.origin is Origin.LINEAGE)
    ]
    differences = {
        column.name: _DIFFERENCES[column.kind]
        for column in table.columns
        if column.name == "engagement_id"
        or (column.kind is Kind.INSTANT and column.name not in repeating)
    }
    return {
        "compression": "zstd",
        "compression_level": 1,
        "version": "2.6",
        "data_page_version": "1.0",
        "use_dictionary": repeating,
        "column_encoding": differences,
        "write_statistics": True,
        "store_schema": True,
    }


def written(table: Table, data: pa.Table) -> pa.Buffer:
    """The table as a Parquet file's bytes."""
    sink = pa.BufferOutputStream()
    whole = shape(table, data).combine_chunks()
    rows = RAW_ROW_GROUP if table.layout is Layout.RAW else ROW_GROUP
    pq.write_table(whole, sink, row_group_size=rows, **options(table))
    return sink.getvalue()


class TableFile:
    """One table's file, written batch by batch.

    The rows of all batches together must be in the order of the table's key.

    Args:
        files: where.
        path: the file's path.
        table: its declaration.
    """

    def __init__(self, files: Files, path: str, table: Table) -> None:
        self._files = files
        self._path = path
        self._table = table
        self._draft = files.draft(path)
        self._schema = schema_of(table)
        self._writer = pq.ParquetWriter(
            self._draft.stream, self._schema, **options(table)
        )
        self._waiting: list[pa.Table] = []
        self._count = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def write(self, data: pa.Table) -> None:
        """Add rows."""
        known = data.schema.equals(self._schema, check_metadata=True)
        self._waiting.append(data if known else shape(self._table, data))
        self._count += len(data)
        self.rows += len(data)
        while self._count >= ROW_GROUP:
            self._group(ROW_GROUP)

    def finish(self) -> FileInfo:
        """Write what waits; say what the file would be, without giving it its name."""
        if self._count:
            self._group(self._count)
        self._writer.close()
        size, digest = self._draft.facts()
        same = self._files.size(self._path) == size and (
            self._files.sha256(self._path) == digest
        )
        return FileInfo(self._path, self.rows, size, digest, changed=not same)

    def keep(self) -> None:
        """Give the file its name."""
        self._draft.keep()

    def drop(self) -> None:
        """Leave what was there; nothing happens after `keep`."""
        if self._writer.is_open:
            self._writer.close()
        self._draft.drop()

    def _group(self, rows: int) -> None:
        # Combined first: pages must not show in which batches the rows came.
        waiting = pa.concat_tables(self._waiting)
        group = waiting.slice(0, rows).combine_chunks()
        self._writer.write_table(group, row_group_size=max(rows, 1))
        rest = waiting.slice(rows)
        self._waiting = [rest] if len(rest) else []
        self._count = len(rest)
