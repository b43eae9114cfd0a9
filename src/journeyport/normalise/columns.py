"""Documents to the columns of their fields, lists and objects nested.

Each document is looked at by itself once, in `screening`; Arrow's JSON reader (Rust's,
by way of arro3) then parses what passed, thousands at once. What becomes of the columns
is said in `documents`.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING

import arro3.io
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import packed, views
from journeyport.normalise.screening import Screened, screen
from journeyport.normalise.values import instants
from journeyport.schema import Kind
from journeyport.shape import (
    EXTRA,
    Array,
    Leaf,
    Mapping,
    Shape,
    Struct,
    document,
    name,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Columns = dict[str, pa.Array]
_ROWS = 1024
"""Documents per batch of the reader: its buffers stay in the processor's cache."""
_READ = 1 << 16
"""Bytes of documents given to the reader at once."""

_ARROW = {
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
}

_Lists = tuple[npt.NDArray[np.int64], ...]
"""Where each list of a column begins in the next, from the document down."""


def parse(
    payloads: pa.StringArray, fits: pa.StringArray, account_id: str
) -> tuple[Screened, Columns]:
    """Documents, one JSON text each, to their fields by name.

    The columns hold what passed, in the order given. Documents that landing saw to fit
    this very shape are not screened again.
    """
    sure = pc.and_(pc.equal(fits, name()).fill_null(False), payloads.is_valid())
    rest = pc.indices_nonzero(pc.invert(sure))
    left = payloads if len(rest) == len(payloads) else payloads.take(rest)
    seen = screen(zip(rest.to_pylist(), views(left), strict=True), account_id)
    made = _Fields(seen, payloads)
    if made.odd:
        # Texts that are no instants, keys that came twice: where they stand is known
        # only now.
        for place in made.odd:
            text = payloads[place].as_buffer()
            seen.take_apart(place, memoryview(text), account_id)
        made = _Fields(seen, payloads)
    return seen, made.columns


class _Fields:
    """The columns of some documents.

    Attributes:
        columns: by name.
        odd: positions of documents that have to be taken apart: a text is no instant
            where one belongs, or a key of a map came twice.
    """

    def __init__(self, seen: Screened, payloads: pa.StringArray) -> None:
        passed = np.ones(len(payloads), np.bool_)
        passed[list(seen.faults)] = False
        self._places = np.flatnonzero(passed)
        self.odd: set[int] = set()
        found = _parsed(_texts(payloads, seen), len(self._places))
        self.columns = self._of(found, document(), ())

    def _of(self, objects: pa.StructArray, shape: Struct, owners: _Lists) -> Columns:
        """The fields of objects by name; `owners` are the lists they stand in."""
        fields = {
            name: self._column(objects.field(name), inner, owners)
            for name, inner in sorted(shape.fields.items())
        }
        return fields | {EXTRA: objects.field(EXTRA)}

    def _column(self, values: pa.Array, shape: Shape, owners: _Lists) -> pa.Array:
        if isinstance(shape, Leaf):
            is_instant = shape.kind is Kind.INSTANT
            return self._instants(values, owners) if is_instant else values
        if isinstance(shape, Struct):
            made = self._of(values, shape, owners)
            mask = values.is_null() if values.null_count else None
            return pa.StructArray.from_arrays(
                list(made.values()), list(made), mask=mask
            )
        edges = values.offsets.to_numpy().astype(np.int64)
        if isinstance(shape, Mapping):
            items = self._pairs(values, edges)
        else:
            items = self._column(values.values, shape.item, (*owners, edges))
        return pa.ListArray.from_arrays(values.offsets, items)

    def _instants(self, found: pa.Array, owners: _Lists) -> pa.Array:
        moments = instants(found)
        if moments.null_count > found.null_count:
            lost = moments.is_null().to_numpy(
                zero_copy_only=False
            ) & found.is_valid().to_numpy(zero_copy_only=False)
            places = np.flatnonzero(lost)
            for edges in reversed(owners):
                places = np.searchsorted(edges, places, side="right") - 1
            self._name(places)
        return moments

    def _pairs(self, maps: pa.MapArray, edges: npt.NDArray[np.int64]) -> pa.StructArray:
        """Keys and values in the order of the keys: the one they came in tells nothing.

        They come in that order as a rule: landed documents have sorted keys.
        """
        keys, items = maps.keys, maps.items
        named = keys.dictionary_encode()
        distinct = named.dictionary.to_pylist()
        rank = {key: place for place, key in enumerate(sorted(distinct))}
        ranks = np.array([rank[key] for key in distinct], np.int64)
        owners = np.repeat(np.arange(len(maps)), np.diff(edges))
        order = owners * (len(ranks) + 1) + ranks[named.indices.to_numpy()]
        steps = np.diff(order)
        if (steps <= 0).any():
            places = np.argsort(order, kind="stable")
            twice = np.flatnonzero(np.diff(order[places]) == 0)
            self._name(owners[places[twice]])
            keys, items = keys.take(pa.array(places)), items.take(pa.array(places))
        return pa.StructArray.from_arrays([keys, items], ["key", "value"])

    def _name(self, odd: npt.NDArray[np.int64]) -> None:
        self.odd.update(self._places[odd].tolist())


def _texts(payloads: pa.StringArray, seen: Screened) -> Iterator[memoryview | bytes]:
    """What passed, text after text: those written anew in the place of those sent."""
    view, edges = packed(payloads)
    begin = 0
    for place in sorted({*seen.anew, *seen.faults}):
        yield view[begin : edges[place]]
        if place not in seen.faults:
            yield seen.anew[place].encode()
        begin = edges[place + 1]
    yield view[begin : edges[-1]]


class _Chained(RawIOBase):
    """Texts one after the other, as a file: never all of them in one piece."""

    def __init__(self, texts: Iterable[memoryview | bytes]) -> None:
        self._texts = iter(texts)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, room: "WriteableBuffer") -> int:
        """Fill the room; it stays part empty only where the texts end."""
        into, filled = memoryview(room), 0
        while filled < len(into):
            if not self._rest:
                following = next(self._texts, None)
                if following is None:
                    break
                self._rest = memoryview(following).cast("B")
            some = self._rest[: len(into) - filled]
            into[filled : filled + len(some)] = some
            self._rest = self._rest[len(some) :]
            filled += len(some)
        return filled


def _parsed(texts: Iterable[memoryview | bytes], count: int) -> pa.StructArray:
    """JSON objects, one after the other, to a column of them."""
    file = BufferedReader(_Chained(texts), _READ)
    read = pa.table(arro3.io.read_json(file, _schema(), batch_size=_ROWS))
    if len(read) != count:
        raise RuntimeError(f"{len(read)} objects were read where {count} were given.")
    return read.to_struct_array().combine_chunks()


@cache
def _schema() -> pa.Schema:
    return pa.schema(list(_type(document())))


def _type(shape: Shape) -> pa.DataType:
    """A shape as Arrow has it, each object with its `EXTRA`; instants are texts yet."""
    if isinstance(shape, Leaf):
        return _ARROW.get(shape.kind, pa.string())
    if isinstance(shape, Array):
        return pa.list_(_type(shape.item))
    if isinstance(shape, Mapping):
        return pa.map_(pa.string(), _type(shape.value))
    fields = {name: _type(shape.fields[name]) for name in sorted(shape.fields)}
    return pa.struct(fields | {EXTRA: pa.string()})
