"""Walks and their windows: which account-days were walked, how, and up to when.

`account_days` holds the best that is known of an account-day; `open_walks` what a
walk that did not end has done so far. What a walk is, and when one counts, is said in
`extract`.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata, upsert

PROVED, PARTIAL, HELD, RELEASED = "PROVED", "PARTIAL", "HELD", "RELEASED"

_RANK = {HELD: 0, PARTIAL: 0, RELEASED: 1, PROVED: 2}

_days = sa.Table(
    "account_days",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("proof", sa.String, nullable=False),
    sa.Column("coverage", sa.String, nullable=False),
    sa.Column("began_at", Instant, nullable=False),
    sa.Column("claim_from", Instant, nullable=False),
    sa.Column("claim_to", Instant, nullable=False),
    sa.Column("source_clock", sa.Boolean, nullable=False),
    sa.Column("walked_at", Instant, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("found", sa.Integer, nullable=False),
    sa.Column("breaches", sa.Text, nullable=False),
    sa.Column("dropped", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
)

_audits = sa.Table(
    "audited_days",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("audited_at", Instant, nullable=False),
    sa.Column("total", sa.Integer),
    sa.Column("held", sa.Integer, nullable=False),
)

_walks = sa.Table(
    "open_walks",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("coverage", sa.String, nullable=False),
    sa.Column("began_at", Instant, nullable=False),
    sa.Column("claim_to", Instant, nullable=False),
)

_windows = sa.Table(
    "extract_windows",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("window_from", Instant, primary_key=True),
    sa.Column("coverage", sa.String, primary_key=True),
    sa.Column("window_to", Instant, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("engagements", sa.Integer, nullable=False),
    sa.Column("proof", sa.String, nullable=False),
    sa.Column("breaches", sa.Text),
    sa.Column("finished_at", Instant, nullable=False),
)


@dataclass(frozen=True)
class WalkedDay:
    """What is known of an account-day from walking it.

    Attributes:
        account: the account.
        day: the UTC day.
        status: PROVED, PARTIAL (still open), HELD (not proved) or RELEASED.
        proof: the weakest window's.
        coverage: "all engagements", or the channels asked for.
        began_at: before which an engagement must have been visible, to be claimed.
        claim_from: start of the claim.
        claim_to: its end, inclusive.
        source_clock: the end was fixed by the source's clock, not ours.
        walked_at: when the walk ended: how fresh the content is.
        run_id: by which run.
        calls: questions asked.
        found: engagements of the day that the source showed.
        breaches: assumptions broken, with how often.
        dropped: values the field policy kept out of the day's documents, by path.
        reason: why a day that was held back was released, and by whom.
    """

    account: str
    day: date
    status: str
    proof: str
    coverage: str
    began_at: datetime
    claim_from: datetime
    claim_to: datetime
    source_clock: bool
    walked_at: datetime
    run_id: str
    calls: int
    found: int
    breaches: Mapping[str, int]
    dropped: Mapping[str, int]
    reason: str | None = None


@dataclass(frozen=True)
class WalkedWindow:
    """One window as it was walked."""

    window_from: datetime
    window_to: datetime
    coverage: str
    calls: int
    engagements: int
    proof: str
    breaches: Mapping[str, int]
    finished_at: datetime
    run_id: str = ""


@dataclass(frozen=True)
class OpenWalk:
    """A walk that has begun and not ended."""

    account: str
    day: date
    run_id: str
    coverage: str
    began_at: datetime
    claim_to: datetime


def begin(state: State, walk: OpenWalk) -> None:
    """Note that a walk begins, in place of one that never ended."""
    with state.write() as connection:
        connection.execute(
            _windows.delete().where(
                _windows.c.account_id == walk.account,
                _windows.c.day == walk.day,
                _windows.c.run_id == walk.run_id,
            )
        )
        row = {**asdict(walk), "account_id": walk.account}
        del row["account"]
        upsert(connection, _walks, [row])


def unfinished(state: State, account: str, day: date) -> OpenWalk | None:
    """The account-day's walk that has not ended."""
    query = sa.select(_walks).where(_walks.c.account_id == account, _walks.c.day == day)
    with state.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return OpenWalk(account, day, row.run_id, row.coverage, row.began_at, row.claim_to)


def finish_window(
    state: State, account: str, day: date, run_id: str, window: WalkedWindow
) -> None:
    """Note that a window was walked; its documents have landed before."""
    row = {
        "account_id": account,
        "run_id": run_id,
        "day": day,
        "window_from": window.window_from,
        "window_to": window.window_to,
        "coverage": window.coverage,
        "calls": window.calls,
        "engagements": window.engagements,
        "proof": window.proof,
        "breaches": json.dumps(window.breaches) if window.breaches else None,
        "finished_at": window.finished_at,
    }
    with state.write() as connection:
        upsert(connection, _windows, [row])


