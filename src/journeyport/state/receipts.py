"""Receipts: who applied, released, undid or ruled what, and why. Only ever added to.

When one is written is decided in `journeyport.receipts` and by those who act; the table
`receipts` is published from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata

_receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("happened_at", Instant, nullable=False),
    sa.Column("user_name", sa.String),
    sa.Column("origin", sa.String, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("account_id", sa.String),
    sa.Column("day", sa.Date),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("plan_id", sa.String),
    sa.Column("org_id", sa.String),
    sa.Column("counts", sa.JSON, nullable=False),
    sa.Column("job_ids", sa.JSON, nullable=False),
)


@dataclass(frozen=True)
class Actor:
    """Who acts, as far as that is known.

    Attributes:
        user: the name a proxy or the operating system gives; None: nobody said.
        origin: UI, COMMAND_LINE, SCHEDULE, or PROGRAM where neither of them acts.
    """

    user: str | None = None
    origin: str = "PROGRAM"


@dataclass(frozen=True)
class Receipt:
    """One deed; the names are the columns of the table `receipts`.

    Attributes:
        action: APPLY, UNDO, RELEASE, RULE, RULE_UNDONE, SUPPRESS, UNSUPPRESS or
            RULES_CHANGED.
        happened_at: when.
        actor: who.
        run_id: the run.
        reason: why, in the words of whoever did it.
        account_id: the account; None: it is not about one.
        day: the UTC day; None: it is not about one.
        subject: what it was done to, without a value of anybody.
        plan_id: the CRM plan.
        org_id: the CRM org.
        counts: what came of it.
        job_ids: the CRM's own jobs that did it.
    """

    action: str
    happened_at: datetime
    actor: Actor
    run_id: str
    reason: str
    account_id: str | None = None
    day: date | None = None
    subject: str = ""
    plan_id: str | None = None
    org_id: str | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    job_ids: Sequence[str] = ()


def add(state: State, receipt: Receipt) -> int:
    """Keep a receipt; its number."""
    values = asdict(receipt)
    actor = values.pop("actor")
    values |= {
        "user_name": actor["user"],
        "origin": actor["origin"],
        "job_ids": list(receipt.job_ids),
        "counts": dict(receipt.counts),
    }
    with state.write() as connection:
        done = connection.execute(_receipts.insert().values(**values))
        key = done.inserted_primary_key
    assert key is not None  # noqa: S101  an insert of one row has a key
    return int(key[0])


def last_subject(state: State, action: str, account: str | None) -> str | None:
    """What the latest deed of a kind was done to; None: there was none."""
    query = (
        sa.select(_receipts.c.subject)
        .where(_receipts.c.action == action, _receipts.c.account_id == account)
        .order_by(_receipts.c.number.desc())
        .limit(1)
    )
    with state.read() as connection:
        subject: str | None = connection.scalar(query)
    return subject


def all_rows(state: State) -> list[dict[str, Any]]:
    """Every receipt, the first one first, as rows of the table `receipts`."""
    query = sa.select(_receipts).order_by(_receipts.c.number)
    with state.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001
