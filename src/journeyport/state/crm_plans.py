"""What the CRM delivery must remember of its plans: writes, deletions, approvals, jobs.

Field values are in the plans' files only. The ledger of what the CRM holds is in `crm`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata, upsert

_IN = 500

_plans = sa.Table(
    "crm_plans",
    metadata,
    sa.Column("plan_id", sa.String, primary_key=True),
    sa.Column("org_id", sa.String, nullable=False),
    sa.Column("mapping_hash", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("reason", sa.String),
    sa.Column("applied_at", Instant),
)

_writes = sa.Table(
    "crm_writes",
    metadata,
    sa.Column("plan_id", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("record_id", sa.String, nullable=False),
    sa.Column("was_created", sa.Boolean, nullable=False),
    sa.Column("written_at", Instant, nullable=False),
    sa.Column("undone_at", Instant),
    sa.Column("kept", sa.JSON),
)

_deletions = sa.Table(
    "crm_deletions",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("record_id", sa.String, primary_key=True),
)

_approvals = sa.Table(
    "crm_approvals",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("mapping_hash", sa.String, primary_key=True),
    sa.Column("plan_id", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("approved_at", Instant, nullable=False),
)

_jobs = sa.Table(
    "crm_jobs",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, nullable=False),
    sa.Column("operation", sa.String, nullable=False),
    sa.Column("plan_id", sa.String, nullable=False),
    sa.Column("numbers", sa.JSON, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
)


_JOB = (_jobs.c.job_id, _jobs.c.object_name, _jobs.c.operation, _jobs.c.numbers)


@dataclass(frozen=True)
class PlanRow:
    """What the state knows of a plan; the plan itself is a file."""

    plan_id: str
    org_id: str
    mapping_hash: str
    kind: str
    status: str
    made_at: datetime
    expires_at: datetime
    run_id: str
    reason: str | None
    applied_at: datetime | None


@dataclass(frozen=True)
class WriteRow:
    """One accepted action of a plan.

    Attributes:
        number: of the action.
        record_id: the record written.
        was_created: the action made it.
        written_at: when.
        undone_at: when an undo was done with it; None: none was.
        kept: what that undo left as it was, and why, by field; under the empty name
            the whole record.
    """

    number: int
    record_id: str
    was_created: bool
    written_at: datetime
    undone_at: datetime | None
    kept: Mapping[str, str]


@dataclass(frozen=True)
class JobRow:
    """One Bulk job whose results were not booked yet."""

    job_id: str
    object_name: str
    operation: str
    numbers: tuple[int, ...]


def put_plan(connection: sa.Connection, plan: PlanRow) -> None:
    """Write a plan's row, or replace it."""
    upsert(connection, _plans, [vars(plan)])


def plan(state: State, plan_id: str) -> PlanRow | None:
    """The plan of that id; None: there is none."""
    with state.read() as connection:
        row = connection.execute(
            sa.select(_plans).where(_plans.c.plan_id == plan_id)
        ).first()
    return None if row is None else PlanRow(*row)


def plans(state: State) -> list[PlanRow]:
    """All plans, the newest first."""
    query = sa.select(_plans).order_by(_plans.c.made_at.desc(), _plans.c.plan_id)
    with state.read() as connection:
        return [PlanRow(*row) for row in connection.execute(query)]


def wrote(
    connection: sa.Connection,
    plan_id: str,
    rows: Iterable[tuple[int, str, bool]],
    *,
    at: datetime,
) -> None:
    """Write down the accepted actions (number, record id, created) of a plan."""
    upsert(
        connection,
        _writes,
        [
            {
                "plan_id": plan_id,
                "number": number,
                "record_id": record_id,
                "was_created": created,
                "written_at": at,
                "undone_at": None,
                "kept": None,
            }
            for number, record_id, created in rows
        ],
    )


def writes(state: State, plan_id: str) -> dict[int, WriteRow]:
    """The accepted actions of a plan, by number."""
    query = sa.select(
        _writes.c.number,
        _writes.c.record_id,
        _writes.c.was_created,
        _writes.c.written_at,
        _writes.c.undone_at,
        _writes.c.kept,
    ).where(_writes.c.plan_id == plan_id)
    with state.read() as connection:
        return {
            row[0]: WriteRow(*row[:5], row[5] or {})
            for row in connection.execute(query)
        }


def undid(
    connection: sa.Connection,
    plan_id: str,
    numbers: Sequence[int],
    kept: Mapping[int, Mapping[str, str]],
    *,
    at: datetime,
) -> None:
    """Mark actions of a plan as taken back, but for what of them was kept."""
    left = [
        {"of_number": number, "left": dict(kept[number])}
        for number in numbers
        if kept.get(number)
    ]
    if left:
        connection.execute(
            _writes.update()
            .where(
                _writes.c.plan_id == plan_id,
                _writes.c.number == sa.bindparam("of_number"),
            )
            .values(kept=sa.bindparam("left")),
            left,
        )
    for start in range(0, len(numbers), _IN):
        connection.execute(
            _writes.update()
            .where(
                _writes.c.plan_id == plan_id,
                _writes.c.number.in_(numbers[start : start + _IN]),
            )
            .values(undone_at=at)
        )


