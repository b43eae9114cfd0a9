"""SOQL, read into a tree: the subset that the sandbox speaks.

``SELECT`` with fields, parent fields, ``COUNT()``, aggregates and ``FIELDS(ALL)``;
``FROM``; ``WHERE`` with ``= != <> < <= > >= IN NOT IN LIKE INCLUDES EXCLUDES``, ``AND
OR NOT``, semi-joins, null, dates, instants and date words; ``GROUP BY``; ``ORDER BY``
with ``NULLS``; ``LIMIT``; ``OFFSET``; ``ALL ROWS``. Child sub-queries in SELECT are
not. What fields mean, and the SQL, is in ``query``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from salesforce_sandbox.errors import ApiError

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<instant>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2}))
    | (?P<day>\d{4}-\d{2}-\d{2})
    | (?P<number>[+-]?\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*(?::\d+)?)
    | (?P<mark><=|>=|!=|<>|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_AGGREGATES = frozenset({"COUNT", "COUNT_DISTINCT", "MIN", "MAX", "SUM", "AVG"})
_COMPARISONS = frozenset({"=", "!=", "<>", "<", "<=", ">", ">="})
_STOPS = frozenset({"FROM", "WHERE", "GROUP", "ORDER", "LIMIT", "OFFSET", "ALL", "FOR"})


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in a condition; ``kind`` says how it was written."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field beside a value, a list of values or a semi-join."""

    path: str
    operator: str
    value: Literal | tuple[Literal, ...] | Query


