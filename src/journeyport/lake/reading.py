"""Reading Parquet of the lake in the shape that its declaration gives it.

A file written before a column was declared gets nulls for it.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from journeyport.arrow import empty, field_of
from journeyport.lake.files import Files
from journeyport.schema import Table


def read(
    files: Files,
    table: Table,
    paths: Iterable[str],
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """The files' rows one after the other; empty and typed without files."""
    wanted = list(columns) if columns is not None else list(table.names)
    parts = [_part(files, table, path, wanted) for path in paths]
    return pa.concat_tables(parts) if parts else empty(table).select(wanted)


def batches(
    files: Files,
    table: Table,
    paths: Iterable[str],
    rows: int,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """The same, some rows at once."""
    wanted = list(columns) if columns is not None else list(table.names)
    for path in paths:
        with files.filesystem.open_input_file(files.place(path)) as source:
            file = pq.ParquetFile(source)
            there = _there(file, wanted)
            for part in file.iter_batches(rows, columns=there, use_threads=False):
                yield _conformed(table, pa.table(part), wanted)


def size(files: Files, paths: Iterable[str]) -> tuple[int, int]:
    """Rows of the files and, more or less, their bytes: encoded, not compressed."""
    rows = total = 0
    for path in paths:
        with files.filesystem.open_input_file(files.place(path)) as source:
            metadata = pq.read_metadata(source)
        groups = map(metadata.row_group, range(metadata.num_row_groups))
        total += sum(group.total_byte_size for group in groups)
        rows += metadata.num_rows
    return rows, total


def _part(files: Files, table: Table, path: str, wanted: list[str]) -> pa.Table:
    with files.filesystem.open_input_file(files.place(path)) as source:
        file = pq.ParquetFile(source)
        return _conformed(table, file.read(columns=_there(file, wanted)), wanted)


def _there(file: pq.ParquetFile, wanted: list[str]) -> list[str]:
    held = set(file.schema_arrow.names)
    return [name for name in wanted if name in held]


def _conformed(table: Table, data: pa.Table, wanted: list[str]) -> pa.Table:
    fields = [field_of(table.column(name)) for name in wanted]
    if data.column_names == wanted and data.schema.equals(pa.schema(fields)):
        return data
    arrays = [
        data.column(field.name).cast(field.type)
        if field.name in data.column_names
        else pa.chunked_array([pa.nulls(len(data), field.type)])
        for field in fields
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
