"""What journeyport asks of a CRM, in the CRM's own nouns and without its dialect.

A second CRM is one file that offers these calls (see docs/crm.md). What to send is
decided by `match`, `plan` and `push`; how it travels is decided in `salesforce`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

Value = str | int | float | bool | None
"""A field's value as the CRM's API writes it."""


@dataclass(frozen=True)
class Org:
    """The org behind the sign-in."""

    id: str
    name: str
    is_sandbox: bool

    @property
    def kind(self) -> str:
        """SANDBOX or PRODUCTION."""
        return "SANDBOX" if self.is_sandbox else "PRODUCTION"


@dataclass(frozen=True)
class Field:
    """What the CRM says about one field."""

    name: str
    type: str
    label: str = ""
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False
    createable: bool = True
    updateable: bool = True
    is_external_id: bool = False
    is_unique: bool = False
    relationship: str | None = None
    reference_to: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    """The values of a restricted picklist; empty: any."""


@dataclass(frozen=True)
class Shape:
    """What the CRM says about one object."""

    name: str
    fields: Mapping[str, Field]
    createable: bool = True
    updateable: bool = True
    deletable: bool = False
    queryable: bool = True


@dataclass(frozen=True)
class Seen:
    """One record as it stands in the CRM."""

    id: str
    values: Mapping[str, Value]
    is_deleted: bool = False
    master_id: str | None = None


@dataclass(frozen=True)
class Parent:
    """A parent named by its external id."""

    object_name: str
    field: str
    relationship: str
    key: str


class Operation(Enum):
    """How a record is written."""

    UPDATE = "update"
    """By the CRM's own id: can never make a record."""
    UPSERT = "upsert"
    """By external id: makes the record when it is not there."""


@dataclass(frozen=True)
class Write:
    """One record to be written.

    Attributes:
        number: the action's number in its plan; answers carry it back.
        key: the external id.
        record_id: the CRM's id; None only for upserts.
        values: fields to set; None blanks a field.
        parents: lookups to set, by lookup field.
    """

    number: int
    key: str
    record_id: str | None
    values: Mapping[str, Value]
    parents: Mapping[str, Parent] = field(default_factory=dict)


class Verdict(Enum):
    """What became of one record."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNSENT = "unsent"
    """Neither accepted nor refused: it was not looked at."""


@dataclass(frozen=True)
class Answer:
    """What the CRM said to one record; `message` may hold values of the record."""

    number: int
    verdict: Verdict
    record_id: str = ""
    was_created: bool = False
    code: str = ""
    fields: tuple[str, ...] = ()
    message: str = field(default="", repr=False)


@dataclass(frozen=True)
class Budget:
    """What the org has left today; None where it does not say."""

    calls_left: int | None
    calls_total: int | None
    storage_left_mb: int | None
    storage_total_mb: int | None


@dataclass(frozen=True)
class Automation:
    """Something in the org that runs, or may refuse, when records are written."""

    kind: str
    name: str
    object_name: str


@dataclass
class Calls:
    """How many requests were made, by kind."""

    sign_ins: int = 0
    reads: int = 0
    writes: int = 0

    @property
    def total(self) -> int:
        """All but the sign-ins, which count against no limit."""
        return self.reads + self.writes


class Crm(Protocol):
    """A signed-in CRM."""

    org: Org
    calls: Calls
    batch: int
    """Most records of one `send`."""
    job_batch: int
    """Most records of one job."""

    def describe(self, object_name: str) -> Shape | None:
        """The object; None when it is not there or not to be seen."""
        ...

    def budget(self) -> Budget:
        """Calls and storage left."""
        ...

    def find(
        self,
        object_name: str,
        by: str,
        values: Sequence[str],
        fields: Sequence[str],
        *,
        deleted: bool = False,
    ) -> list[Seen]:
        """The records whose field `by` is one of the values; binned ones if asked."""
        ...

    def find_calls(self, values: int) -> int:
        """How many calls `find` makes at most for so many values."""
        ...

    def newest(self, object_name: str) -> datetime | None:
        """When a record of the object last changed, by the org's own clock."""
        ...

    def changes(
        self,
        object_name: str,
        marks: Sequence[str],
        since: datetime,
        fields: Sequence[str],
    ) -> Iterator[Seen]:
        """Records with one of the `marks`, changed since then; deleted ones too."""
        ...

    def send(
        self,
        object_name: str,
        key: str,
        operation: Operation,
        writes: Sequence[Write],
    ) -> list[Answer]:
        """Write up to `batch` records; one answer each, whatever became of it."""
        ...

    def delete(self, object_name: str, record_ids: Sequence[str]) -> list[Answer]:
        """Delete up to `batch` records; the answers' numbers count from 0."""
        ...

    def open_job(self, object_name: str, key: str, operation: Operation) -> str:
        """Open a large load and return its id, before any row is sent."""
        ...

    def fill_job(
        self,
        job_id: str,
        object_name: str,
        key: str,
        operation: Operation,
        writes: Sequence[Write],
    ) -> None:
        """Send the rows and let the job run."""
        ...

    def job_state(self, job_id: str, object_name: str) -> "JobState":
        """Where the job stands."""
        ...

    def drop_job(self, job_id: str, object_name: str) -> None:
        """Give up a job that was not filled."""
        ...

    def job_answers(
        self,
        job_id: str,
        object_name: str,
        key: str,
        operation: Operation,
        writes: Sequence[Write],
    ) -> list[Answer]:
        """One answer a record of a job that ended."""
        ...

    def job_calls(self) -> int:
        """How many calls a job makes, looks at its state included."""
        ...

    def automations(self, object_name: str) -> "Automations":
        """What runs or may refuse when records of the object are written."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


class JobState(Enum):
    """Where a large load stands."""

    OPEN = "open"
    RUNNING = "running"
    ENDED = "ended"
    """Its results can be read, however it ended."""
    LOST = "lost"
    """The CRM no longer knows it, or it was aborted."""


@dataclass(frozen=True)
class Automations:
    """What was found, and the kinds that this user may not see."""

    found: tuple[Automation, ...]
    unseen: tuple[str, ...]