def windows_of(
    state: State, account: str, day: date, run_id: str
) -> list[WalkedWindow]:
    """The windows of the account-day that a run walked, oldest first."""
    query = (
        sa.select(_windows)
        .where(
            _windows.c.account_id == account,
            _windows.c.day == day,
            _windows.c.run_id == run_id,
        )
        .order_by(_windows.c.window_from, _windows.c.coverage)
    )
    with state.read() as connection:
        return [
            WalkedWindow(
                row.window_from,
                row.window_to,
                row.coverage,
                row.calls,
                row.engagements,
                row.proof,
                json.loads(row.breaches or "{}"),
                row.finished_at,
                row.run_id,
            )
            for row in connection.execute(query)
        ]


def finish_day(state: State, walked: WalkedDay) -> WalkedDay:
    """Note how a walk of an account-day ended; returns what is known of it now.

    A day that was proved or released stays so when a later walk of it cannot be
    proved: its claim stands as it was made. What was claimed while the day was open
    ends with the first walk that cannot be proved.
    """
    with state.write() as connection:
        connection.execute(
            _walks.delete().where(
                _walks.c.account_id == walked.account, _walks.c.day == walked.day
            )
        )
        before = _day_of(connection, walked.account, walked.day)
        if before is not None:
            dropped = dict(Counter(before.dropped) + Counter(walked.dropped))
            if _RANK[before.status] > _RANK[walked.status]:
                walked = before
            walked = replace(walked, dropped=dropped)
        upsert(connection, _days, [_row(walked)])
    return walked


def note_dropped(
    state: State, account: str, day: date, dropped: Mapping[str, int]
) -> None:
    """Add what the field policy kept out of documents that no walk brought."""
    with state.write() as connection:
        walked = _day_of(connection, account, day)
        if walked is not None and dropped:
            both = dict(Counter(walked.dropped) + Counter(dropped))
            upsert(connection, _days, [_row(replace(walked, dropped=both))])


def release(
    state: State, account: str, day: date, reason: str, *, proved: bool = False
) -> WalkedDay | None:
    """Let a held account-day pass, by somebody's word; None when it is not held.

    Args:
        state: the state.
        account: the account.
        day: the UTC day.
        reason: who says so, and why.
        proved: it is proved and held for another reason: it stays proved.
    """
    with state.write() as connection:
        walked = _day_of(connection, account, day)
        if walked is None or (walked.status != HELD and not proved):
            return None
        status = RELEASED if walked.status == HELD else walked.status
        walked = replace(walked, status=status, reason=reason)
        upsert(connection, _days, [_row(walked)])
    return walked


def day_of(state: State, account: str, day: date) -> WalkedDay | None:
    """What is known of the account-day; None when it was never walked."""
    with state.read() as connection:
        return _day_of(connection, account, day)


def days_of(state: State, account: str) -> list[WalkedDay]:
    """All the account's walked days, in order."""
    query = sa.select(_days).where(_days.c.account_id == account).order_by(_days.c.day)
    with state.read() as connection:
        return [_walked(row) for row in connection.execute(query)]


def note_audit(
    state: State, account: str, day: date, *, at: datetime, total: int | None, held: int
) -> None:
    """Keep what an audit of a closed day counted."""
    row = {
        "account_id": account,
        "day": day,
        "audited_at": at,
        "total": total,
        "held": held,
    }
    with state.write() as connection:
        upsert(connection, _audits, [row])


def audited(state: State, account: str) -> dict[date, datetime]:
    """When each of the account's days was audited last."""
    query = sa.select(_audits.c.day, _audits.c.audited_at).where(
        _audits.c.account_id == account
    )
    with state.read() as connection:
        return {row.day: row.audited_at for row in connection.execute(query)}


def all_windows(state: State) -> list[dict[str, Any]]:
    """Every window ever walked, as rows of `extract_windows`."""
    query = sa.select(_windows).order_by(*_windows.primary_key.columns)
    with state.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001


def _row(walked: WalkedDay) -> dict[str, Any]:
    row = asdict(walked)
    row["account_id"] = row.pop("account")
    row["breaches"] = json.dumps(row["breaches"], sort_keys=True)
    row["dropped"] = json.dumps(row["dropped"], sort_keys=True)
    return row


def _day_of(connection: sa.Connection, account: str, day: date) -> WalkedDay | None:
    query = sa.select(_days).where(_days.c.account_id == account, _days.c.day == day)
    row = connection.execute(query).one_or_none()
    return None if row is None else _walked(row)


def _walked(row: Any) -> WalkedDay:
    fields: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 (SQLAlchemy's name)
    fields["account"] = fields.pop("account_id")
    fields["breaches"] = json.loads(fields["breaches"])
    fields["dropped"] = json.loads(fields["dropped"])
    return WalkedDay(**fields)
