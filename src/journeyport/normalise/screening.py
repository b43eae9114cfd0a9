"""Documents looked at one by one, before they are parsed in columns.

Most fit the shape, as landing saw already or one strict decode finds here. The rest are
taken apart and written anew: what has no column goes to `_extra`, odd instants are
written plainly, and what is no engagement at all is rejected with the reason.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
from msgspec import UNSET

from journeyport.normalise.values import canonical, instant
from journeyport.schema import Kind
from journeyport.shape import (
    EXTRA,
    LARGEST,
    Array,
    Leaf,
    Mapping,
    Shape,
    Struct,
    decoder,
    document,
    taken_apart,
)

_ALIASES = {"agentNotes[]": {"text": "note"}}
"""Names the source's own examples use for a field: path, then alias and field."""


@dataclass(frozen=True)
class Fault:
    """Why a document is no engagement.

    Attributes:
        code: a short code.
        field: the path in the document; empty: the whole.
        reason: in words, without any value.
    """

    code: str
    field: str
    reason: str


@dataclass
class Screened:
    """What came of a batch.

    Attributes:
        anew: documents that did not fit as they were, written anew, by position.
        faults: of those that are no engagements, by position in the batch.
        new: what is new to us in those written anew, counted by name, by position.
    """

    anew: dict[int, str] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    new: dict[int, Counter[str]] = field(default_factory=dict)

    @property
    def drift(self) -> Counter[str]:
        """What is new to us in all of them."""
        drift: Counter[str] = Counter()
        for one in self.new.values():
            drift.update(one)
        return drift

    def take_apart(
        self,
        place: int,
        payload: bytes | memoryview | None,
        account_id: str,
        *,
        wholly: bool = True,
    ) -> None:
        """Write a document anew, or say why it is none.

        Args:
            place: its position in the batch.
            payload: its text.
            account_id: whose it has to be.
            wholly: look at every value; else only at names, where that is enough.
        """
        seen: Counter[str] = Counter()
        try:
            self.anew[place] = _taken_apart(payload, account_id, seen, wholly)
            self.new[place] = seen
        except _RejectedError as rejected:
            self.faults[place] = rejected.fault


_Inside = Callable[[Any, Shape, str, Counter[str]], Any]
"""What makes the value of a field of one that was sent, by shape and path."""


class _RejectedError(Exception):
    def __init__(self, code: str, path: str, reason: str) -> None:
        super().__init__(code)
        self.fault = Fault(code, path, reason)


def screen(
    payloads: Iterable[tuple[int, bytes | memoryview | None]], account_id: str
) -> Screened:
    """Look at documents; take apart those that do not fit as they are.

    Args:
        payloads: JSON texts, each with its position in the batch.
        account_id: whose they have to be.
    """
    done = Screened()
    strict = decoder().decode
    own = (None, UNSET, account_id)
    for place, payload in payloads:
        try:
            if payload is None or len(payload) > LARGEST:
                pass
            elif strict(payload).accountId in own:
                continue
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass  # taken apart below, where the reason is found
        done.take_apart(place, payload, account_id, wholly=False)
    return done


def _account_fits(sent: str | None, account_id: str) -> bool:
    return sent is None or sent.lower() == account_id.lower()


def _taken_apart(
    payload: bytes | memoryview | None,
    account_id: str,
    seen: Counter[str],
    wholly: bool,
) -> str:
    if payload is None:
        raise _RejectedError("NO_PAYLOAD", "", "Raw holds no document.")
    if len(payload) > LARGEST:
        raise _RejectedError(
            "TOO_LARGE", "", f"The document has more than {LARGEST:,} bytes."
        )
    sent = _loaded(payload)
    if not isinstance(sent, dict):
        raise _RejectedError("NOT_AN_OBJECT", "", "The document is no JSON object.")
    _check_essentials(sent, account_id)
    plain = None if wholly else _by_names(sent, seen)
    if plain is None:
        seen.clear()
        plain = _struct(sent, document(), "", seen, _value)
    return orjson.dumps(plain).decode()


def _by_names(sent: dict[str, Any], seen: Counter[str]) -> dict[str, Any] | None:
    """What has no column put aside; None where the values have to be looked at, too."""
    plain = _struct(sent, document(), "", seen, _inner)
    try:
        msgspec.convert(plain, taken_apart())
    except msgspec.ValidationError:
        return None
    return plain


