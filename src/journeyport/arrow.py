"""Table declarations as Arrow schemas; casting to them and hashing rows.

Columnar throughout: nothing here loops over rows except the call that hashes them.
How tables lie on disk is said in `lake`.
"""

from binascii import hexlify
from collections.abc import Sequence
from functools import cache
from itertools import chain, groupby, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from journeyport.errors import ContractError
from journeyport.schema import Column, Kind, Table

TYPES: dict[Kind, pa.DataType] = {
    Kind.STRING: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INSTANT: pa.timestamp("us", "UTC"),
    Kind.DATE: pa.date32(),
    Kind.JSON: pa.string(),
}

HASH_VERSION = 2
"""Raised by one when equal rows would hash otherwise than before."""

_HASHED = 100_000
"""Rows hashed at once: their texts together stay far below what a column can hold."""
_DIGESTED = 1_000
"""Of those, rows whose bytes are handed to the hash at once."""

_SEPARATOR, _NULL, _ESCAPE = "\x1f", "\x1e", "\x10"
_SIGNS = [ord(sign) for sign in (_SEPARATOR, _NULL, _ESCAPE)]


def field_of(column: Column) -> pa.Field:
    """The column as an Arrow field, with its meaning as metadata."""
    return pa.field(
        column.name,
        TYPES[column.kind],
        nullable=not column.required,
        metadata={
            "description": column.description,
            "personal": "true" if column.personal else "false",
        },
    )


@cache
def schema_of(table: Table) -> pa.Schema:
    """The table as an Arrow schema; every reader and writer uses this one."""
    return pa.schema(
        [field_of(column) for column in table.columns],
        metadata={"table": table.name, "version": str(table.version)},
    )


def empty(table: Table) -> pa.Table:
    """The table without rows."""
    return schema_of(table).empty_table()


def conform(table: Table, data: pa.Table) -> pa.Table:
    """Select, order and cast the columns; fill `_row_hash` where the table has one.

    A missing column that may be null becomes nulls, so that files written before the
    column was declared stay readable. Columns that were not declared are left out.

    Raises:
        ContractError: a required column is missing or holds nulls, or a value
            cannot be cast.
    """
    shaped = shape(table, data)
    if "_row_hash" not in table.names:
        return shaped
    place = shaped.schema.get_field_index("_row_hash")
    field = shaped.schema.field(place)
    return shaped.set_column(place, field, row_hashes(table, shaped))


def shape(table: Table, data: pa.Table) -> pa.Table:
    """Like `conform`, but keeps the `_row_hash` that is there (absent: empty)."""
    schema = schema_of(table)
    there = dict(zip(data.column_names, data.columns, strict=True))
    arrays = [
        _array(table, column, field.type, there.get(column.name), len(data))
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(
    table: Table,
    column: Column,
    kind: pa.DataType,
    values: pa.ChunkedArray | None,
    rows: int,
) -> pa.ChunkedArray:
    if values is None:
        if column.name == "_row_hash":
            return pa.chunked_array([pa.repeat(pa.scalar(""), rows)])
        if column.required and rows:
            raise ContractError(f"{table.name}.{column.name} is required and missing.")
        return pa.chunked_array([pa.nulls(rows, kind)])
    if values.type != kind:
        try:
            values = values.cast(kind)
        except pa.ArrowInvalid as error:
            raise ContractError(
                f"{table.name}.{column.name} holds values that are no {column.kind}."
            ) from error
    if column.required and values.null_count:
        raise ContractError(f"{table.name}.{column.name} is required and holds nulls.")
    return values


def row_hashes(table: Table, data: pa.Table) -> pa.ChunkedArray:
    """xxh3_128 over the content columns of each row, hexadecimal.

    Lineage and `_row_hash` itself are left out; null differs from the empty string;
    equal rows hash equal in whatever batch they stand.
    """
    content = data.select([column.name for column in table.content])
    batches = content.to_batches(max_chunksize=_HASHED)
    return pa.chunked_array([_hashed(table, one) for one in batches], pa.string())


def _hashed(table: Table, rows: pa.RecordBatch) -> pa.StringArray:
    """The hash of each row: of its numbers, and behind them its texts."""
    kinds = [(column.name, TYPES[column.kind]) for column in table.content]
    numbers = [
        _as_integers(rows.column(name).cast(kind))
        for name, kind in kinds
        if not pa.types.is_string(kind)
    ]
    texts = [rows.column(name) for name, kind in kinds if pa.types.is_string(kind)]
    escape = any(map(_holds_signs, texts))
    fields = [_side_by_side(numbers, len(rows))]
    for is_void, some in groupby(texts, lambda one: one.null_count == len(one)):
        if is_void:  # columns without a value, as one text that is always the same
            void = _SEPARATOR.join(_NULL for _ in some)
            fields.append(pa.scalar(void.encode(), pa.binary()))
        else:
            plain = (_escaped(one) if escape else one for one in some)
            fields += [one.cast(pa.binary()) for one in plain]
    joined = pc.binary_join_element_wise(
        *fields,
        pa.scalar(_SEPARATOR.encode(), pa.binary()),
        null_handling="replace",
        null_replacement=_NULL,
    )
    # Some at a time: what holds them then stays in the processor's cache.
    parts = (joined.slice(at, _DIGESTED) for at in range(0, len(rows), _DIGESTED))
    each = chain.from_iterable(part.to_pylist() for part in parts)
    digests = b"".join(map(xxhash.xxh3_128_digest, each))
    return pa.StringArray.from_buffers(
        len(rows), _edges(len(rows), 32), pa.py_buffer(hexlify(digests))
    )


def _as_integers(values: pa.Array) -> pa.Array:
    """A column of numbers, flags or times as whole numbers, the same for the same."""
    if pa.types.is_floating(values.type):
        return values.view(pa.int64())
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int64())
    if pa.types.is_date(values.type):
        return values.cast(pa.int32()).cast(pa.int64())
    return values.cast(pa.int64())