def written_elsewhere(
    state: State, org_id: str, plan_id: str
) -> dict[str, datetime | None]:
    """The records that other plans wrote, and when last; None: all was taken back."""
    standing = sa.case((_writes.c.undone_at.is_(None), _writes.c.written_at))
    query = (
        sa.select(_writes.c.record_id, sa.func.max(standing))
        .join(_plans, _plans.c.plan_id == _writes.c.plan_id)
        .where(_plans.c.org_id == org_id, _plans.c.plan_id != plan_id)
        .group_by(_writes.c.record_id)
    )
    with state.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def deleting(connection: sa.Connection, org_id: str, record_ids: Iterable[str]) -> None:
    """An undo is about to delete these: noted before, as the answer may be lost."""
    rows = [{"org_id": org_id, "record_id": each} for each in record_ids]
    upsert(connection, _deletions, rows)


def not_deleted(
    connection: sa.Connection, org_id: str, record_ids: Sequence[str]
) -> None:
    """The CRM refused to delete these."""
    for start in range(0, len(record_ids), _IN):
        connection.execute(
            _deletions.delete().where(
                _deletions.c.org_id == org_id,
                _deletions.c.record_id.in_(record_ids[start : start + _IN]),
            )
        )


def undone(state: State, org_id: str) -> frozenset[str]:
    """The records that an undo deleted: their deletion was ours, not people's."""
    query = sa.select(_deletions.c.record_id).where(_deletions.c.org_id == org_id)
    with state.read() as connection:
        return frozenset(connection.scalars(query))


def approve(
    connection: sa.Connection,
    org_id: str,
    mapping_hash: str,
    *,
    plan_id: str,
    reason: str,
    at: datetime,
) -> None:
    """An apply under this mapping was wanted and went through in this org."""
    row = {
        "org_id": org_id,
        "mapping_hash": mapping_hash,
        "plan_id": plan_id,
        "reason": reason,
        "approved_at": at,
    }
    upsert(connection, _approvals, [row])


def revoke(connection: sa.Connection, org_id: str) -> None:
    """No nightly may apply by itself in this org any longer, under any mapping."""
    connection.execute(_approvals.delete().where(_approvals.c.org_id == org_id))


def is_approved(state: State, org_id: str, mapping_hash: str) -> bool:
    """Whether the nightly may apply by itself under this mapping in this org."""
    query = sa.select(_approvals.c.plan_id).where(
        _approvals.c.org_id == org_id, _approvals.c.mapping_hash == mapping_hash
    )
    with state.read() as connection:
        return connection.scalar(query) is not None


def is_confirmed(state: State, org_id: str) -> bool:
    """Whether an apply was carried through in this org, under any mapping."""
    query = sa.select(_approvals.c.plan_id).where(_approvals.c.org_id == org_id)
    with state.read() as connection:
        return connection.scalar(query.limit(1)) is not None


def was_tried(state: State, org_id: str) -> bool:
    """Whether a record was written in this org and not taken back."""
    query = (
        sa.select(_writes.c.plan_id)
        .join(_plans, _plans.c.plan_id == _writes.c.plan_id)
        .where(_plans.c.org_id == org_id, _writes.c.undone_at.is_(None))
        .limit(1)
    )
    with state.read() as connection:
        return connection.scalar(query) is not None


def open_job(
    connection: sa.Connection, org_id: str, plan_id: str, job: JobRow, *, at: datetime
) -> None:
    """Persist a Bulk job's id before its rows are uploaded."""
    row = {
        "org_id": org_id,
        "job_id": job.job_id,
        "object_name": job.object_name,
        "operation": job.operation,
        "plan_id": plan_id,
        "numbers": list(job.numbers),
        "is_open": True,
        "made_at": at,
    }
    upsert(connection, _jobs, [row])


def close_job(connection: sa.Connection, org_id: str, job_id: str) -> None:
    """The job's results were booked, or it was given up before it ran."""
    connection.execute(
        _jobs.update()
        .where(_jobs.c.org_id == org_id, _jobs.c.job_id == job_id)
        .values(is_open=False)
    )


def job_ids(state: State, plan_id: str) -> list[str]:
    """Every Bulk job of a plan, booked or not, in the order they were made."""
    query = (
        sa.select(_jobs.c.job_id)
        .where(_jobs.c.plan_id == plan_id)
        .order_by(_jobs.c.made_at, _jobs.c.job_id)
    )
    with state.read() as connection:
        return list(connection.scalars(query))


def unbooked_jobs(state: State, org_id: str) -> list[tuple[str, datetime, JobRow]]:
    """The org's jobs whose results were not booked yet: plan, its end, job."""
    query = (
        sa.select(_plans.c.plan_id, _plans.c.expires_at, *_JOB)
        .join(_plans, _plans.c.plan_id == _jobs.c.plan_id)
        .where(_jobs.c.org_id == org_id, _jobs.c.is_open.is_(True))
    )
    with state.read() as connection:
        return [
            (row[0], row[1], JobRow(*row[2:5], tuple(row[5])))
            for row in connection.execute(query)
        ]


def open_jobs(state: State, org_id: str, plan_id: str) -> list[JobRow]:
    """The plan's jobs whose results were not booked yet."""
    query = sa.select(*_JOB).where(
        _jobs.c.org_id == org_id, _jobs.c.plan_id == plan_id, _jobs.c.is_open.is_(True)
    )
    with state.read() as connection:
        return [
            JobRow(row[0], row[1], row[2], tuple(row[3]))
            for row in connection.execute(query)
        ]