def _loaded(payload: bytes | memoryview) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        pass
    try:
        # Half a surrogate pair is legal in JSON and no text anywhere else: it becomes
        # a question mark here; the document in raw keeps it.
        plain = json.dumps(json.loads(bytes(payload)), ensure_ascii=False)
        return orjson.loads(plain.encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise _RejectedError(
            "NOT_JSON", "", "The document is not readable as JSON."
        ) from error


def _check_essentials(sent: dict[str, Any], account_id: str) -> None:
    if not isinstance(sent.get("id"), str) or not sent["id"]:
        raise _RejectedError("NO_ID", "id", "The document has no id.")
    start = sent.get("startDate")
    if start is None:
        raise _RejectedError(
            "NO_START_DATE", "startDate", "The document has no startDate."
        )
    if not isinstance(start, str) or instant(start) is None:
        raise _RejectedError(
            "BAD_START_DATE", "startDate", "startDate is no instant of ISO 8601."
        )
    account = sent.get("accountId")
    if account is not None and (
        not isinstance(account, str) or not _account_fits(account, account_id)
    ):
        raise _RejectedError(
            "OTHER_ACCOUNT", "accountId", "The document belongs to another account."
        )


def _value(sent: Any, shape: Shape, path: str, seen: Counter[str]) -> Any:
    """A value, each of its own looked at."""
    if sent is None:
        return None
    if isinstance(shape, Leaf):
        return _leaf(sent, shape.kind, path)
    if isinstance(shape, Array):
        return [
            _value(item, shape.item, f"{path}[]", seen)
            for item in _checked(sent, list, path, "a list")
        ]
    if isinstance(shape, Mapping):
        entries = _checked(sent, dict, path, "a map")
        return {
            key: _value(item, shape.value, f"{path}{{}}", seen)
            for key, item in entries.items()
        }
    return _struct(_checked(sent, dict, path, "an object"), shape, path, seen, _value)


def _inner(sent: Any, shape: Shape, path: str, seen: Counter[str]) -> Any:
    """A value as it is, objects within it apart from what has no column."""
    if isinstance(shape, Struct):
        there = isinstance(sent, dict)
        return _struct(sent, shape, path, seen, _inner) if there else sent
    if isinstance(shape, Array) and isinstance(shape.item, Struct):
        path = f"{path}[]"
        there = isinstance(sent, list)
        return [_inner(one, shape.item, path, seen) for one in sent] if there else sent
    return sent


def _struct(
    sent: dict[str, Any], shape: Struct, path: str, seen: Counter[str], inside: _Inside
) -> dict[str, Any]:
    sent = _without_aliases(sent, path)
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in sent.items():
        inner = shape.fields.get(key)
        here = f"{path}.{key}" if path else key
        if inner is None:
            extra[key] = value
            seen[f"unknown field {here}"] += 1
        elif inside is _value and _is_no_instant(inner, value):
            extra[key] = value
            seen[f"no instant in {here}"] += 1
        else:
            known[key] = inside(value, inner, here, seen)
            if isinstance(inner, Struct) and isinstance(known[key], dict):
                # Only objects in arrays have a row, and so an `extra`, of their own.
                apart = known[key].pop(EXTRA, None)
                if apart is not None:
                    extra[key] = orjson.loads(apart)
    if extra:
        known[EXTRA] = orjson.dumps(extra, option=orjson.OPT_SORT_KEYS).decode()
    return known


def _without_aliases(sent: dict[str, Any], path: str) -> dict[str, Any]:
    names = _ALIASES.get(path, {})
    if not any(alias in sent for alias in names):
        return sent
    renamed = dict(sent)
    for alias, name in names.items():
        if alias in renamed and renamed.get(name) in (None, renamed[alias]):
            renamed[name] = renamed.pop(alias)
    return renamed


def _is_no_instant(shape: Shape, value: Any) -> bool:
    return (
        isinstance(shape, Leaf)
        and shape.kind is Kind.INSTANT
        and isinstance(value, str)
        and instant(value) is None
    )


def _leaf(sent: Any, kind: Kind, path: str) -> Any:
    if kind is Kind.INSTANT:
        moment = instant(_checked(sent, str, path, "a text"))
        return None if moment is None else canonical(moment)
    if kind is Kind.INTEGER:
        if isinstance(sent, float) and sent.is_integer():
            sent = int(sent)
        if (
            isinstance(sent, bool)
            or not -(2**63) <= _checked(sent, int, path, "a whole number") < 2**63
        ):
            raise _wrong(path, "a whole number of 64 bits")
        return sent
    if kind is Kind.NUMBER:
        return float(_checked(sent, (int, float), path, "a number"))
    if kind is Kind.BOOLEAN:
        return _checked(sent, bool, path, "true or false")
    return _checked(sent, str, path, "a text")


def _checked(sent: Any, kind: type | tuple[type, ...], path: str, words: str) -> Any:
    if not isinstance(sent, kind):
        raise _wrong(path, words)
    return sent


def _wrong(path: str, words: str) -> _RejectedError:
    return _RejectedError("WRONG_TYPE", path, f"{path} is not {words}.")