def _side_by_side(columns: list[pa.Array], rows: int) -> pa.BinaryArray:
    """Whole numbers as bytes: eight each, and one that tells a null from a zero."""
    field = np.dtype([("there", "u1"), ("value", "<i8")])
    table = np.zeros((rows, len(columns)), field)
    for place, values in enumerate(columns):
        if values.null_count == rows:
            continue
        table["there"][:, place] = values.is_valid().to_numpy(zero_copy_only=False)
        table["value"][:, place] = values.fill_null(0).to_numpy()
    width = field.itemsize * len(columns)
    buffers = [None, _edges(rows, width), pa.py_buffer(table)]
    return pa.BinaryArray.from_buffers(pa.binary(), rows, buffers)


def _edges(rows: int, width: int) -> pa.Buffer:
    """Where each of so many values of one width begins, and where the last ends."""
    return pa.py_buffer(np.arange(rows + 1, dtype=np.int32) * np.int32(width))


def unchunked(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece; one that is so already is not copied."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _holds_signs(texts: pa.StringArray) -> bool:
    """Whether a sign of the join may stand within a text itself."""
    # Nearly no text holds a control character: the least octet tells so at once.
    octets = _octets(texts)
    return bool(
        len(octets) and octets.min() < ord(" ") and np.isin(octets, _SIGNS).any()
    )


def _escaped(values: pa.StringArray) -> pa.StringArray:
    for sign, escaped in (
        (_ESCAPE, f"{_ESCAPE}0"),
        (_NULL, f"{_ESCAPE}1"),
        (_SEPARATOR, f"{_ESCAPE}2"),
    ):
        values = pc.replace_substring(values, sign, escaped)
    return values


def _octets(texts: pa.Array) -> npt.NDArray[np.uint8]:
    """All bytes of a column of texts, one after the other."""
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.array([], np.uint8)
    edges = np.frombuffer(offsets, np.int32)[texts.offset :]
    return np.frombuffer(data, np.uint8)[edges[0] : edges[len(texts)]]


def texts_of(encoded: Sequence[bytes], most: int = 2**31 - 1) -> pa.ChunkedArray:
    """A column of texts, each given in UTF-8, of at most so many bytes a chunk."""
    edges = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(one) for one in encoded], out=edges[1:])
    if edges[-1] > most and len(encoded) > 1:
        half = len(encoded) // 2
        parts = texts_of(encoded[:half], most), texts_of(encoded[half:], most)
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks])
    # Joined at once: a third of what adding them one by one costs.
    begins = pa.py_buffer(edges.astype(np.int32))
    joined = pa.py_buffer(b"".join(encoded))
    array = pa.StringArray.from_buffers(len(encoded), begins, joined)
    return pa.chunked_array([array], pa.string())


def views(texts: pa.Array) -> list[memoryview | None]:
    """Each text's bytes as a view into the column's buffer; None for a null."""
    view, edges = packed(texts)
    found: list[memoryview | None] = [view[low:high] for low, high in pairwise(edges)]
    if texts.null_count:
        for place in np.flatnonzero(texts.is_null().to_numpy(zero_copy_only=False)):
            found[place] = None
    return found


def packed(texts: pa.Array) -> tuple[memoryview, list[int]]:
    """All bytes of a column of texts; where each begins, and where the last ends."""
    if not len(texts):
        return memoryview(b""), [0]
    _, offsets, data = texts.buffers()
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    edges = np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data) if data is not None else memoryview(b""), edges.tolist()
