"""The contract's limits on what callers send, as checks that collect violations.

Each check answers the value in the form the service works with; whatever is wrong is
added to the list and refused at the end, all of it at once. No message repeats a value.
Which body takes which checks is in bodies.py.
"""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson

from customer_journey.instants import parse_instant
from customer_journey.problems import Problem

REQUIRED = 1001
WRONG_TYPE = 1002
NOT_ALLOWED = 1003
TOO_SHORT = 1004
TOO_LONG = 1005
MALFORMED = 1006
NOT_A_DATE = 1007
NOT_UNIQUE = 1008
TOO_DEEP = 1009
HAS_NUL = 1010
EXISTS = 1011

#: Deeper JSON than this is nobody's engagement.
DEEPEST = 64
#: The longest identifier name there is.
LONGEST_NAME = 50
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
ACCOUNT = re.compile(r"[a-zA-Z]{6}", re.ASCII)
NAME = re.compile(r"[a-zA-Z0-9_.]+", re.ASCII)
#: Values of these names are at least three characters long, others at least one.
OUT_OF_THE_BOX = frozenset({"phoneNumbers", "emailAddresses", "accountIds"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_ABSENT = object()

Values = dict[str, list[str]]


class Check:
    """One request's checks; ``done`` raises what they found.

    Args:
        fields: the JSON object, or the query, that is looked at.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.violations: list[dict[str, Any]] = []

    def add(self, field: str, message: str, code: int) -> None:
        """Note one violation."""
        self.violations.append({"field": field, "message": message, "code": code})

    def done(self) -> None:
        """Refuse the request when anything was wrong."""
        if self.violations:
            count = len(self.violations)
            what = "1 field is" if count == 1 else f"{count} fields are"
            raise Problem(400, f"{what} not valid.", self.violations)

    def has(self, name: str) -> bool:
        """True when the field was sent, be it null."""
        return name in self.fields

    def _take(self, name: str, *, required: bool, nullable: bool) -> Any:
        value = self.fields.get(name, _ABSENT)
        if value is _ABSENT:
            if required:
                self.add(name, "is required", REQUIRED)
            return None
        if value is None and not nullable:
            self.add(name, "must not be null", WRONG_TYPE)
        return value

    def string(
        self,
        name: str,
        least: int,
        most: int,
        *,
        required: bool = False,
        nullable: bool = False,
        pattern: re.Pattern[str] | None = None,
    ) -> str | None:
        """A text of a given length."""
        value = self._take(name, required=required, nullable=nullable)
        if value is None:
            return None
        return self.text(name, value, least, most, pattern=pattern)

    def text(
        self,
        field: str,
        value: Any,
        least: int,
        most: int,
        *,
        pattern: re.Pattern[str] | None = None,
    ) -> str | None:
        """The same, for a value that was taken already."""
        if not isinstance(value, str):
            self.add(field, "must be a string", WRONG_TYPE)
        elif len(value) < least:
            self.add(field, f"must have at least {least} characters", TOO_SHORT)
        elif len(value) > most:
            self.add(field, f"must have at most {most} characters", TOO_LONG)
        elif pattern is not None and not pattern.fullmatch(value):
            self.add(field, "does not have the form it must have", MALFORMED)
        elif "\x00" in value:
            self.add(field, "must not hold a NUL character", HAS_NUL)
        else:
            return value
        return None

    def one_of(
        self, name: str, allowed: tuple[str, ...], *, required: bool = False
    ) -> str | None:
        """One of a few words."""
        value = self._take(name, required=required, nullable=False)
        if value is None:
            return None
        if not isinstance(value, str) or value not in allowed:
            self.add(name, f"must be one of {', '.join(allowed)}", NOT_ALLOWED)
            return None
        return value

    def instant(
        self, name: str, *, required: bool = False, nullable: bool = False
    ) -> int | None:
        """A date-time, as microseconds since 1970."""
        value = self._take(name, required=required, nullable=nullable)
        if value is None:
            return None
        instant = parse_instant(value) if isinstance(value, str) else None
        if instant is None:
            self.add(name, "must be an RFC 3339 date-time", NOT_A_DATE)
        return instant

    def integer(self, name: str, least: int, most: int, default: int) -> int:
        """A whole number of the query string."""
        value = self.fields.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or not _INTEGER.fullmatch(value):
            self.add(name, "must be a whole number", WRONG_TYPE)
            return default
        number = int(value)
        if number < least:
            self.add(name, f"must be at least {least}", TOO_SHORT)
        elif number > most:
            self.add(name, f"must be at most {most}", TOO_LONG)
        return number

    def strings(
        self,
        name: str,
        counts: tuple[int, int],
        lengths: tuple[int, int],
        *,
        unique: bool = False,
    ) -> list[str] | None:
        """A list of texts."""
        value = self._take(name, required=False, nullable=False)
        if value is None:
            return None
        return self.texts(name, value, counts, lengths, unique=unique)

    def texts(
        self,
        field: str,
        value: Any,
        counts: tuple[int, int],
        lengths: tuple[int, int],
        *,
        unique: bool = False,
    ) -> list[str]:
        """The same, for a value that was taken already."""
        if not isinstance(value, list):
            self.add(field, "must be a list", WRONG_TYPE)
            return []
        if len(value) < counts[0]:
            self.add(field, f"must have at least {counts[0]} entries", TOO_SHORT)
        elif len(value) > counts[1]:
            self.add(field, f"must have at most {counts[1]} entries", TOO_LONG)
            return []
        found = [
            self.text(f"{field}[{place}]", entry, *lengths)
            for place, entry in enumerate(value)
        ]
        texts = [text for text in found if text is not None]
        if unique and len(set(texts)) < len(texts):
            self.add(field, "must not name anything twice", NOT_UNIQUE)
        return texts

    def identifiers(self, name: str, *, required: bool = False) -> Values | None:
        """A map of identifier names to values."""
        value = self._take(name, required=required, nullable=False)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.add(name, "must be an object", WRONG_TYPE)
            return None
        if not value:
            self.add(name, "must not be empty", TOO_SHORT)
        elif len(value) > 10:
            self.add(name, "must have at most 10 names", TOO_LONG)
        else:
            return {
                key: self._values(name, key, listed)
                for key, listed in value.items()
                # no longer name can be configured, so nothing is ever held under one
                if len(key) <= LONGEST_NAME
            }
        return None

    def _values(self, name: str, key: str, listed: Any) -> list[str]:
        # a name the caller chose is not repeated: it could be anything
        field = f"{name}.{key}" if NAME.fullmatch(key) else f"{name}.*"
        least = 3 if key in OUT_OF_THE_BOX else 1
        return self.texts(field, listed, (0, 5), (least, 256))

    def data(self, name: str) -> dict[str, str] | None:
        """A map of up to twenty keys to texts."""
        value = self._take(name, required=False, nullable=False)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.add(name, "must be an object", WRONG_TYPE)
            return None
        if len(value) > 20:
            self.add(name, "must have at most 20 keys", TOO_LONG)
            return None
        kept = {}
        for key, entry in value.items():
            if len(key) > 64 or "\x00" in key:
                self.add(f"{name}.*", "a key must have at most 64 characters", TOO_LONG)
                continue
            text = self.text(f"{name}.*", entry, 3, 1024)
            if text is not None:
                kept[key] = text
        return kept


def json_body(raw: bytes, content_type: str) -> Any:
    """The JSON a body holds; refuses other media types, broken or too deep JSON."""
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind != "application/json" and not (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        raise Problem(415, "The body must be application/json.")
    charset = parameters.partition("charset=")[2].strip().strip('"').lower()
    if charset not in ("", "utf-8", "utf8"):
        raise Problem(415, "The body must be in UTF-8.")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as wrong:
        problem = {
            "field": "body",
            "message": "must be one JSON value in UTF-8",
            "code": MALFORMED,
        }
        raise Problem(400, "The body is not valid JSON.", [problem]) from wrong
    _check_tree(body)
    return body


def _check_tree(body: Any) -> None:
    level = [body]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str) and "\x00" in value:
                _refuse_body("must not hold a NUL character", HAS_NUL)
        if not below:
            return
        level = below
    _refuse_body(f"must not be nested deeper than {DEEPEST}", TOO_DEEP)


def _refuse_body(message: str, code: int) -> NoReturn:
    violation = {"field": "body", "message": message, "code": code}
    raise Problem(400, f"The body {message}.", [violation])
