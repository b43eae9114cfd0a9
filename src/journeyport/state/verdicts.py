"""What the guards last said of each account-day, and of which files they said it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata

_verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("fingerprint", sa.String, nullable=False),
    # Rows per table when the account-day was last found sound: what a later one is
    # compared with, so that a loss is not forgotten by judging twice.
    sa.Column("rows", sa.Text, nullable=False),
    sa.Column("findings", sa.Text, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("judged_at", Instant, nullable=False),
)


@dataclass(frozen=True)
class Kept:
    """A verdict as it is kept."""

    fingerprint: str
    rows: Mapping[str, int]
    findings: Sequence[Mapping[str, Any]]


def last(state: State, account: str, day: date) -> Kept | None:
    """The last verdict on an account-day; None when it was never judged."""
    query = sa.select(_verdicts).where(
        _verdicts.c.account_id == account, _verdicts.c.day == day
    )
    with state.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Kept(
        row["fingerprint"], json.loads(row["rows"]), json.loads(row["findings"])
    )


def broken(state: State) -> set[tuple[str, str]]:
    """Table and rule of everything that stands against some account-day."""
    query = sa.select(_verdicts.c.findings).where(_verdicts.c.findings != "[]")
    with state.read() as connection:
        return {
            (str(one["table"]), str(one["rule"]))
            for findings in connection.scalars(query)
            for one in json.loads(findings)
        }


def keep(
    state: State,
    account: str,
    day: date,
    verdict: Kept,
    *,
    run_id: str,
    now: datetime,
) -> None:
    """Keep a verdict in place of the one before."""
    where = (_verdicts.c.account_id == account, _verdicts.c.day == day)
    with state.write() as connection:
        connection.execute(_verdicts.delete().where(*where))
        connection.execute(
            _verdicts.insert().values(
                account_id=account,
                day=day,
                fingerprint=verdict.fingerprint,
                rows=json.dumps(dict(verdict.rows), sort_keys=True),
                findings=json.dumps(list(verdict.findings), sort_keys=True),
                run_id=run_id,
                judged_at=now,
            )
        )
