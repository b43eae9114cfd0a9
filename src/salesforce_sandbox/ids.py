"""Record ids: fifteen case-sensitive characters, and three that make them case-safe.

The three-character suffix encodes which letters are upper case, as described under "ID
Field Type" of Salesforce's object reference.
"""

from __future__ import annotations

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
POD = "Sb0"
"""The characters after the key prefix: this org's place, the same in all its ids."""


def make(prefix: str, number: int) -> str:
    """Returns the 18-character id of an object's ``number``-th record."""
    digits = ""
    for _ in range(9):
        number, rest = divmod(number, 62)
        digits = DIGITS[rest] + digits
    return long_form(f"{prefix}{POD}{digits}")


def long_form(short: str) -> str:
    """Returns the 18-character form of a 15-character id."""
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(
            1 << i for i, c in enumerate(short[start : start + 5]) if c.isupper()
        )
        suffix += _SUFFIX[bits]
    return short + suffix


def normalise(text: str) -> str | None:
    """Returns the 18-character form of an id, or None when it is none."""
    if len(text) not in {15, 18} or not (text.isascii() and text.isalnum()):
        return None
    full = long_form(text[:15])
    return full if len(text) == 15 or full == text else None
