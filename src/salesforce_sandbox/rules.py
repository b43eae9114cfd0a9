"""Validation rules and duplicate rules, declared with the schema, tried on a record.

A validation rule's condition is written like SOQL's WHERE and refuses the record while
it is true; a bare word on the right may name another field of the record.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from salesforce_sandbox import literals
from salesforce_sandbox.errors import Rejection
from salesforce_sandbox.schema import Field, SObject
from salesforce_sandbox.soql import (
    Both,
    Comparison,
    Condition,
    Literal,
    Not,
    Query,
    malformed,
    parse_condition,
)
from salesforce_sandbox.store import Row, Store
from salesforce_sandbox.values import show_instant


@lru_cache(maxsize=256)
def _parsed(condition: str) -> Condition:
    return parse_condition(condition)


def check_validation(sobject: SObject, row: Row, now: datetime) -> None:
    """Refuses a row for which an active rule's condition is true.

    Raises:
        Rejection: FIELD_CUSTOM_VALIDATION_EXCEPTION.
    """
    for rule in sobject.validation_rules:
        if rule.active and holds(_parsed(rule.condition), sobject, row, now):
            fields = (rule.field,) if rule.field else ()
            raise Rejection("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.message, fields)


def holds(condition: Condition, sobject: SObject, row: Row, now: datetime) -> bool:
    """Tells whether a condition is true of a row."""
    if isinstance(condition, Not):
        return not holds(condition.inner, sobject, row, now)
    if isinstance(condition, Both):
        found = (holds(part, sobject, row, now) for part in condition.parts)
        return all(found) if condition.word == "AND" else any(found)
    field = sobject.find(condition.path)
    if field is None:
        raise literals.no_such_column(condition.path, sobject.name)
    return _compare(condition, field, sobject, row, now)


def _compare(
    node: Comparison, field: Field, sobject: SObject, row: Row, now: datetime
) -> bool:
    left = _fold(row.get(field.name))
    if isinstance(node.value, Query):
        msg = "a validation rule cannot hold a query"
        raise malformed(msg)
    if isinstance(node.value, tuple):
        among = left in {_fold(_value(v, field, sobject, row, now)) for v in node.value}
        return among if node.operator == "IN" else not among
    right = _fold(_value(node.value, field, sobject, row, now))
    if node.operator in {"=", "!="}:
        return (left == right) is (node.operator == "=")
    if left is None or right is None:
        return False
    if node.operator == "LIKE":
        pattern = re.escape(right).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, left, re.DOTALL) is not None
    return bool(
        {
            "<": left < right,
            "<=": left <= right,
            ">": left > right,
            ">=": left >= right,
        }[node.operator]
    )


def _value(
    value: Literal, field: Field, sobject: SObject, row: Row, now: datetime
) -> Any:
    if value.kind == "null":
        return None
    if value.kind == "word":
        other = sobject.find(value.value)
        if other is not None:
            return row.get(other.name)
        first, _ = literals.day_range(value.value, now)
        return first.date().isoformat() if field.type == "date" else show_instant(first)
    return literals.literal(field, value)


def _fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def check_duplicates(
    store: Store,
    connection: sa.Connection,
    sobject: SObject,
    row: Row,
    changed: set[str],
    *,
    allow_save: bool,
) -> None:
    """Refuses a row that equals another in all fields of an active rule.

    Args:
        store: The org's rows.
        connection: Where to look for others.
        sobject: The row's object.
        row: The row as it would be.
        changed: Its changed fields; a rule none of whose fields changed is not run.
        allow_save: Whether the caller saves past rules that only alert
            (``Sforce-Duplicate-Rule-Header: allowSave=true``).

    Raises:
        Rejection: DUPLICATES_DETECTED.
    """
    for rule in sobject.duplicate_rules:
        if not rule.active or not changed & set(rule.fields):
            continue
        if rule.action == "report" or (rule.action == "alert" and allow_save):
            continue
        wanted = {name: row.get(name) for name in rule.fields}
        if any(value is None for value in wanted.values()):
            continue
        others = store.find(connection, sobject, wanted)
        if any(other["Id"] != row.get("Id") for other in others):
            raise Rejection("DUPLICATES_DETECTED", "Use one of these records?")
