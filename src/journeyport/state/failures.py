"""What went wrong in a run, per account: one failing account never stops another.

A run carries on with the other accounts and ends red by looking here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata

_failures = sa.Table(
    "run_failures",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.String, nullable=False, index=True),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("account_id", sa.String, nullable=False),
    sa.Column("day", sa.Date),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("failed_at", Instant, nullable=False),
)


@dataclass(frozen=True)
class Failure:
    """One thing that went wrong.

    Attributes:
        stage: landing, tables, identity, …
        account: the account.
        day: the day; None where it concerns the account as a whole.
        reason: one sentence that names the remedy.
    """

    stage: str
    account: str
    day: date | None
    reason: str


def replace(
    state: State,
    run_id: str,
    stage: str,
    failures: Sequence[Failure],
    *,
    now: datetime,
) -> None:
    """Keep what went wrong in a stage of a run, in place of what was kept before."""
    with state.write() as connection:
        connection.execute(
            _failures.delete().where(
                _failures.c.run_id == run_id, _failures.c.stage == stage
            )
        )
        for failure in failures:
            connection.execute(
                _failures.insert().values(
                    run_id=run_id,
                    stage=stage,
                    account_id=failure.account,
                    day=failure.day,
                    reason=failure.reason,
                    failed_at=now,
                )
            )


def of_run(state: State, run_id: str) -> list[Failure]:
    """Everything that went wrong in a run, in the order it was kept."""
    query = (
        sa.select(_failures)
        .where(_failures.c.run_id == run_id)
        .order_by(_failures.c.number)
    )
    with state.read() as connection:
        return [
            Failure(row.stage, row.account_id, row.day, row.reason)
            for row in connection.execute(query)
        ]
