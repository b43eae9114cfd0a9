"""Documents and records that were refused, by us or by a target, until they are not.

Every stage records here; the table `rejected_records` is published from it.
"""

from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any, Protocol

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata, upsert

_rejects = sa.Table(
    "rejected_records",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("stage", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("record_key", sa.String, primary_key=True),
    sa.Column("field", sa.String, primary_key=True),
    sa.Column("code", sa.String, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("day", sa.Date),
    sa.Column("payload", sa.Text),
    sa.Column("first_seen_at", Instant, nullable=False),
    sa.Column("last_seen_at", Instant, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
)

_KEY = ("account_id", "stage", "object_name", "record_key", "field")


DOCUMENTS = "raw_engagements"
"""The object of a reject that names none: a document that landed or should have."""


class Reject(Protocol):
    """What a stage refused; stage and account are given beside it.

    One that refused a record of a target has an `object_name` as well.
    """

    @property
    def record_key(self) -> str:
        """Engagement id, external id, or a payload's hash."""

    @property
    def field(self) -> str:
        """The field; empty: the whole."""

    @property
    def code(self) -> str:
        """A short code."""

    @property
    def reason(self) -> str:
        """The reason in words, without values."""

    @property
    def payload(self) -> str | None:
        """The document under the field policy; None: kept elsewhere."""


def record(
    state: State,
    account: str,
    stage: str,
    rejects: Iterable[Reject],
    *,
    day: date | None,
    run_id: str,
    now: datetime,
) -> None:
    """Keep what was refused; a repeated refusal counts as another attempt."""
    with state.write() as connection:
        for reject in rejects:
            key = {
                "account_id": account,
                "stage": stage,
                "object_name": _object(reject),
                "record_key": reject.record_key,
                "field": reject.field,
            }
            before = connection.execute(
                sa.select(_rejects.c.first_seen_at, _rejects.c.attempts).where(
                    *(_rejects.c[name] == key[name] for name in _KEY)
                )
            ).one_or_none()
            row = {
                **key,
                "code": reject.code,
                "reason": reject.reason,
                "day": day,
                "payload": reject.payload,
                "first_seen_at": before.first_seen_at if before else now,
                "last_seen_at": now,
                "attempts": (before.attempts if before else 0) + 1,
                "run_id": run_id,
            }
            upsert(connection, _rejects, [row])


def replace_day(
    state: State,
    account: str,
    stage: str,
    day: date,
    rejects: Iterable[Reject],
    *,
    run_id: str,
    now: datetime,
) -> None:
    """Record a day's rejects and let go of those it no longer has."""
    kept = list(rejects)
    keys = {(_object(one), one.record_key, one.field) for one in kept}
    names = (_rejects.c.object_name, _rejects.c.record_key, _rejects.c.field)
    mine = (
        _rejects.c.account_id == account,
        _rejects.c.stage == stage,
        _rejects.c.day == day,
    )
    with state.write() as connection:
        for row in connection.execute(sa.select(*names).where(*mine)).all():
            if (row.object_name, row.record_key, row.field) not in keys:
                connection.execute(
                    _rejects.delete().where(
                        *mine,
                        *(column == row[at] for at, column in enumerate(names)),
                    )
                )
    record(state, account, stage, kept, day=day, run_id=run_id, now=now)


def _object(reject: Reject) -> str:
    return str(getattr(reject, "object_name", DOCUMENTS))


def forget_payloads(state: State, account: str, keys: Collection[str]) -> None:
    """Let go of the payloads of these engagements: the source erased them."""
    with state.write() as connection:
        for key in sorted(keys):
            connection.execute(
                _rejects.update()
                .where(_rejects.c.account_id == account, _rejects.c.record_key == key)
                .values(payload=None)
            )


def all_rows(state: State) -> list[dict[str, Any]]:
    """Everything refused, as rows of `rejected_records`."""
    query = sa.select(_rejects).order_by(*_rejects.primary_key.columns)
    with state.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001


def counted(state: State) -> dict[tuple[str, str, str, str], int]:
    """How many stand, by account, stage, object and code."""
    by = (
        _rejects.c.account_id,
        _rejects.c.stage,
        _rejects.c.object_name,
        _rejects.c.code,
    )
    query = sa.select(*by, sa.func.count()).group_by(*by).order_by(*by)
    with state.read() as connection:
        return {tuple(row[:4]): row[4] for row in connection.execute(query)}
