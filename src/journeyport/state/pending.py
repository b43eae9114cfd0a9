"""Account-days for which something landed and whose tables were not made since.

Landing notes them, making the tables takes them off: a crash in between is caught up by
the next run, whichever days that one is for.
"""

from collections.abc import Iterable
from datetime import date

import sqlalchemy as sa

from journeyport.state.store import State, metadata, upsert

_pending = sa.Table(
    "pending_days",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
)


def note(state: State, account_days: Iterable[tuple[str, date]]) -> None:
    """Note account-days whose tables have to be made."""
    rows = [{"account_id": account, "day": day} for account, day in account_days]
    if rows:
        with state.write() as connection:
            upsert(connection, _pending, rows)


def done(state: State, account: str, days: Iterable[date]) -> None:
    """Take off account-days whose tables were made."""
    with state.write() as connection:
        connection.execute(
            _pending.delete().where(
                _pending.c.account_id == account, _pending.c.day.in_(list(days))
            )
        )


def of(state: State, account: str) -> list[date]:
    """The account's days whose tables have to be made, in order."""
    query = (
        sa.select(_pending.c.day)
        .where(_pending.c.account_id == account)
        .order_by(_pending.c.day)
    )
    with state.read() as connection:
        return list(connection.scalars(query))
