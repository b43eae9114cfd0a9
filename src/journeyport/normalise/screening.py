"""Documents looked at one by one, before they are parsed in columns.

Most fit the shape and pass one strict decode as they are. The rest are taken apart and
written anew: what has no column goes to `_extra`, odd instants are written plainly, and
what is no engagement at all is rejected with the reason.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from journeyport.normalise.shape import (
    EXTRA,
    Array,
    Leaf,
    Mapping,
    Shape,
    Struct,
    decoder,
    document,
)
from journeyport.normalise.values import canonical, instant
from journeyport.schema import Kind

MAX_BYTES = 4_000_000
"""A document larger than this is rejected: no engagement of 2 KB grows to that."""

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
        drift: what is new to us, counted by name.
    """

    anew: dict[int, str] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    drift: Counter[str] = field(default_factory=Counter)

    def take_apart(
        self, place: int, payload: bytes | memoryview | None, account_id: str
    ) -> None:
        """Write a document anew, or say why it is none."""
        try:
            self.anew[place] = _taken_apart(payload, account_id, self.drift)
        except _RejectedError as rejected:
            self.faults[place] = rejected.fault


class _RejectedError(Exception):
    def __init__(self, code: str, path: str, reason: str) -> None:
        super().__init__(code)
        self.fault = Fault(code, path, reason)


def screen(payloads: Iterable[bytes | memoryview | None], account_id: str) -> Screened:
    """Look at documents; take apart those that do not fit as they are.

    Args:
        payloads: JSON texts.
        account_id: whose they have to be.
    """
    done = Screened()
    strict = decoder().decode
    own = (None, account_id)
    for place, payload in enumerate(payloads):
        try:
            if payload is None or len(payload) > MAX_BYTES:
                pass
            elif strict(payload).accountId in own:
                continue
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass  # taken apart below, where the reason is found
        done.take_apart(place, payload, account_id)
    return done


def _account_fits(sent: str | None, account_id: str) -> bool:
    return sent is None or sent.lower() == account_id.lower()


def _taken_apart(
    payload: bytes | memoryview | None, account_id: str, drift: Counter[str]
) -> str:
    if payload is None:
        raise _RejectedError("NO_PAYLOAD", "", "Raw holds no document.")
    if len(payload) > MAX_BYTES:
        raise _RejectedError(
            "TOO_LARGE", "", f"The document has more than {MAX_BYTES:,} bytes."
        )
    sent = _loaded(payload)
    if not isinstance(sent, dict):
        raise _RejectedError("NOT_AN_OBJECT", "", "The document is no JSON object.")
    _check_essentials(sent, account_id)
    seen: Counter[str] = Counter()
    plain = _struct(sent, document(), "", seen)
    drift.update(seen)
    return orjson.dumps(plain).decode()


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
    return _struct(_checked(sent, dict, path, "an object"), shape, path, seen)


def _struct(
    sent: dict[str, Any], shape: Struct, path: str, seen: Counter[str]
) -> dict[str, Any]:
    sent = _without_aliases(sent, path)
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in sent.items():
        here = f"{path}.{key}" if path else key
        inner = shape.fields.get(key)
        if inner is None:
            extra[key] = value
            seen[f"unknown field {here}"] += 1
        elif isinstance(inner, Leaf) and _is_no_instant(inner, value):
            extra[key] = value
            seen[f"no instant in {here}"] += 1
        else:
            known[key] = _value(value, inner, here, seen)
            if isinstance(inner, Struct) and known[key]:
                # Only objects in arrays have a row, and so an `extra`, of their own.
                inside = known[key].pop(EXTRA, None)
                if inside is not None:
                    extra[key] = orjson.loads(inside)
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


def _is_no_instant(shape: Leaf, value: Any) -> bool:
    return (
        shape.kind is Kind.INSTANT and isinstance(value, str) and instant(value) is None
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
