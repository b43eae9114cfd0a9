"""The mapping: which rows become which records, read from YAML and checked by itself.

Whether the CRM agrees with it is asked by `check`; the rows are read by `source`.
"""

import hashlib
import json
from collections.abc import Mapping as MappingOf
from dataclasses import asdict, dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from journeyport.errors import SettingsError

OWN_PREFIX = "JP_"
"""Fields of ours are named so; they are ours to overwrite."""


E = TypeVar("E", bound=Enum)


class Overwrite(Enum):
    """When a field is written over what the CRM holds."""

    ALWAYS = "always"
    EMPTY_ONLY = "empty_only"


class Nulls(Enum):
    """What an empty value of ours does to the field."""

    LEAVE = "leave"
    CLEAR = "clear"


@dataclass(frozen=True)
class FieldRule:
    """One field and where its value comes from."""

    name: str
    expression: str
    overwrite: Overwrite
    nulls: Nulls
    cut: bool


@dataclass(frozen=True)
class ParentRule:
    """One lookup and the external id of the record it points to."""

    name: str
    object_name: str
    key: str


@dataclass(frozen=True)
class MatchRule:
    """A CRM field that may hold an identifier of a customer."""

    field: str
    identifiers: tuple[str, ...]


@dataclass(frozen=True)
class ObjectRule:
    """One object."""

    name: str
    external_id: str
    source: str
    key: str
    creates: bool
    is_customer: bool
    fields: tuple[FieldRule, ...]
    parents: tuple[ParentRule, ...]
    matches: tuple[MatchRule, ...]
    merged_into: str | None
    where: str | None
    retention_column: str | None
    retention_days: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """Every field that is read and may be written, the external id first."""
        merged = (self.merged_into,) if self.merged_into else ()
        return (
            self.external_id,
            *(field.name for field in self.fields),
            *(parent.name for parent in self.parents),
            *merged,
        )


@dataclass(frozen=True)
class Mapping:
    """All objects, parents before children."""

    objects: tuple[ObjectRule, ...]
    accounts: tuple[str, ...]
    """The accounts delivered; empty: all."""

    @cached_property
    def hash(self) -> str:
        """Names this mapping: equal mappings hash equal, comments aside."""
        text = json.dumps(asdict(self), sort_keys=True, default=lambda e: e.value)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def customer(self) -> ObjectRule:
        """The object that stands for a customer."""
        return next(rule for rule in self.objects if rule.is_customer)

    def rule(self, object_name: str) -> ObjectRule | None:
        """The rule of that object; None when it is not mapped."""
        return next((r for r in self.objects if r.name == object_name), None)


