"""What the CRM delivery must remember: ledger, matches, plans, approvals, jobs, rests.

Everything is keyed by the CRM org's own id, so that pointing journeyport at another org
starts from nothing there. No field value is kept here: values live in plan files only.
What may be sent, and when, is decided in `journeyport.crm`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from journeyport.state.store import Instant, State, metadata

_ledger = sa.Table(
    "crm_ledger",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("record_key", sa.String, primary_key=True),
    sa.Column("record_id", sa.String, nullable=False),
    sa.Column("record_hash", sa.String, nullable=False),
    sa.Column("account_id", sa.String, nullable=False),
    sa.Column("customer_id", sa.String, nullable=False),
    sa.Column("standing", sa.String, nullable=False),
    sa.Column("moved_to", sa.String),
    sa.Column("is_ours", sa.Boolean, nullable=False),
    sa.Column("accepted_at", Instant, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Index("crm_ledger_record", "org_id", "object_name", "record_id"),
)

_matches = sa.Table(
    "crm_matches",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("customer_id", sa.String, primary_key=True),
    sa.Column("valid_from", Instant, primary_key=True),
    sa.Column("record_id", sa.String, nullable=False),
    sa.Column("valid_to", Instant),
)

_frontiers = sa.Table(
    "crm_frontiers",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("read_to", Instant, nullable=False),
)

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

_rests = sa.Table(
    "crm_rests",
    metadata,
    sa.Column("org_id", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("record_key", sa.String, primary_key=True),
    sa.Column("record_hash", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_at", Instant, nullable=False),
    sa.Column("next_at", Instant, nullable=False),
)

_suppressions = sa.Table(
    "crm_suppressions",
    metadata,
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("added_at", Instant, nullable=False),
)

SENT = "SENT"
GONE = "GONE"
"""Deleted in the CRM, by people there: never sent again."""
MOVED = "MOVED"
"""Merged away in the CRM: `moved_to` names the record that stayed."""

_IN = 500


@dataclass(frozen=True)
class Entry:
    """One record of the ledger: what the CRM accepted last."""

    record_key: str
    record_id: str
    record_hash: str
    account_id: str
    customer_id: str
    standing: str = SENT
    moved_to: str | None = None
    is_ours: bool = False


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
    """One accepted action of a plan."""

    number: int
    record_id: str
    was_created: bool
    undone_at: datetime | None


@dataclass(frozen=True)
class JobRow:
    """One Bulk job whose results were not booked yet."""

    job_id: str
    object_name: str
    operation: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Rest:
    """A rejected record that waits for its next try."""

    record_hash: str
    attempts: int
    first_at: datetime
    next_at: datetime


def _put(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert or replace rows by primary key, in one statement."""
    if not rows:
        return
    insert = (
        sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    )(table)
    keys = [column.name for column in table.primary_key]
    rest = {
        c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys
    }
    connection.execute(
        insert.on_conflict_do_update(index_elements=keys, set_=rest),
        [dict(row) for row in rows],
    )


def ledger(state: State, org_id: str, object_name: str) -> dict[str, Entry]:
    """The ledger of one object in one org, by external id."""
    query = sa.select(
        _ledger.c.record_key,
        _ledger.c.record_id,
        _ledger.c.record_hash,
        _ledger.c.account_id,
        _ledger.c.customer_id,
        _ledger.c.standing,
        _ledger.c.moved_to,
        _ledger.c.is_ours,
    ).where(_ledger.c.org_id == org_id, _ledger.c.object_name == object_name)
    with state.read() as connection:
        return {row[0]: Entry(*row) for row in connection.execute(query)}


def book(
    connection: sa.Connection,
    org_id: str,
    object_name: str,
    entries: Iterable[Entry],
    *,
    run_id: str,
    at: datetime,
) -> None:
    """Write down what the CRM accepted (or was found to hold already)."""
    where = {"org_id": org_id, "object_name": object_name}
    when = {"run_id": run_id, "accepted_at": at}
    _put(connection, _ledger, [{**where, **vars(e), **when} for e in entries])


