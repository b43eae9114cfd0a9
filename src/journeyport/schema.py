"""The vocabulary in which tables are declared: kinds, columns, layouts, tables.

Standard library only. What a kind becomes in Arrow, SQL or Markdown is said in
`arrow`, `sql` and `dictionary`; which tables there are is said in `tables`.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a column holds."""

    STRING = "string"
    INTEGER = "integer"
    """A signed 64-bit whole number."""
    NUMBER = "number"
    """A 64-bit floating point number."""
    BOOLEAN = "boolean"
    INSTANT = "instant"
    """A point in time, UTC, microseconds."""
    DATE = "date"
    JSON = "json"
    """A JSON text with sorted keys, stored as a string."""


class Layout(Enum):
    """How a table lies in the lake."""

    RAW = "raw"
    """Append-only files per run and window."""
    DAILY = "daily"
    """One file per account and UTC day of `start_date`, replaced whole."""
    SNAPSHOT = "snapshot"
    """The whole table, replaced whole."""
    OPERATIONS = "operations"
    """A snapshot published from the state: what the runs did."""


class Origin(Enum):
    """Whose value a column holds."""

    SOURCE = "source"
    """The source's own."""
    DERIVED = "derived"
    """Worked out by a rule of ours, given in the description."""
    LINEAGE = "lineage"
    """Says when and by which run a row came; left out of equality and hashes."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: snake_case; leading underscore for bookkeeping columns.
        kind: what it holds.
        description: the meaning in one sentence, with unit and what null means.
        source: path in the source's document, `a.b[].c`; empty when derived.
        required: never null.
        personal: may identify a natural person.
        origin: whose value it is.
        unit: `s`, `rows` and the like; empty where there is none.
    """

    name: str
    kind: Kind
    description: str
    source: str = ""
    required: bool = False
    personal: bool = False
    origin: Origin = Origin.SOURCE
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: plural, snake_case; also the folder in the lake and the SQL name.
        description: what the table is for.
        grain: what one row is.
        key: names of the columns that together name a row; unique, none of them
            required to be non-null, null counting as a value.
        layout: how it lies in the lake.
        columns: in reading order, bookkeeping columns last.
        parent: the table whose rows own these rows; a changed parent replaces them.
        version: raised by one when the rule that fills the table changes, so that
            days written by an older rule are written again.
    """

    name: str
    description: str
    grain: str
    key: tuple[str, ...]
    layout: Layout
    columns: tuple[Column, ...]
    parent: str | None = None
    version: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def content(self) -> tuple[Column, ...]:
        """The columns by which two rows are compared: lineage and hash left out."""
        return tuple(
            column
            for column in self.columns
            if column.origin is not Origin.LINEAGE and column.name != "_row_hash"
        )

    def column(self, name: str) -> Column:
        """The column of that name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
