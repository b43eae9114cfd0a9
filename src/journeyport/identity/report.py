"""What identity came to, in numbers: never a value of an identifier."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class AccountReport:
    """What one account's identity came to.

    Attributes:
        version: the identity version that now holds.
        changed: whether any row of any identity table changed.
        engagements: how many RESOLVED, PROVISIONAL, AMBIGUOUS and NONE.
        customers: how many RESOLVED and PROVISIONAL.
        events: how many ids were MINTED, MERGED, SPLIT, RETIRED, ANCHORED this time.
        refusals: how many links each rule refuses.
        rows: rows per table.
        touched: customers that were resolved again.
        followed: only what changed was read; otherwise all was rebuilt.
    """

    account: str
    version: int
    changed: bool
    engagements: Mapping[str, int]
    customers: Mapping[str, int]
    events: Mapping[str, int]
    refusals: Mapping[str, int]
    rows: Mapping[str, int]
    touched: int
    followed: bool


@dataclass(frozen=True)
class IdentityReport:
    """What a night's identity came to, account by account."""

    accounts: Mapping[str, AccountReport] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything changed in any account."""
        return any(report.changed for report in self.accounts.values())


def counts(data: pa.Table, column: str) -> dict[str, int]:
    """How often each word stands in a column, in the order of the words."""
    counted = pc.value_counts(data[column]).to_pylist()
    return {item["values"]: item["counts"] for item in
            sorted(counted, key=lambda item: str(item["values"]))}  # fmt: skip
