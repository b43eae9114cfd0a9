"""The field policy: what of a document is stored, decided per field before storing.

Pure, apart from reading the YAML file. The packaged default is `field_policy.yaml`.
"""

import hashlib
import hmac
import operator
from collections import Counter
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import orjson
import yaml
from msgspec import UNSET

from journeyport.errors import SettingsError

ACTIONS = ("keep", "drop", "hash", "redact")
REDACTED = "[redacted]"

_LIST, _ANY = "[]", "{}"


@dataclass
class _Node:
    action: str | None = None
    children: dict[str, "_Node"] = field(default_factory=dict)


@dataclass(frozen=True)
class FieldPolicy:
    """Actions by path.

    Attributes:
        fields: path to action, as in the YAML file.
        key: under which values are hashed; needed where an action is "hash".
        data_keys: keys of `data` to keep beside those `fields` names.

    Raises:
        SettingsError: a path or an action makes no sense, or the key is missing.
    """

    fields: tuple[tuple[str, str], ...]
    key: bytes = field(default=b"", repr=False)
    data_keys: tuple[str, ...] = ()
    _root: _Node = field(default_factory=_Node, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rules = (*self.fields, *((f"data.{name}", "keep") for name in self.data_keys))
        for path, action in rules:
            if action not in ACTIONS:
                raise SettingsError(
                    f"The field policy says {action!r} of {path}; "
                    f"{', '.join(ACTIONS)} are what it can say."
                )
            if action == "hash" and not self.key:
                raise SettingsError(
                    f"The field policy hashes {path} and there is no key to hash with; "
                    "give one, or drop the field."
                )
            node = self._root
            for part in _parts(path):
                node = node.children.setdefault(part, _Node())
            node.action = action
        _prune(self._root)

    @cached_property
    def leaves_shape(self) -> bool:
        """Whether what fits the declared shape still does so under the policy."""
        needed = {"id", "startDate", _ANY}
        return all(
            action == "keep" or (action == "drop" and path not in needed)
            for path, action in self.fields
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the rules; the key is not part of it."""
        rules = [sorted(self.fields), sorted(self.data_keys)]
        return hashlib.sha256(orjson.dumps(rules)).hexdigest()

    def apply(self, document: Any, dropped: Counter[str]) -> Any:
        """The document as it may be stored; counts what was dropped, by path.

        It is a tree of JSON, or read into the declared shape.
        """
        return self._apply(self._root, document, "", dropped)

    def _apply(self, node: _Node, value: Any, path: str, dropped: Counter[str]) -> Any:
        """The value itself where the policy changes nothing in it; else a copy."""
        children = node.children
        if not children:
            return value
        if isinstance(value, msgspec.Struct):
            there = _fields(value)
            kept = self._apply_map(children, there, path, dropped)
            return value if kept is there else _like(value, kept)
        if isinstance(value, dict):
            return self._apply_map(children, value, path, dropped)
        if isinstance(value, list) and _LIST in children:
            child = children[_LIST]
            outcomes = [self._one(child, v, f"{path}{_LIST}", dropped) for v in value]
            if all(map(operator.is_, outcomes, value)):
                return value
            return [outcome for outcome in outcomes if outcome is not _DROPPED]
        return value

    def _apply_map(
        self,
        children: dict[str, _Node],
        value: dict[str, Any],
        path: str,
        dropped: Counter[str],
    ) -> dict[str, Any]:
        some = value if _ANY in children else [n for n in children if n in value]
        kept = value
        for name in some:
            exact = name in children
            node = children[name if exact else _ANY]
            below = f"{path}.{name}" if exact else f"{path}{_ANY}"
            inner = value[name]
            outcome = self._one(node, inner, below.lstrip("."), dropped)
            if outcome is inner:
                continue
            if kept is value:
                kept = dict(value)
            if outcome is _DROPPED:
                del kept[name]
            else:
                kept[name] = outcome
        return kept

    def _one(self, node: _Node, value: Any, path: str, dropped: Counter[str]) -> Any:
        if value is None or node.action in {None, "keep"}:
            return self._apply(node, value, path, dropped)
        if node.action == "drop":
            dropped[path] += 1
            return _DROPPED
        if node.action == "redact":
            return REDACTED
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


_DROPPED = object()


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    """What is there of a document read into the declared shape, by name."""
    sent = ((name, getattr(value, name)) for name in value.__struct_fields__)
    return {name: inner for name, inner in sent if inner is not UNSET}


def _like(value: msgspec.Struct, fields: dict[str, Any]) -> msgspec.Struct:
    made = copy(value)
    for name in value.__struct_fields__:
        setattr(made, name, fields.get(name, UNSET))
    return made


def _prune(node: _Node) -> bool:
    """Leave out what only keeps what would be kept anyway; whether anything is left.

    Beside a rule for every other key, a key that is kept has to be named.
    """
    left = {name: _prune(child) for name, child in node.children.items()}
    if not left.get(_ANY):
        node.children = {name: node.children[name] for name in left if left[name]}
    return bool(node.children) or node.action not in {None, "keep"}


def load_policy(
    path: Path | None = None, *, key: bytes = b"", data_keys: tuple[str, ...] = ()
) -> FieldPolicy:
    """Read a field policy; the packaged one without a path.

    Raises:
        SettingsError: the file cannot be read or is no field policy.
    """
    name = "the packaged field policy" if path is None else f"the field policy {path}"
    try:
        text = (
            path.read_text(encoding="utf-8")
            if path is not None
            else resources.files("journeyport.extract")
            .joinpath("field_policy.yaml")
            .read_text(encoding="utf-8")
        )
        body = yaml.safe_load(text)
        fields = tuple((str(at), str(what)) for at, what in body["fields"].items())
    except OSError as error:
        raise SettingsError(f"{name} cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise SettingsError(
            f"{name} holds no `fields` with an action for each path; the packaged "
            "field_policy.yaml shows the form."
        ) from None
    return FieldPolicy(fields, key, data_keys)


def _parts(path: str) -> list[str]:
    parts = [
        part
        for part in path.replace(_LIST, f".{_LIST}")
        .replace(_ANY, f".{_ANY}")
        .split(".")
        if part
    ]
    if not parts:
        raise SettingsError("The field policy has an empty path; name a field.")
    return parts
