"""Values on their way to the CRM: written as fields want them, compared as it keeps.

Salesforce trims texts, keeps no empty ones, keeps instants to the second and numbers to
the field's scale; two values that it keeps alike must compare alike here, or each night
would write them again.
"""

import math
import re
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from journeyport.crm.protocol import Field, Value

NUMBERS = frozenset({"int", "double", "currency", "percent"})

_BREAK = re.compile(r"[\r\n]+")
"""Only text areas keep line breaks."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class UnfitError(ValueError):
    """A value that the field cannot take; the text holds no value.

    Args:
        code: the code the CRM would answer.
        reason: the reason in words.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def written(field: Field, value: Any, *, cut: bool = False) -> Value:
    """The value as the field wants it; None where there is nothing to write.

    Args:
        field: what the CRM says about the field.
        value: a value of the lake.
        cut: shorten a text that is too long.

    Raises:
        UnfitError: the CRM would refuse it.
    """
    if value is None:
        return None
    if field.type == "boolean":
        return _boolean(value)
    if field.type in NUMBERS:
        return _number(field, value)
    if field.type == "datetime":
        return _instant(value)
    if field.type == "date":
        return _date(value)
    return _text(field, value, cut)


def kept(field: Field, value: Any) -> Value:
    """The value as the CRM keeps it, so that equal ones compare equal."""
    if value is None or value == "":
        return None
    if field.type in NUMBERS and isinstance(value, int | float):
        return _rounded(field, value)
    if field.type == "datetime" and isinstance(value, str):
        return _instant(value)
    if isinstance(value, str):
        return value.replace("\r\n", "\n").strip() or None
    return value if isinstance(value, bool | int | float) else str(value)


def same(field: Field, left: Any, right: Any) -> bool:
    """Whether the CRM keeps both alike."""
    if field.type == "boolean":
        return bool(left) == bool(right)
    if field.type == "reference":
        return str(left or "")[:15] == str(right or "")[:15]
    return kept(field, left) == kept(field, right)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool | int):
        return bool(value)
    raise UnfitError("INVALID_TYPE", "The mapped value is no truth value.")


def _number(field: Field, value: Any) -> Value:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise UnfitError("INVALID_TYPE", "The mapped value is no number.")
    if not math.isfinite(value):
        raise UnfitError("NUMBER_OUTSIDE_VALID_RANGE", "It is no finite number.")
    number = _rounded(field, value)
    whole = field.precision - field.scale
    if field.type != "int" and field.precision and abs(number) >= 10**whole:
        raise UnfitError(
            "NUMBER_OUTSIDE_VALID_RANGE", f"It has more than {whole} digits."
        )
    if field.type == "int" and abs(number) >= 2**31:
        raise UnfitError("NUMBER_OUTSIDE_VALID_RANGE", "It is no 32-bit whole number.")
    return number


def _rounded(field: Field, value: float | Decimal) -> int | float:
    step = Decimal(1).scaleb(-(0 if field.type == "int" else field.scale))
    number = Decimal(str(value)).quantize(step, ROUND_HALF_UP)
    return int(number) if number == number.to_integral_value() else float(number)


def _instant(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise UnfitError(
                "INVALID_TYPE", "The mapped value is no instant."
            ) from None
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, date):
        aware = datetime.combine(value, time(), UTC)
    else:
        raise UnfitError("INVALID_TYPE", "The mapped value is no instant.")
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _date(value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise UnfitError("INVALID_TYPE", "The mapped value is no date.")


def _text(field: Field, value: Any, cut: bool) -> str | None:
    if isinstance(value, datetime):
        value = _instant(value)
    text = _CONTROL.sub("", str(value)).replace("\r\n", "\n").strip()
    if field.type != "textarea":
        text = _BREAK.sub(" ", text)
    if field.length and len(text) > field.length:
        if not cut:
            raise UnfitError(
                "STRING_TOO_LONG",
                f"The text has more than the field's {field.length} characters; "
                "lengthen the field or set `cut: true` in the mapping.",
            )
        text = text[: field.length].rstrip()
    if field.choices and text and text not in field.choices:
        raise UnfitError(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "The value is none of the picklist's; add it there or map it.",
        )
    return text or None
