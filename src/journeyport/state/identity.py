"""What identity must remember: id history, operator rules, versions.

The history of customer ids is durable input: from raw documents, operator rules and
this history everything else of identity can be rebuilt. How ids are given out and what
a rule means is decided in `identity`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata

customer_id_history = sa.Table(
    "customer_id_history",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("event_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.String, nullable=False),
    sa.Column("event", sa.String, nullable=False),
    sa.Column("other_customer_id", sa.String),
    sa.Column("anchor_type", sa.String),
    sa.Column("anchor_value", sa.String),
    sa.Column("generation", sa.Integer),
    sa.Column("identity_version", sa.Integer, nullable=False),
    sa.Index("customer_id_history_by_customer", "account_id", "customer_id"),
    sa.Index("customer_id_history_by_anchor", "account_id", "anchor_value"),
)
_CHUNK = 500

identity_rules = sa.Table(
    "identity_rules",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("account_id", sa.String, nullable=False, index=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("left_type", sa.String, nullable=False),
    sa.Column("left_value", sa.String, nullable=False),
    sa.Column("right_type", sa.String, nullable=False),
    sa.Column("right_value", sa.String, nullable=False),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("undone_at", Instant),
    sa.Column("undone_by", sa.String),
)

identity_versions = sa.Table(
    "identity_versions",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("resolved_at", Instant, nullable=False),
    sa.Column("published", sa.Boolean, nullable=False),
)


@dataclass(frozen=True)
class HistoryEvent:
    """One thing that happened to one customer id; see the table's declaration."""

    event_number: int
    customer_id: str
    event: str
    other_customer_id: str | None
    anchor_type: str | None
    anchor_value: str | None
    generation: int | None
    identity_version: int


@dataclass(frozen=True)
class OperatorRule:
    """What a person ruled about two identifiers.

    Attributes:
        number: counts up over all accounts; never given twice.
        kind: MUST_LINK or CANNOT_LINK.
        left, right: (type, normalised value).
        expires_at: when it stops to hold; None: never.
        undone_at: when it was taken back; None: not.
    """

    number: int
    account_id: str
    kind: str
    left: tuple[str, str]
    right: tuple[str, str]
    author: str
    reason: str
    created_at: datetime
    expires_at: datetime | None
    undone_at: datetime | None
    undone_by: str | None

    def holds(self, now: datetime) -> bool:
        """Whether the rule counts at this instant."""
        return self.undone_at is None and (
            self.expires_at is None or self.expires_at > now
        )


@dataclass(frozen=True)
class IdentityVersion:
    """The last identity version of an account.

    Attributes:
        fingerprint: of the configuration it was made under.
        published: its snapshots are in the lake.
    """

    version: int
    fingerprint: str
    published: bool


def read_history(state: State, account: str) -> list[HistoryEvent]:
    """Every event of the account, in the order of happening."""
    columns = [c for c in customer_id_history.c if c.name != "account_id"]
    query = (
        sa.select(*columns)
        .where(customer_id_history.c.account_id == account)
        .order_by(customer_id_history.c.event_number)
    )
    with state.read() as connection:
        return [HistoryEvent(*row) for row in connection.execute(query)]


def read_history_of(
    state: State, account: str, customers: Iterable[str], anchors: Iterable[str]
) -> tuple[list[HistoryEvent], list[HistoryEvent], int]:
    """What a night needs of a long history.

    Answers the events of some customers, the mintings from some identifier values, and
    the highest event number of the account.
    """
    history = customer_id_history.c
    columns = [c for c in customer_id_history.c if c.name != "account_id"]
    mine = sa.select(*columns).where(history.account_id == account)
    with state.read() as connection:

        def chosen(
            query: sa.Select[Any], column: sa.Column[Any], wanted: Iterable[str]
        ) -> list[HistoryEvent]:
            listed = sorted(set(wanted))
            found: list[HistoryEvent] = []
            for first in range(0, len(listed), _CHUNK):
                part = query.where(column.in_(listed[first : first + _CHUNK]))
                found += [HistoryEvent(*row) for row in connection.execute(part)]
            return sorted(found, key=lambda event: event.event_number)

        theirs = chosen(mine, history.customer_id, customers)
        minted = chosen(
            mine.where(history.event == "MINTED"), history.anchor_value, anchors
        )
        last = connection.scalar(
            sa.select(sa.func.max(history.event_number)).where(
                history.account_id == account
            )
        )
    return theirs, minted, last or 0


