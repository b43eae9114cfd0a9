"""Names and literals of SOQL beside the schema: what fits, and what the errors say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from salesforce_sandbox import ids
from salesforce_sandbox.errors import ApiError
from salesforce_sandbox.schema import NUMBER_TYPES, TEXT_TYPES, Field
from salesforce_sandbox.soql import Literal, malformed
from salesforce_sandbox.values import read_day, read_instant, show_instant


def no_such_column(name: str, entity: str) -> ApiError:
    """Returns the error for a field that the object does not have."""
    return ApiError(
        400,
        "INVALID_FIELD",
        f"\nERROR at Row:1:Column:1\nNo such column '{name}' on entity '{entity}'. If "
        "you "
        "are attempting to use a custom field, be sure to append the '__c' after the "
        "custom field name. Please reference your WSDL or the describe call for the "
        "appropriate names.",
    )


def invalid_type(name: str) -> ApiError:
    """Returns the error for an object that the org does not have."""
    return ApiError(
        400,
        "INVALID_TYPE",
        f"\nERROR at Row:1:Column:1\nsObject type '{name}' is not supported. If you "
        "are "
        "attempting to use a custom object, be sure to append the '__c' after the "
        "entity "
        "name. Please reference your WSDL or the describe call for the appropriate "
        "names.",
    )


def literal(field: Field, value: Literal) -> Any:
    """Returns a literal as the field's column holds it.

    Raises:
        ApiError: INVALID_FIELD, when the literal is of another type.
    """
    if field.type in {"id", "reference"} and value.kind == "string":
        full = ids.normalise(value.value)
        if full is None:
            message = f"invalid ID field: {value.value}"
            raise ApiError(400, "INVALID_QUERY_FILTER_OPERATOR", message)
        return full
    if field.type in TEXT_TYPES and value.kind == "string":
        return value.value.replace(r"\_", "_").replace(r"\%", "%")
    if field.type in NUMBER_TYPES and value.kind == "number":
        return value.value
    if field.type == "boolean" and value.kind == "boolean":
        return value.value
    if field.type == "datetime" and value.kind == "instant":
        moment = read_instant(value.value)
        if moment is not None:
            return show_instant(moment)
    if field.type == "date" and value.kind == "day":
        return read_day(value.value)
    quoted = "should be" if field.type in TEXT_TYPES else "should not be"
    raise ApiError(
        400,
        "INVALID_FIELD",
        "\nERROR at Row:1:Column:1\nvalue of filter criterion for field "
        f"'{field.name}' "
        f"must be of type {field.type} and {quoted} enclosed in quotes",
    )


def day_range(word: str, now: datetime) -> tuple[datetime, datetime]:
    """Returns the half-open range of UTC days that a date word means.

    Raises:
        ApiError: MALFORMED_QUERY, for a word that this sandbox does not speak.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = timedelta(days=1)
    name, _, count = word.partition(":")
    if name == "TODAY":
        return today, today + day
    if name == "YESTERDAY":
        return today - day, today
    if name == "TOMORROW":
        return today + day, today + 2 * day
    if name == "LAST_N_DAYS" and count:
        return today - int(count) * day, today + day
    if name == "NEXT_N_DAYS" and count:
        return today + day, today + (int(count) + 1) * day
    msg = f"unexpected token: {word}"
    raise malformed(msg)
