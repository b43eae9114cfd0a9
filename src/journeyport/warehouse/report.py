"""What a load and a verification tell: counts and differences, no values."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from journeyport.schema import Layout
from journeyport.tables import BY_NAME


@dataclass(frozen=True)
class Counts:
    """Rows of one table in one load.

    Attributes:
        inserted: rows new in the warehouse.
        updated: rows there already whose content changed.
        deleted: rows the lake no longer holds.
        unchanged: rows of the lake that were there as they are; not written.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0

    @property
    def changed(self) -> int:
        """Rows written or removed."""
        return self.inserted + self.updated + self.deleted

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.unchanged + other.unchanged,
        )


@dataclass(frozen=True)
class LoadReport:
    """What one load did.

    Attributes:
        target: the kind of warehouse, `duckdb` or `postgresql`.
        tables: counts by table name, in the order of the dictionary.
        days: account-days that were compared.
        batches: transactions.
        seconds: wall clock time.
        retries: transactions that had to be begun again.
    """

    target: str
    tables: Mapping[str, Counts]
    days: int = 0
    batches: int = 0
    seconds: float = 0.0
    retries: int = 0

    @property
    def data(self) -> Counts:
        """The sum over the tables that hold data: 0 changed in a second load."""
        return self._sum(operations=False)

    @property
    def operations(self) -> Counts:
        """The sum over the tables that record runs, which change with every run."""
        return self._sum(operations=True)

    @property
    def changed(self) -> bool:
        """Whether a data table changed."""
        return self.data.changed > 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON and metadata."""
        return {
            "target": self.target,
            "tables": {name: asdict(counts) for name, counts in self.tables.items()},
            "data": asdict(self.data),
            "operations": asdict(self.operations),
            "days": self.days,
            "batches": self.batches,
            "seconds": round(self.seconds, 3),
            "retries": self.retries,
        }

    def _sum(self, *, operations: bool) -> Counts:
        chosen = (
            counts
            for name, counts in self.tables.items()
            if (BY_NAME[name].layout is Layout.OPERATIONS) is operations
        )
        return sum(chosen, Counts())


@dataclass(frozen=True)
class Difference:
    """Where lake and warehouse differ: one table, and one account-day if daily.

    Attributes:
        table: the table.
        account: the account; empty: the whole table.
        day: the UTC day; None: the whole table.
        lake_rows: rows the lake holds.
        warehouse_rows: rows the warehouse holds.
        missing: rows of the lake whose hash the warehouse lacks.
        unexpected: rows of the warehouse whose hash the lake lacks.
        altered: rows whose content does not give the hash they carry (deep only).
    """

    table: str
    account: str
    day: date | None
    lake_rows: int
    warehouse_rows: int
    missing: int
    unexpected: int
    altered: int = 0


@dataclass(frozen=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        target: the kind of warehouse.
        deep: hashes were computed again from the columns fetched.
        tables: tables compared.
        rows: rows of the lake compared.
        differences: empty when lake and warehouse are equal.
        absent: tables the lake holds and the warehouse does not have.
        seconds: wall clock time.
    """

    target: str
    deep: bool
    tables: int
    rows: int
    differences: tuple[Difference, ...] = ()
    absent: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences and not self.absent

    def as_dict(self) -> dict[str, Any]:
        """For JSON and metadata."""
        rows = (
            asdict(difference) | {"day": difference.day and difference.day.isoformat()}
            for difference in self.differences
        )
        return {
            "target": self.target,
            "deep": self.deep,
            "equal": self.equal,
            "tables": self.tables,
            "rows": self.rows,
            "differences": list(rows),
            "absent": list(self.absent),
            "seconds": round(self.seconds, 3),
        }


def merged(parts: Iterable[Mapping[str, Counts]]) -> dict[str, Counts]:
    """The sum of counts table by table, in the order of the dictionary."""
    total: dict[str, Counts] = {}
    for part in parts:
        for name, counts in part.items():
            total[name] = total.get(name, Counts()) + counts
    return {name: total[name] for name in BY_NAME if name in total}