def last_history_version(state: State, account: str) -> int:
    """The identity version of the account's last event; 0: there is none."""
    history = customer_id_history.c
    query = sa.select(sa.func.max(history.identity_version)).where(
        history.account_id == account
    )
    with state.read() as connection:
        return connection.scalar(query) or 0


def read_version(state: State, account: str) -> IdentityVersion | None:
    """The account's last version; None before the first."""
    query = sa.select(identity_versions).where(
        identity_versions.c.account_id == account
    )
    with state.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return IdentityVersion(row.version, row.fingerprint, row.published)


def record_version(
    state: State,
    account: str,
    *,
    version: IdentityVersion,
    events: Sequence[HistoryEvent],
    run_id: str,
    now: datetime,
) -> None:
    """Keep a version and the events it brought, whole or not at all."""
    values = {
        "version": version.version,
        "fingerprint": version.fingerprint,
        "run_id": run_id,
        "resolved_at": now,
        "published": version.published,
    }
    with state.write() as connection:
        if events:
            connection.execute(
                customer_id_history.insert(), list(_event_rows(account, events))
            )
        done = connection.execute(
            identity_versions.update()
            .where(identity_versions.c.account_id == account)
            .values(**values)
        )
        if done.rowcount == 0:
            connection.execute(
                identity_versions.insert().values(account_id=account, **values)
            )


def mark_published(state: State, account: str, version: int) -> None:
    """The snapshots of that version are in the lake."""
    current = identity_versions.c
    with state.write() as connection:
        connection.execute(
            identity_versions.update()
            .where(current.account_id == account)
            .where(current.version == version)
            .where(current.published.is_(False))
            .values(published=True)
        )


def _event_rows(
    account: str, events: Iterable[HistoryEvent]
) -> Iterable[dict[str, object]]:
    for event in events:
        yield {"account_id": account, **vars(event)}


def insert_rule(
    state: State,
    *,
    account: str,
    kind: str,
    left: tuple[str, str],
    right: tuple[str, str],
    author: str,
    reason: str,
    created_at: datetime,
    expires_at: datetime | None,
) -> OperatorRule:
    """Keep a new rule; the caller has checked it."""
    with state.write() as connection:
        # Counted over undone rules too, so that a number is never given twice.
        highest = connection.scalar(sa.select(sa.func.max(identity_rules.c.number)))
        number = (highest or 0) + 1
        connection.execute(
            identity_rules.insert().values(
                number=number,
                account_id=account,
                kind=kind,
                left_type=left[0],
                left_value=left[1],
                right_type=right[0],
                right_value=right[1],
                author=author,
                reason=reason,
                created_at=created_at,
                expires_at=expires_at,
            )
        )
    return OperatorRule(
        number,
        account,
        kind,
        left,
        right,
        author,
        reason,
        created_at,
        expires_at,
        None,
        None,
    )


def mark_undone(state: State, number: int, *, author: str, now: datetime) -> bool:
    """Take a rule back; False where there is none that still stands."""
    with state.write() as connection:
        done = connection.execute(
            identity_rules.update()
            .where(identity_rules.c.number == number)
            .where(identity_rules.c.undone_at.is_(None))
            .values(undone_at=now, undone_by=author)
        )
    return bool(done.rowcount)


def read_rules(state: State, account: str | None = None) -> list[OperatorRule]:
    """Every rule ever made, undone and expired ones included, in their order."""
    query = sa.select(identity_rules).order_by(identity_rules.c.number)
    if account is not None:
        query = query.where(identity_rules.c.account_id == account)
    with state.read() as connection:
        rows = connection.execute(query).all()
    return [
        OperatorRule(
            number=row.number,
            account_id=row.account_id,
            kind=row.kind,
            left=(row.left_type, row.left_value),
            right=(row.right_type, row.right_value),
            author=row.author,
            reason=row.reason,
            created_at=row.created_at,
            expires_at=row.expires_at,
            undone_at=row.undone_at,
            undone_by=row.undone_by,
        )
        for row in rows
    ]