def unbook(
    connection: sa.Connection, org_id: str, object_name: str, keys: Sequence[str]
) -> None:
    """Forget records, so that the next plan looks at them afresh."""
    for start in range(0, len(keys), _IN):
        connection.execute(
            _ledger.delete().where(
                _ledger.c.org_id == org_id,
                _ledger.c.object_name == object_name,
                _ledger.c.record_key.in_(keys[start : start + _IN]),
            )
        )


def matches(state: State, org_id: str, object_name: str) -> dict[tuple[str, str], str]:
    """The record each (account, customer) is matched to now."""
    query = sa.select(
        _matches.c.account_id, _matches.c.customer_id, _matches.c.record_id
    ).where(
        _matches.c.org_id == org_id,
        _matches.c.object_name == object_name,
        _matches.c.valid_to.is_(None),
    )
    with state.read() as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}


def match(
    connection: sa.Connection,
    org_id: str,
    object_name: str,
    found: Iterable[tuple[str, str, str | None]],
    *,
    at: datetime,
) -> None:
    """Open, move or (record None) close the matches of (account, customer, record)."""
    for account, customer, record in found:
        here = sa.and_(
            _matches.c.org_id == org_id,
            _matches.c.object_name == object_name,
            _matches.c.account_id == account,
            _matches.c.customer_id == customer,
            _matches.c.valid_to.is_(None),
        )
        held = connection.scalar(sa.select(_matches.c.record_id).where(here))
        if held == record:
            continue
        connection.execute(_matches.update().where(here).values(valid_to=at))
        if record is not None:
            row = {
                "org_id": org_id,
                "object_name": object_name,
                "account_id": account,
                "customer_id": customer,
                "valid_from": at,
                "record_id": record,
                "valid_to": None,
            }
            _put(connection, _matches, [row])


def all_matches(state: State) -> list[dict[str, Any]]:
    """Every match that ever held, in all orgs: what `customer_crm_ids` publishes."""
    query = sa.select(_matches).order_by(*_matches.primary_key)
    with state.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def frontier(state: State, org_id: str, object_name: str) -> datetime | None:
    """Up to when the changes of the other side were read; None: never."""
    query = sa.select(_frontiers.c.read_to).where(
        _frontiers.c.org_id == org_id, _frontiers.c.object_name == object_name
    )
    with state.read() as connection:
        found: datetime | None = connection.scalar(query)
    return found


def move_frontier(
    connection: sa.Connection, org_id: str, object_name: str, read_to: datetime
) -> None:
    """Say up to when the changes of the other side were dealt with."""
    row = {"org_id": org_id, "object_name": object_name, "read_to": read_to}
    _put(connection, _frontiers, [row])


def put_plan(connection: sa.Connection, plan: PlanRow) -> None:
    """Write a plan's row, or replace it."""
    _put(connection, _plans, [vars(plan)])


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
    _put(
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
        _writes.c.undone_at,
    ).where(_writes.c.plan_id == plan_id)
    with state.read() as connection:
        return {row[0]: WriteRow(*row) for row in connection.execute(query)}


def undid(
    connection: sa.Connection, plan_id: str, numbers: Sequence[int], *, at: datetime
) -> None:
    """Mark actions of a plan as taken back."""
    for start in range(0, len(numbers), _IN):
        connection.execute(
            _writes.update()
            .where(
                _writes.c.plan_id == plan_id,
                _writes.c.number.in_(numbers[start : start + _IN]),
            )
            .values(undone_at=at)
        )


def undone(state: State, org_id: str) -> frozenset[str]:
    """The records that an undo took back: their deletion was ours, not people's."""
    query = (
        sa.select(_writes.c.record_id)
        .join(_plans, _plans.c.plan_id == _writes.c.plan_id)
        .where(_plans.c.org_id == org_id, _writes.c.undone_at.is_not(None))
    )
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
    _put(connection, _approvals, [row])