def load_mapping(path: Path | None = None) -> Mapping:
    """Read a mapping.

    Args:
        path: a YAML file; None: the packaged one.

    Raises:
        SettingsError: the file cannot be read, or does not say what it must.
    """
    path = path or Path(__file__).with_name("salesforce.yaml")
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    except OSError as error:
        raise SettingsError(
            f"The CRM mapping {path.name} cannot be read ({error.strerror})."
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise SettingsError(f"The CRM mapping {path.name} is no YAML{line}.") from error
    reader = _Reader(path.name)
    return reader.mapping(document)


def mapping_of(body: MappingOf[str, Any]) -> Mapping:
    """The mapping that `asdict` was given, enumerations by their values."""
    return Mapping(
        tuple(_rule(item) for item in body["objects"]), tuple(body["accounts"])
    )


def _rule(item: MappingOf[str, Any]) -> ObjectRule:
    fields = [
        FieldRule(
            **{**f, "overwrite": Overwrite(f["overwrite"]), "nulls": Nulls(f["nulls"])}
        )
        for f in item["fields"]
    ]
    return ObjectRule(
        **{
            **item,
            "fields": tuple(fields),
            "parents": tuple(ParentRule(**p) for p in item["parents"]),
            "matches": tuple(
                MatchRule(m["field"], tuple(m["identifiers"])) for m in item["matches"]
            ),
        }
    )


class _Reader:
    """Reads the document, naming the place of whatever is wrong."""

    def __init__(self, name: str) -> None:
        self._name = name

    def mapping(self, document: Any) -> Mapping:
        known = {"mapping", "crm", "accounts", "person_account", "objects"}
        body = self._keys(document, "", known)
        if body.get("mapping") != 1:
            self._fail("mapping", "must be 1, the version of this file's form")
        objects = self._dict(body.get("objects"), "objects")
        rules = [
            self._object(name, value)
            for name, value in objects.items()
            if self._dict(value, name).get("enabled", True)
        ]
        if body.get("person_account"):
            rules = [_for_person_accounts(rule) for rule in rules]
        customers = [rule.name for rule in rules if rule.is_customer]
        if len(customers) != 1:
            self._fail("objects", "needs exactly one object with `customer: true`")
        accounts = tuple(body.get("accounts") or ())
        return Mapping(self._ordered(rules), accounts)

    def _object(self, name: str, value: Any) -> ObjectRule:
        known = {
            "external_id",
            "source",
            "key",
            "creates",
            "customer",
            "enabled",
            "fields",
            "parents",
            "match",
            "merged_into",
            "where",
            "retention",
        }
        body = self._keys(value, name, known)
        retention = self._keys(
            body.get("retention") or {}, f"{name}.retention", {"column", "days"}
        )
        fields = self._dict(body.get("fields"), f"{name}.fields")
        parents = body.get("parents") or {}
        is_customer = bool(body.get("customer", False))
        if body.get("match") and not is_customer:
            self._fail(f"{name}.match", "is only for the customer object")
        return ObjectRule(
            name=name,
            external_id=self._text(body, "external_id", name),
            source=self._text(body, "source", name),
            key=self._text(body, "key", name),
            creates=bool(body.get("creates", False)),
            is_customer=is_customer,
            fields=tuple(self._field(name, k, v) for k, v in fields.items()),
            parents=tuple(
                self._parent(name, k, v)
                for k, v in self._dict(parents, f"{name}.parents").items()
            ),
            matches=tuple(self._match(name, m) for m in body.get("match") or ()),
            merged_into=body.get("merged_into"),
            where=body.get("where"),
            retention_column=retention.get("column"),
            retention_days=retention.get("days"),
        )

    def _field(self, name: str, field: str, value: Any) -> FieldRule:
        place = f"{name}.{field}"
        if isinstance(value, str):
            value = {"from": value}
        body = self._keys(value, place, {"from", "overwrite", "nulls", "cut"})
        ours = field.startswith(OWN_PREFIX)
        if not ours and "overwrite" not in body:
            self._fail(place, "is a standard field and needs `overwrite`")
        return FieldRule(
            field,
            self._text(body, "from", place),
            self._choice(Overwrite, body.get("overwrite", "always"), place),
            self._choice(Nulls, body.get("nulls", "leave"), place),
            bool(body.get("cut", False)),
        )

    def _parent(self, name: str, field: str, value: Any) -> ParentRule:
        place = f"{name}.{field}"
        body = self._keys(value, place, {"object", "key"})
        return ParentRule(
            field, self._text(body, "object", place), self._text(body, "key", place)
        )

    def _match(self, name: str, value: Any) -> MatchRule:
        place = f"{name}.match"
        body = self._keys(value, place, {"field", "identifiers"})
        kinds = tuple(body.get("identifiers") or ())
        if any("phone" in kind.lower() for kind in kinds):
            self._fail(place, "may not rest on phone numbers: people share them")
        return MatchRule(self._text(body, "field", place), kinds)

    def _ordered(self, rules: list[ObjectRule]) -> tuple[ObjectRule, ...]:
        """Parents before children."""
        names = {rule.name for rule in rules}
        placed: list[ObjectRule] = []
        waiting = list(rules)
        while waiting:
            done = {rule.name for rule in placed}
            ready = [
                rule
                for rule in waiting
                if all(p.object_name in done for p in rule.parents)
            ]
            if not ready:
                unknown = {p.object_name for r in waiting for p in r.parents} - names
                what = ", ".join(sorted(unknown)) or "each other in a circle"
                self._fail("parents", f"name objects that are not mapped: {what}")
            placed.extend(ready)
            waiting = [rule for rule in waiting if rule not in ready]
        return tuple(placed)

    def _choice(self, kind: type[E], value: Any, place: str) -> E:
        try:
            return kind(value)
        except ValueError:
            choices = " or ".join(str(item.value) for item in kind)
            self._fail(place, f"must say {choices}, not {value}")

    def _dict(self, value: Any, place: str) -> MappingOf[str, Any]:
        if not isinstance(value, dict):
            self._fail(place, "must be a mapping")
        return value

    def _keys(self, value: Any, place: str, known: set[str]) -> MappingOf[str, Any]:
        body = self._dict(value, place or "file")
        unknown = sorted(set(body) - known)
        if unknown:
            self._fail(place or "file", f"has keys nobody knows: {', '.join(unknown)}")
        return body

    def _text(self, body: MappingOf[str, Any], key: str, place: str) -> str:
        value = body.get(key)
        if not isinstance(value, str) or not value.strip():
            self._fail(f"{place}.{key}", "is missing")
        return value.strip()

    def _fail(self, place: str, what: str) -> NoReturn:
        raise SettingsError(f"The CRM mapping {self._name}: {place} {what}.")


def _for_person_accounts(rule: ObjectRule) -> ObjectRule:
    """The same rule where people are Accounts: never the Contact half is written.

    https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_guidelines_personaccounts.htm
    """
    names = {"Contact": "Account"}
    lookups = {"JP_Contact__c": "JP_Account__c", "WhoId": "WhatId"}
    return replace(
        rule,
        name=names.get(rule.name, rule.name),
        parents=tuple(
            ParentRule(
                lookups.get(parent.name, parent.name)
                if parent.object_name in names
                else parent.name,
                names.get(parent.object_name, parent.object_name),
                parent.key,
            )
            for parent in rule.parents
        ),
        matches=tuple(
            MatchRule("PersonEmail" if m.field == "Email" else m.field, m.identifiers)
            for m in rule.matches
        ),
    )
