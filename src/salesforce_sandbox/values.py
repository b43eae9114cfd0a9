"""Values of fields: from JSON and CSV to what a column holds, and back.

A column holds text, a number, a boolean, a date as ``YYYY-MM-DD`` or an instant in the
one form that the REST API answers, ``YYYY-MM-DDTHH:MM:SS.000+0000``; both sort as text.
Salesforce keeps whole seconds, so fractions are cut. Rules that need other rows
(unique, references) are not here but in ``records``.
"""

from __future__ import annotations

import re
import string
from datetime import UTC, date, datetime
from typing import Any

from salesforce_sandbox.errors import Rejection, parser_error
from salesforce_sandbox.schema import NUMBER_TYPES, TEXT_TYPES, Field

YEARS = range(1700, 4001)
"""The years that a date may have: "Date Field Type" in the object reference."""
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.(\d+))?(Z|[+-]\d{2}:?\d{2})?"
)
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
)
_TOKENS = {
    bool: "VALUE_TRUE",
    int: "VALUE_NUMBER_INT",
    float: "VALUE_NUMBER_FLOAT",
    str: "VALUE_STRING",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}


def show_instant(moment: datetime) -> str:
    """Returns an instant as the REST API writes it, in whole seconds of UTC."""
    plain = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    return f"{plain.isoformat()}.000+0000"


def read_instant(text: str) -> datetime | None:
    """Reads an ISO 8601 instant; None when it is none. No zone means UTC."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    day, clock, _fraction, zone = match.groups()
    zone = "+0000" if zone in {None, "Z"} else str(zone).replace(":", "")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.year in YEARS else None


def read_day(text: str) -> str | None:
    """Reads a date, or the date of an instant; None when it is neither."""
    if _DAY.fullmatch(text):
        try:
            found = date.fromisoformat(text)
        except ValueError:
            return None
        return text if found.year in YEARS else None
    moment = read_instant(text)
    return moment.date().isoformat() if moment else None


def from_json(field: Field, value: Any) -> Any:
    """Turns a JSON value into what the field's column holds.

    Raises:
        ApiError: JSON_PARSER_ERROR, when the value's type does not fit the field's.
    """
    if value is None:
        return None
    kind = _kind(field)
    token = _TOKENS[type(value)]
    if value is False:
        token = "VALUE_FALSE"  # noqa: S105  a JSON token, no secret
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    if kind == "string":
        if not isinstance(value, str):
            raise parser_error("string", token, shown)
        return _text(field, value)
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "double" and isinstance(value, int | float):
        if isinstance(value, bool):
            raise parser_error(field.type, token, shown)
        return _number(field, value)
    if not isinstance(value, str):
        raise parser_error(field.type, token, shown)
    read = _read(kind, field, value)
    if read is None and value != "":
        raise parser_error(field.type, token, shown)
    return read


def from_csv(field: Field, text: str) -> Any:
    """Turns a CSV cell into what the field's column holds.

    Raises:
        Rejection: INVALID_TYPE_ON_FIELD_IN_RECORD, when the text is no such value.
    """
    kind = _kind(field)
    if kind == "string":
        return _text(field, text)
    read = _read(kind, field, text.strip())
    if read is None:
        raise Rejection(
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            f"{field.label}: value not of required type: {text}",
            (field.name,),
        )
    return read


def _kind(field: Field) -> str:
    if field.type in TEXT_TYPES | {"id", "reference"}:
        return "string"
    return "double" if field.type in NUMBER_TYPES else field.type


def _read(kind: str, field: Field, text: str) -> Any:
    if kind == "boolean":
        return {"true": True, "false": False, "1": True, "0": False}.get(text.lower())
    if kind == "date":
        return read_day(text)
    if kind == "datetime":
        moment = read_instant(text)
        if moment is None and _DAY.fullmatch(text):
            moment = read_instant(f"{text}T00:00:00Z")
        return show_instant(moment) if moment else None
    try:
        return _number(field, float(text) if "." in text or "e" in text else int(text))
    except ValueError:
        return None


def _text(field: Field, value: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair is no text, though JSON can spell it.
        token, shown = "VALUE_STRING", "that is not Unicode"
        raise parser_error("string", token, shown) from None
    # The platform trims text and keeps no empty string: it is null.
    cut = value.strip()
    if field.type != "textarea":
        cut = cut.replace("\r\n", " ").replace("\n", " ")
    return cut or None


def _number(field: Field, value: float) -> float:
    try:
        if field.type == "int" or field.scale == 0:
            return round(value)
        return round(float(value), field.scale)
    except OverflowError:
        raise Rejection(
            "NUMBER_OUTSIDE_VALID_RANGE",
            f"{field.label}: value outside of valid range on numeric field",
            (field.name,),
        ) from None


def fold(field: Field, value: Any) -> str:
    """Returns a key as the org compares it: of a to z the case does not count.

    The store compares text in the same way, so that two keys are one here exactly when
    they are one record there.
    """
    text = str(value).strip()
    return text if field.case_sensitive else text.translate(_LOWER)


def check(field: Field, value: Any) -> None:
    """Refuses a value that breaks the field's own limits.

    Raises:
        Rejection: STRING_TOO_LONG, INVALID_EMAIL_ADDRESS,
            INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST or NUMBER_OUTSIDE_VALID_RANGE.
    """
    if value is None:
        return
    if field.type in TEXT_TYPES:
        _check_text(field, value)
    elif field.type in NUMBER_TYPES:
        digits = (field.precision or (9 if field.type == "int" else 18)) - field.scale
        if abs(value) >= 10**digits:
            raise Rejection(
                "NUMBER_OUTSIDE_VALID_RANGE",
                f"{field.label}: value outside of valid range on numeric field: "
                f"{value}",
                (field.name,),
            )


def _check_text(field: Field, value: str) -> None:
    if field.length and len(value) > field.length:
        raise Rejection(
            "STRING_TOO_LONG",
            f"{field.label}: data value too large: {value} (max length={field.length})",
            (field.name,),
        )
    if field.type == "email" and not _EMAIL.fullmatch(value):
        raise Rejection(
            "INVALID_EMAIL_ADDRESS",
            f"{field.label}: invalid email address: {value}",
            (field.name,),
        )
    if field.restricted:
        parts = value.split(";") if field.type == "multipicklist" else [value]
        wrong = [p for p in parts if p not in field.values]
        if wrong:
            raise Rejection(
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                f"{field.label}: bad value for restricted picklist field: {wrong[0]}",
                (field.name,),
            )
