"""Parsed documents to the columns of their fields, lists and objects nested.

The one place where what a document holds is gone through in Python: a comprehension per
field and a few thousand documents at once. What becomes of the columns is said in
`documents`.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from journeyport.normalise.screening import Screened, screen
from journeyport.normalise.shape import (
    EXTRA,
    Array,
    Leaf,
    Mapping,
    Shape,
    Struct,
    document,
    names,
)
from journeyport.normalise.values import instants
from journeyport.schema import Kind

Columns = dict[str, pa.Array]
_Lists = tuple[npt.NDArray[np.int32], ...]
"""Where each list of a column begins in the next, from the document down."""

_TYPES = {
    Kind.STRING: pa.string(),
    Kind.INSTANT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
}
_DOCUMENTS = 1_000
_BYTES = 16_000_000
"""Parsed at once: what fits the processor's cache is gone through fastest."""


def parse(payloads: Sequence[memoryview | None], account_id: str) -> Screened:
    """Documents, one JSON text each, to their fields: see `Screened.fields`."""
    done = Screened()
    parts: list[Columns] = []
    with _no_collector():
        for start, end in _chunks(payloads):
            seen, fields = _fields(payloads[start:end], account_id)
            done.places += [start + place for place in seen.places]
            done.faults |= {start + n: fault for n, fault in seen.faults.items()}
            done.drift.update(seen.drift)
            parts.append(fields)
    done.fields = {name: _joined([part[name] for part in parts]) for name in parts[0]}
    return done


def _chunks(payloads: Sequence[memoryview | None]) -> Iterator[tuple[int, int]]:
    start = size = 0
    for place, payload in enumerate(payloads):
        size += 0 if payload is None else len(payload)
        if place - start == _DOCUMENTS or size > _BYTES:
            yield start, place
            start, size = place, 0 if payload is None else len(payload)
    yield start, len(payloads)


def _fields(
    payloads: Sequence[memoryview | None], account_id: str
) -> tuple[Screened, Columns]:
    seen, fields = screen(payloads, account_id), _Fields()
    made = fields.of(seen.documents, document(), ())
    if not fields.odd:
        return seen, made
    # Texts that are no instants: where they stand is known only now.
    odd = {seen.places[place] for place in fields.odd}
    seen = screen(payloads, account_id, odd)
    return seen, _Fields().of(seen.documents, document(), ())


def _joined(parts: list[pa.Array]) -> pa.Array:
    return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)


class _Fields:
    """The columns of some documents.

    Attributes:
        odd: the documents in which a text is no instant where one belongs.
    """

    def __init__(self) -> None:
        self.odd: set[int] = set()

    def of(self, objects: Sequence[Any], shape: Struct, owners: _Lists) -> Columns:
        """The fields of objects by name; `owners` are the lists they stand in."""
        wanted = names(shape)
        rows: Any = map(msgspec.structs.astuple, objects)
        if not all(objects):
            nothing = (None,) * len(wanted)
            plain = msgspec.structs.astuple
            rows = [nothing if one is None else plain(one) for one in objects]
        values: Any = zip(*rows, strict=True) if objects else [()] * len(wanted)
        return {
            name: pa.array(column, pa.string())
            if name == EXTRA
            else self._column(column, shape.fields[name], owners)
            for name, column in zip(wanted, values, strict=True)
        }

    def _column(self, values: Sequence[Any], shape: Shape, owners: _Lists) -> pa.Array:
        if isinstance(shape, Leaf):
            return self._leaf(values, shape.kind, owners)
        if isinstance(shape, Struct):
            return self._structs(values, shape, owners)
        offsets = np.zeros(len(values) + 1, np.int32)
        lengths = [len(value) if value else 0 for value in values]
        np.cumsum(lengths, out=offsets[1:])
        owners = (*owners, offsets)
        items: pa.Array
        if isinstance(shape, Array):
            flat = [item for value in values if value for item in value]
            items = self._column(flat, shape.item, owners)
        else:
            items = self._pairs(values, shape, owners)
        return pa.ListArray.from_arrays(pa.array(offsets), items)

    def _leaf(self, values: Sequence[Any], kind: Kind, owners: _Lists) -> pa.Array:
        found = pa.array(values, _TYPES[kind])
        if kind is not Kind.INSTANT:
            return found
        moments = instants(found)
        if moments.null_count > found.null_count:
            lost = moments.is_null().to_numpy(
                zero_copy_only=False
            ) & found.is_valid().to_numpy(zero_copy_only=False)
            places = np.flatnonzero(lost)
            for offsets in reversed(owners):
                places = np.searchsorted(offsets, places, side="right") - 1
            self.odd.update(places.tolist())
        return moments

    def _structs(
        self, values: Sequence[Any], shape: Struct, owners: _Lists
    ) -> pa.StructArray:
        made = self.of(values, shape, owners)
        mask = None
        if not all(values):
            mask = pa.array([value is None for value in values])
        return pa.StructArray.from_arrays(list(made.values()), list(made), mask=mask)

    def _pairs(
        self, values: Sequence[Any], shape: Mapping, owners: _Lists
    ) -> pa.StructArray:
        # In order of the keys: the order in which they were sent tells nothing.
        pairs = [pair for value in values if value for pair in sorted(value.items())]
        keys = pa.array([key for key, _ in pairs], pa.string())
        items = self._column([item for _, item in pairs], shape.value, owners)
        return pa.StructArray.from_arrays([keys, items], ["key", "value"])


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without the cyclic collector: it would look at every object again and again.

    Nothing that is parsed refers back to itself, so nothing is left over.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
