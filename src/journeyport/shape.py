"""The shape of a document, read off the declared tables' source paths.

`participants[].joinedAt` in a declaration says: the document has an array
`participants` of objects with an instant `joinedAt`. From all such paths come the
strict decoder that screens documents. How they are parsed and become rows is said in
`normalise`.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, UnsetType

from journeyport.schema import Kind, Origin
from journeyport.tables import DAILY

EXTRA = "_extra"
"""The field of an object taken apart that holds, as JSON text, what has no column."""

LARGEST = 4_000_000
"""Bytes of the largest document that fits: no engagement of 2 KB grows to that."""

_SORTED = msgspec.json.Encoder(order="deterministic")
_STEP = re.compile(r"\w+|\[\]|\{\}")
_LIMIT = 2**63
_WHOLE = Annotated[int, msgspec.Meta(ge=-_LIMIT, le=_LIMIT - 1)]
_PYTHON: dict[Kind, Any] = {
    Kind.STRING: str,
    Kind.INTEGER: _WHOLE,
    Kind.NUMBER: _WHOLE | float,
    Kind.BOOLEAN: bool,
    Kind.INSTANT: str,
}


@dataclass(frozen=True)
class Leaf:
    """A plain value."""

    kind: Kind


@dataclass(frozen=True)
class Array:
    """A list of like things."""

    item: "Shape"


@dataclass(frozen=True)
class Mapping:
    """An open map: the keys are data."""

    value: "Shape"


@dataclass(frozen=True)
class Struct:
    """An object with known fields."""

    fields: dict[str, "Shape"] = field(default_factory=dict)


Shape = Leaf | Array | Mapping | Struct


@cache
def document() -> Struct:
    """The shape of an engagement document."""
    root = Struct()
    for path, kind in sorted(set(paths())):
        _grow(root, _STEP.findall(path), kind)
    return root


def paths() -> Iterator[tuple[str, Kind]]:
    """The source path and kind of every column that is the source's own."""
    for table in DAILY:
        for column in table.columns:
            is_path = column.source and "(" not in column.source
            if is_path and column.origin is Origin.SOURCE:
                yield column.source, column.kind


def _grow(shape: Struct, steps: list[str], kind: Kind) -> None:
    name, rest = steps[0], steps[1:]
    if not rest:
        shape.fields.setdefault(name, Leaf(kind))
    elif rest[0] == "{}":
        # `identifiers{}` names the keys, `identifiers{}[]` the values of each.
        old = shape.fields.get(name)
        deeper: Shape = Array(Leaf(kind)) if rest[1:] == ["[]"] else Leaf(kind)
        if old is None or isinstance(deeper, Array):
            shape.fields[name] = Mapping(deeper)
    elif rest[0] == "[]":
        if not rest[1:]:
            shape.fields.setdefault(name, Array(Leaf(kind)))
            return
        array = shape.fields.setdefault(name, Array(Struct()))
        if isinstance(array, Array) and isinstance(array.item, Struct):
            _grow(array.item, rest[1:], kind)
    else:
        inner = shape.fields.setdefault(name, Struct())
        if isinstance(inner, Struct):
            _grow(inner, rest, kind)


@cache
def decoder() -> msgspec.json.Decoder[Any]:
    """Accepts a document exactly when it fits the shape with nothing unknown.

    Instants stay texts: they are read column by column. What is not there is UNSET, so
    that `text` is the same as if the document had been read without any shape.
    """
    return msgspec.json.Decoder(_type(document(), "Document", top=True))


def text(read: msgspec.Struct) -> bytes:
    """A document that was read by `decoder`, its keys sorted."""
    return _SORTED.encode(read)


@cache
def taken_apart() -> type:
    """The same for a document whose unknown fields stand in `EXTRA`."""
    return cast("type", _type(document(), "TakenApart", top=True, extra=True))


@cache
def name() -> str:
    """What tells this shape from those of other versions of the tables."""
    return hashlib.sha256(repr((document(), LARGEST)).encode()).hexdigest()[:16]


def _type(shape: Shape, name: str, *, top: bool = False, extra: bool = False) -> Any:
    if isinstance(shape, Leaf):
        return _PYTHON[shape.kind]
    if isinstance(shape, Array):
        return list[_type(shape.item, name, extra=extra) | None]  # type: ignore[misc]
    if isinstance(shape, Mapping):
        return dict[str, _type(shape.value, name) | None]  # type: ignore[misc]
    fields: list[Any] = []
    for key in sorted(shape.fields):
        kind = _type(shape.fields[key], f"{name}_{key}", extra=extra)
        if top and key == "id":
            fields.append((key, Annotated[str, msgspec.Meta(min_length=1)]))
        elif top and key == "startDate":
            fields.append((key, kind))
        else:
            fields.append((key, kind | None | UnsetType, UNSET))
    if extra:
        fields.append((EXTRA, str | UnsetType, UNSET))
    return msgspec.defstruct(
        name,
        fields,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )
