"""Evidence as arrays: which engagement carried which value, first seen when.

A pure function of the current, not deleted, versions of the documents: nothing of an
earlier night goes in. Values are numbered in the order of (type, value), engagements in
the order of (start, id); so every number, and every order taken from one, is the same
however the evidence arrived. Reading the lake is in `reading`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from journeyport.identity.config import STRENGTHS, IdentityConfig

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Small = npt.NDArray[np.int8]

WEAK, STRONG, VERY_STRONG = range(3)


@dataclass(frozen=True)
class Evidence:
    """What one account's engagements carry.

    Attributes:
        types: the type names, sorted.
        value_type: per value, the position of its type.
        values: per value, the normalised value; sorted by type, then value.
        engagements: per engagement its id; ordered by start, then id.
        starts: per engagement, microseconds since 1970, UTC.
        row_engagement, row_value: one entry per (engagement, value) that met,
            distinct, sorted by engagement, then value.
    """

    types: tuple[str, ...]
    value_type: Small
    values: pa.Array
    engagements: pa.Array
    starts: Longs
    row_engagement: Ints
    row_value: Ints

    @property
    def value_count(self) -> int:
        """How many distinct values there are."""
        return len(self.value_type)

    @property
    def engagement_count(self) -> int:
        """How many engagements there are, those that carry nothing included."""
        return len(self.starts)

    def find(self, identifier_type: str, value: str) -> int | None:
        """The number of a value; None where no engagement carries it."""
        if identifier_type not in self.types:
            return None
        first, end = np.searchsorted(
            self.value_type,
            [
                self.types.index(identifier_type),
                self.types.index(identifier_type) + 1,
            ],
        )
        found = pc.index(self.values.slice(first, end - first), value).as_py()
        return None if found < 0 else int(first) + int(found)

    def name(self, number: int) -> tuple[str, str]:
        """Type and normalised value."""
        return self.types[self.value_type[number]], self.values[number].as_py()


def gather(engagements: pa.Table, identifiers: pa.Table) -> Evidence:
    """Evidence from engagements and the valid values they carry.

    Args:
        engagements: engagement_id, start_date; one row each, none deleted.
        identifiers: engagement_id, identifier_type, value; rows of engagements that
            are not among those given are left out, repeated rows count once.
    """
    ids = _whole(engagements["engagement_id"])
    starts = pc.cast(_whole(engagements["start_date"]), pa.int64())
    order = pc.sort_indices(
        pa.table({"start": starts, "id": ids}),
        sort_keys=[("start", "ascending"), ("id", "ascending")],
    )
    ids, starts = ids.take(order), starts.take(order)
    row_engagement = pc.index_in(_whole(identifiers["engagement_id"]), value_set=ids)
    known = pc.and_(pc.is_valid(row_engagement), pc.is_valid(identifiers["value"]))
    rows = pa.table(
        {
            "engagement": row_engagement,
            "type": identifiers["identifier_type"],
            "value": identifiers["value"],
        }
    ).filter(known)
    types, value_type, values, row_value = _number(rows["type"], rows["value"])
    pairs = _distinct(_ints(rows["engagement"]), row_value, max(len(values), 1))
    return Evidence(
        types=types,
        value_type=value_type,
        values=values,
        engagements=ids,
        starts=starts.to_numpy(zero_copy_only=False).astype(np.int64),
        row_engagement=pairs[0],
        row_value=pairs[1],
    )


def _number(types: Any, values: Any) -> tuple[tuple[str, ...], Small, pa.Array, Ints]:
    encoded = _whole(types).dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    values = _whole(values)
    numbers = np.zeros(len(values), np.int32)
    kept: list[pa.Array] = []
    kinds: list[Small] = []
    offset = 0
    for position, name in enumerate(sorted(names)):
        mine = codes == names.index(name)
        chosen = values.filter(pa.array(mine))
        distinct = pc.unique(chosen)
        distinct = distinct.take(pc.sort_indices(distinct))
        numbers[mine] = _ints(pc.index_in(chosen, value_set=distinct)) + offset
        kept.append(distinct)
        kinds.append(np.full(len(distinct), position, np.int8))
        offset += len(distinct)
    return (
        tuple(sorted(names)),
        np.concatenate(kinds) if kinds else np.zeros(0, np.int8),
        pa.concat_arrays(kept) if kept else pa.array([], pa.string()),
        numbers,
    )


def _distinct(engagement: Ints, value: Ints, width: int) -> tuple[Ints, Ints]:
    code = np.unique(engagement.astype(np.int64) * width + value)
    return (code // width).astype(np.int32), (code % width).astype(np.int32)


def _whole(column: Any) -> pa.Array:
    """One contiguous array, whatever chunks it came in."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
    return column


def _ints(column: Any) -> Ints:
    whole = _whole(column)
    return whole.to_numpy(zero_copy_only=False).astype(np.int32)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Weights:
    """What the configuration says of each value of some evidence.

    Attributes:
        strength: per value WEAK, STRONG or VERY_STRONG.
        blocked: per value, on the blocklist.
        cap: per type, how many VERY_STRONG values a customer may hold.
        hub_limit: a STRONG value seen with more VERY_STRONG ones proves nothing.
        listed: an engagement with more candidates than this has no list of them.
        crowded: per value, WEAK and known from outside this evidence to be SHARED by
            more customers than are listed.
    """

    strength: Small
    blocked: Bools
    cap: Ints
    hub_limit: int
    listed: int
    crowded: Bools

    @property
    def coded(self) -> Small:
        """Per value 0 blocked, 1 weak, 2 linking."""
        linking = np.where(self.strength == WEAK, 1, 2)
        return np.where(self.blocked, 0, linking).astype(np.int8)


def weigh(
    evidence: Evidence,
    config: IdentityConfig,
    account: str,
    source_strengths: Mapping[str, str],
) -> Weights:
    """Weigh each value by the configuration; the source decides for unlisted types."""
    by_type = [
        STRENGTHS.index(
            config.strengths.get(name) or source_strengths.get(name) or "WEAK"
        )
        for name in evidence.types
    ]
    blocked = np.zeros(evidence.value_count, np.bool_)
    for position, name in enumerate(evidence.types):
        first, end = np.searchsorted(evidence.value_type, [position, position + 1])
        values = evidence.values.slice(first, end - first)
        for blocklist in config.blocklists(account):
            matched = blocklist.match(name, values).to_numpy(zero_copy_only=False)
            blocked[first:end] |= matched
    return Weights(
        strength=np.array(by_type, np.int8)[evidence.value_type],
        blocked=blocked,
        cap=np.array([config.cap(name) for name in evidence.types], np.int32),
        hub_limit=config.hub_limit,
        listed=config.candidates_listed,
        crowded=np.zeros(evidence.value_count, np.bool_),
    )