def revoke(connection: sa.Connection, org_id: str, mapping_hash: str) -> None:
    """The nightly must not apply by itself any longer."""
    connection.execute(
        _approvals.delete().where(
            _approvals.c.org_id == org_id, _approvals.c.mapping_hash == mapping_hash
        )
    )


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
    """Whether any record was ever written in this org."""
    query = (
        sa.select(_writes.c.plan_id)
        .join(_plans, _plans.c.plan_id == _writes.c.plan_id)
        .where(_plans.c.org_id == org_id)
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
    _put(connection, _jobs, [row])


def close_job(connection: sa.Connection, org_id: str, job_id: str) -> None:
    """The job's results were booked, or it was given up before it ran."""
    connection.execute(
        _jobs.update()
        .where(_jobs.c.org_id == org_id, _jobs.c.job_id == job_id)
        .values(is_open=False)
    )


def open_jobs(state: State, org_id: str, plan_id: str) -> list[JobRow]:
    """The plan's jobs whose results were not booked yet."""
    query = sa.select(
        _jobs.c.job_id, _jobs.c.object_name, _jobs.c.operation, _jobs.c.numbers
    ).where(
        _jobs.c.org_id == org_id, _jobs.c.plan_id == plan_id, _jobs.c.is_open.is_(True)
    )
    with state.read() as connection:
        return [
            JobRow(row[0], row[1], row[2], tuple(row[3]))
            for row in connection.execute(query)
        ]


def rests(state: State, org_id: str, object_name: str) -> dict[str, Rest]:
    """The object's rejected records and when each is tried again."""
    query = sa.select(
        _rests.c.record_key,
        _rests.c.record_hash,
        _rests.c.attempts,
        _rests.c.first_at,
        _rests.c.next_at,
    ).where(_rests.c.org_id == org_id, _rests.c.object_name == object_name)
    with state.read() as connection:
        return {row[0]: Rest(*row[1:]) for row in connection.execute(query)}


def rest(
    connection: sa.Connection,
    org_id: str,
    object_name: str,
    resting: Mapping[str, Rest],
) -> None:
    """Let rejected records rest until their next try."""
    where = {"org_id": org_id, "object_name": object_name}
    _put(
        connection,
        _rests,
        [{**where, "record_key": key, **vars(row)} for key, row in resting.items()],
    )


def wake(
    connection: sa.Connection, org_id: str, object_name: str, keys: Sequence[str]
) -> None:
    """The records need no further try."""
    for start in range(0, len(keys), _IN):
        connection.execute(
            _rests.delete().where(
                _rests.c.org_id == org_id,
                _rests.c.object_name == object_name,
                _rests.c.record_key.in_(keys[start : start + _IN]),
            )
        )


def suppress(
    state: State, subject: str, *, author: str, reason: str, at: datetime
) -> None:
    """Never write about this customer key or to this CRM record again."""
    row = {"subject": subject, "author": author, "reason": reason, "added_at": at}
    with state.write() as connection:
        _put(connection, _suppressions, [row])


def unsuppress(state: State, subject: str) -> bool:
    """Take an entry off the list; False: it was not on it."""
    with state.write() as connection:
        done = connection.execute(
            _suppressions.delete().where(_suppressions.c.subject == subject)
        )
        return bool(done.rowcount)


def suppressed(state: State) -> frozenset[str]:
    """The customer keys and CRM record ids that must not be written."""
    with state.read() as connection:
        return frozenset(connection.scalars(sa.select(_suppressions.c.subject)))


def settle_rejects(
    connection: sa.Connection, object_name: str, keys: Sequence[str]
) -> None:
    """Let go of the rejects of records that the CRM has accepted since."""
    rejects = metadata.tables["rejected_records"]
    for start in range(0, len(keys), _IN):
        connection.execute(
            rejects.delete().where(
                rejects.c.stage == "crm",
                rejects.c.object_name == object_name,
                rejects.c.record_key.in_(keys[start : start + _IN]),
            )
        )
