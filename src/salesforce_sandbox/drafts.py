"""A record as a caller wrote it, before any row is looked at.

A draft holds column values and, for lookups named by a parent's external id, the key to
find the parent by. JSON bodies and CSV lines both end here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from salesforce_sandbox import values
from salesforce_sandbox.errors import ApiError, Rejection, parser_error
from salesforce_sandbox.schema import Field, Schema, SObject

CLEAR = "#N/A"
"""What a CSV cell holds to empty a field; an empty cell leaves the field alone."""


@dataclass(frozen=True, slots=True)
class ParentKey:
    """A parent named by one of its external ids."""

    target: SObject
    field: Field
    value: Any


@dataclass(slots=True)
class Draft:
    """Values by field name, and parents by the lookup's field name."""

    values: dict[str, Any] = field(default_factory=dict)
    parents: dict[str, ParentKey] = field(default_factory=dict)


def no_such_column(name: str, sobject: SObject) -> Rejection:
    """Returns the refusal of a field that the object does not have."""
    return Rejection(
        "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}"
    )


def from_json(schema: Schema, sobject: SObject, body: Mapping[str, Any]) -> Draft:
    """Reads a record from a JSON object.

    Raises:
        Rejection: INVALID_FIELD, for a field or a relationship that does not exist.
        ApiError: JSON_PARSER_ERROR, for a value of another type.
    """
    draft = Draft()
    for name, value in body.items():
        if name == "attributes":
            continue
        found = sobject.find(name)
        if found is not None:
            draft.values[found.name] = values.from_json(found, value)
            continue
        lookup = sobject.find_relationship(name)
        if lookup is None:
            raise no_such_column(name, sobject)
        if value is not None:
            draft.parents[lookup.name] = _parent(schema, lookup, value)
    return draft


def _parent(schema: Schema, lookup: Field, value: Any) -> ParentKey:
    if not isinstance(value, dict):
        raise parser_error("reference", "VALUE_STRING", str(value))
    kind = value.get("attributes", {}).get("type") or lookup.reference_to[0]
    keys = [k for k in value if k != "attributes"]
    if len(keys) != 1 or kind not in lookup.reference_to:
        raise Rejection(
            "INVALID_FIELD",
            f"{lookup.relationship} must name one external ID field of "
            f"{' or '.join(lookup.reference_to)}",
        )
    target, key = parent_key(schema, kind, keys[0])
    return ParentKey(target, key, values.from_json(key, value[keys[0]]))


def parent_key(schema: Schema, kind: str, name: str) -> tuple[SObject, Field]:
    """Returns the parent's object and the field that it is found by.

    Raises:
        Rejection: INVALID_FIELD, when the field is no external id.
    """
    target = schema.objects[kind]
    key = target.find(name)
    if key is None or not (key.external_id or key.name == "Id"):
        raise Rejection(
            "INVALID_FIELD",
            f"Field name provided, {name} does not match an External ID, Salesforce "
            "Id, "
            f"or indexed field for {kind}",
        )
    return target, key


@dataclass(frozen=True, slots=True)
class Column:
    """One CSV column: a field, or a lookup named by a parent's external id."""

    field: Field
    target: SObject | None = None
    key: Field | None = None


def columns(schema: Schema, sobject: SObject, header: Sequence[str]) -> list[Column]:
    """Reads a CSV header; ``JP_Contact__r.JP_Customer_Id__c`` names a parent.

    Raises:
        ApiError: InvalidBatch, for a column that is no field of the object.
    """
    found = []
    for name in header:
        column = _column(schema, sobject, name.strip())
        if column is None:
            message = f"InvalidBatch : Field name not found : {name}"
            raise ApiError(400, "InvalidBatch", message)
        found.append(column)
    return found


def _column(schema: Schema, sobject: SObject, name: str) -> Column | None:
    relationship, dot, rest = name.partition(".")
    if not dot:
        known = sobject.find(name)
        return Column(known) if known else None
    lookup = sobject.find_relationship(relationship)
    if lookup is None:
        return None
    first, dot, second = rest.partition(".")  # Object.Relationship.Field is allowed too
    kind, key_name = (first, second) if dot else (lookup.reference_to[0], first)
    if kind not in lookup.reference_to:
        return None
    key = schema.objects[kind].find(key_name)
    if key is None or not key.external_id:
        return None
    return Column(lookup, schema.objects[kind], key)


def from_csv(header: Sequence[Column], cells: Sequence[str]) -> Draft:
    """Reads a record from a CSV line.

    Raises:
        Rejection: INVALID_TYPE_ON_FIELD_IN_RECORD, for a value of another type.
    """
    draft = Draft()
    for column, cell in zip(header, cells, strict=True):
        if cell == "":
            continue
        if column.target is not None and column.key is not None:
            if cell == CLEAR:
                draft.values[column.field.name] = None
            else:
                key = values.from_csv(column.key, cell)
                draft.parents[column.field.name] = ParentKey(
                    column.target, column.key, key
                )
        else:
            value = None if cell == CLEAR else values.from_csv(column.field, cell)
            draft.values[column.field.name] = value
    return draft
