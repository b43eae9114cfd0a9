"""What was found wrong and whom it was told to, so that one cause is told once.

A cause stays from the look that found it until one that does not find it any more.
What a cause is, and how it is told, is said in `journeyport.alerts`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata, upsert

CLAIM = timedelta(minutes=5)
"""For so long a cause is left to the process that is about to tell it."""

_alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("topic", sa.String, nullable=False),
    sa.Column("sentence", sa.Text, nullable=False),
    sa.Column("raised_at", Instant, nullable=False),
    # The channels that took it, separated by blanks.
    sa.Column("told", sa.String, nullable=False),
    sa.Column("claimed_until", Instant),
)

_nights = sa.Table(
    "delivered_nights",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("delivered_at", Instant, nullable=False),
    sa.Column("told_at", Instant),
)


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong.

    Attributes:
        kind: failure, check, rejects, drift, stale or held.
        topic: what it is about; causes of one kind and topic go into one message.
        subject: tells it from others of its topic.
        sentence: what is wrong, without a value of anybody.
    """

    kind: str
    topic: str
    subject: str
    sentence: str

    @property
    def key(self) -> str:
        """What it is remembered by."""
        return f"{self.kind}/{self.topic}/{self.subject}"


@dataclass(frozen=True)
class Open:
    """A cause that stands, since when, and the channels that took it."""

    cause: Cause
    raised_at: datetime
    told: frozenset[str]


def keep(
    state: State, causes: Iterable[Cause], judged: Sequence[str], *, now: datetime
) -> None:
    """Remember these causes and forget those that were looked for and not found.

    Args:
        state: the state.
        causes: what was found.
        judged: beginnings of the keys that were looked for.
        now: the time.
    """
    found = {cause.key: cause for cause in causes}
    with state.read() as connection:
        # Nearly every look finds what the one before found: nothing is locked for it.
        if not _news(connection, found, judged):
            return
    with state.write() as connection:
        news = _news(connection, found, judged)
        gone = [key for key, cause in news.items() if cause is None]
        connection.execute(_alerts.delete().where(_alerts.c.key.in_(gone)))
        for key, cause in news.items():
            if cause is None:
                continue
            said = {"sentence": cause.sentence}
            same = _alerts.update().where(_alerts.c.key == key).values(said)
            if connection.execute(same).rowcount == 0:
                row = {
                    "key": key,
                    "kind": cause.kind,
                    "topic": cause.topic,
                    **said,
                    "raised_at": now,
                    "told": "",
                    "claimed_until": None,
                }
                upsert(connection, _alerts, [row])


def _news(
    connection: sa.Connection, found: Mapping[str, Cause], judged: Sequence[str]
) -> dict[str, Cause | None]:
    """What is not remembered as it was found; None: it is over."""
    rows = connection.execute(sa.select(_alerts.c.key, _alerts.c.sentence))
    there = {row.key: row.sentence for row in rows}
    news: dict[str, Cause | None] = {
        key: cause for key, cause in found.items() if there.get(key) != cause.sentence
    }
    for key in there.keys() - found.keys():
        if any(key.startswith(beginning) for beginning in judged):
            news[key] = None
    return news


def claim(state: State, channels: Iterable[str], *, now: datetime) -> list[Open]:
    """The causes that one of these channels has not taken; they are ours for a while.

    Two processes may look at the same time; only one of them tells.
    """
    wanted = set(channels)
    with state.read() as connection:
        if not _untold(connection, wanted, now):
            return []
    with state.write() as connection:
        mine = _untold(connection, wanted, now)
        connection.execute(
            _alerts.update()
            .where(_alerts.c.key.in_([row.key for row in mine]))
            .values(claimed_until=now + CLAIM)
        )
    return [_open(row) for row in mine]


def _untold(connection: sa.Connection, wanted: set[str], now: datetime) -> list[Any]:
    return [
        row
        for row in connection.execute(sa.select(_alerts).order_by(*_ORDER)).all()
        if wanted - set(row.told.split())
        and (row.claimed_until is None or row.claimed_until <= now)
    ]


def release(state: State, causes: Iterable[Open], told: dict[str, set[str]]) -> None:
    """Give claimed causes back, with the channels that took each, by key."""
    with state.write() as connection:
        for one in causes:
            took = one.told | told.get(one.cause.key, set())
            connection.execute(
                _alerts.update()
                .where(_alerts.c.key == one.cause.key)
                .values(told=" ".join(sorted(took)), claimed_until=None)
            )


def standing(state: State) -> list[Open]:
    """Every cause that stands, the oldest first."""
    with state.read() as connection:
        query = sa.select(_alerts).order_by(_alerts.c.raised_at, *_ORDER)
        return [_open(row) for row in connection.execute(query)]


def note_delivered(state: State, run_id: str, *, now: datetime) -> None:
    """Note that a night was delivered; a second note of the same night is none."""
    with state.write() as connection:
        there = sa.select(_nights.c.run_id).where(_nights.c.run_id == run_id)
        if connection.scalar(there) is None:
            row = {"run_id": run_id, "delivered_at": now, "told_at": None}
            upsert(connection, _nights, [row])


def last_delivered(state: State) -> datetime | None:
    """When the latest night was delivered; None: never."""
    with state.read() as connection:
        found: datetime | None = connection.scalar(
            sa.select(_nights.c.delivered_at)
            .order_by(_nights.c.delivered_at.desc())
            .limit(1)
        )
    return found


def untold_nights(state: State) -> dict[str, datetime]:
    """Delivered nights whose heartbeat was not sent, and when each was delivered."""
    query = sa.select(_nights).where(_nights.c.told_at.is_(None))
    with state.read() as connection:
        return {row.run_id: row.delivered_at for row in connection.execute(query)}


def note_told(state: State, run_ids: Iterable[str], *, now: datetime) -> None:
    """Note that these nights need no heartbeat any more."""
    with state.write() as connection:
        connection.execute(
            _nights.update()
            .where(_nights.c.run_id.in_(list(run_ids)))
            .values(told_at=now)
        )


_ORDER = (_alerts.c.kind, _alerts.c.topic, _alerts.c.key)


def _open(row: sa.Row[tuple[object, ...]]) -> Open:
    key: str = row.key
    subject = key.removeprefix(f"{row.kind}/{row.topic}/")
    cause = Cause(row.kind, row.topic, subject, row.sentence)
    return Open(cause, row.raised_at, frozenset(row.told.split()))