@dataclass(frozen=True, slots=True)
class Not:
    """A condition turned round."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """Conditions joined by AND or OR."""

    word: str
    parts: tuple[Condition, ...]


Condition = Comparison | Not | Both


@dataclass(frozen=True, slots=True)
class Selected:
    """One selected column: a path, perhaps inside an aggregate."""

    path: str
    aggregate: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an ORDER BY."""

    path: str
    descending: bool = False
    nulls_last: bool | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query."""

    selected: tuple[Selected, ...]
    sobject: str
    where: Condition | None = None
    group: tuple[str, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    all_rows: bool = False

    @property
    def counting(self) -> bool:
        """Tells whether this is ``SELECT COUNT() FROM …``, which has no records."""
        return self.selected == (Selected("", "COUNT"),)


def malformed(message: str) -> ApiError:
    """Returns the error for a query that cannot be read."""
    return ApiError(400, "MALFORMED_QUERY", message)


def parse(text: str) -> Query:
    """Reads a query.

    Raises:
        ApiError: MALFORMED_QUERY.
    """
    reader = _Reader(text)
    query = reader.query()
    reader.end()
    return query


def parse_condition(text: str) -> Condition:
    """Reads what may stand after WHERE; validation rules use it too.

    Raises:
        ApiError: MALFORMED_QUERY.
    """
    reader = _Reader(text)
    condition = reader.condition()
    reader.end()
    return condition


def _unquote(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match.group(1) in "_%":  # only LIKE knows what to do with these
            return match.group(0)
        return _ESCAPES.get(match.group(1).lower(), match.group(1))

    return re.sub(r"\\(.)", replace, text[1:-1])


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                msg = f"unexpected token: '{text[at:].split(maxsplit=1)[0][:20]}'"
                raise malformed(msg)
            kind = str(match.lastgroup)
            self.tokens.append((kind, match.group(kind)))
            at = match.end()
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place][1] if place < len(self.tokens) else ""

    def at_word(self, *words: str) -> bool:
        return self.peek().upper() in words

    def take(self, expected: str | None = None) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            msg = f"expecting {expected or 'more'} but the query ends"
            raise malformed(msg)
        kind, text = self.tokens[self.at]
        if expected is not None and text.upper() != expected:
            msg = f"unexpected token: '{text}' (expecting {expected})"
            raise malformed(msg)
        self.at += 1
        return kind, text

    def accept(self, word: str) -> bool:
        if self.at_word(word):
            self.at += 1
            return True
        return False

    def end(self) -> None:
        if self.at < len(self.tokens):
            msg = f"unexpected token: '{self.peek()}'"
            raise malformed(msg)

    def name(self) -> str:
        kind, text = self.take()
        if kind != "word":
            msg = f"unexpected token: '{text}'"
            raise malformed(msg)
        return text

    def number(self) -> int:
        kind, text = self.take()
        if kind != "number" or not text.isdigit():
            msg = f"unexpected token: '{text}'"
            raise malformed(msg)
        return int(text)

    def query(self) -> Query:
        self.take("SELECT")
        selected = [self.selected()]
        while self.accept(","):
            selected.append(self.selected())
        self.take("FROM")
        sobject = self.name()
        where = self.condition() if self.accept("WHERE") else None
        group: list[str] = []
        if self.accept("GROUP"):
            self.take("BY")
            group.append(self.name())
            while self.accept(","):
                group.append(self.name())
        order: list[Order] = []
        if self.accept("ORDER"):
            self.take("BY")
            order.append(self.order())
            while self.accept(","):
                order.append(self.order())
        limit = self.number() if self.accept("LIMIT") else None
        offset = self.number() if self.accept("OFFSET") else 0
        all_rows = self.accept("ALL")
        if all_rows:
            self.take("ROWS")
        return Query(
            tuple(selected), sobject, where, tuple(group), tuple(order), limit, offset,
            all_rows,
        )  # fmt: skip

    def selected(self) -> Selected:
        name = self.name()
        if self.peek() == "(":
            return self.aggregate(name)
        return Selected(name)

    def aggregate(self, name: str) -> Selected:
        function = name.upper()
        self.take("(")
        if function == "FIELDS":
            what = self.name().upper()
            self.take(")")
            return Selected(what, "FIELDS")
        if function not in _AGGREGATES:
            msg = f"the function {name} is not spoken by this sandbox"
            raise malformed(msg)
        path = "" if self.peek() == ")" else self.name()
        self.take(")")
        known = self.peek() not in {",", ""} and self.peek().upper() not in _STOPS
        return Selected(path, function, self.name() if known else None)

    def order(self) -> Order:
        path = self.name()
        descending = self.accept("DESC")
        if not descending:
            self.accept("ASC")
        nulls_last = None
        if self.accept("NULLS"):
            nulls_last = self.take()[1].upper() == "LAST"
        return Order(path, descending, nulls_last)

    def condition(self) -> Condition:
        first = self.term()
        if not self.at_word("AND", "OR"):
            return first
        word = self.peek().upper()
        parts = [first]
        while self.accept(word):
            parts.append(self.term())
        if self.at_word("AND", "OR"):
            msg = f"unexpected token: {self.peek()} (put AND and OR apart in brackets)"
            raise malformed(msg)
        return Both(word, tuple(parts))

    def term(self) -> Condition:
        if self.accept("NOT"):
            return Not(self.term())
        if self.accept("("):
            inner = self.condition()
            self.take(")")
            return inner
        return self.comparison()

    def comparison(self) -> Comparison:
        path = self.name()
        operator = self.take()[1].upper()
        if operator == "NOT":
            self.take("IN")
            return Comparison(path, "NOT IN", self.values())
        if operator in {"IN", "INCLUDES", "EXCLUDES"}:
            return Comparison(path, operator, self.values())
        if operator in _COMPARISONS or operator == "LIKE":
            plain = "!=" if operator == "<>" else operator
            return Comparison(path, plain, self.literal())
        msg = f"unexpected token: '{operator}'"
        raise malformed(msg)

    def values(self) -> tuple[Literal, ...] | Query:
        self.take("(")
        if self.at_word("SELECT"):
            inner = self.query()
            self.take(")")
            return inner
        found = [self.literal()]
        while self.accept(","):
            found.append(self.literal())
        self.take(")")
        return tuple(found)

    def literal(self) -> Literal:
        kind, text = self.take()
        if kind == "string":
            return Literal("string", _unquote(text))
        if kind in {"instant", "day"}:
            return Literal(kind, text)
        if kind == "number":
            # SQLite's integers end at 64 bits, so longer ones are read as fractions.
            whole = "." not in text and len(text) < 19
            return Literal(kind, int(text) if whole else float(text))
        upper = text.upper()
        if upper == "NULL":
            return Literal("null", None)
        if upper in {"TRUE", "FALSE"}:
            return Literal("boolean", upper == "TRUE")
        if kind == "word" and "." not in text:
            return Literal("word", upper)
        msg = f"unexpected token: '{text}'"
        raise malformed(msg)
