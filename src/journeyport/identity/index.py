"""The index: evidence by value and by engagement, for nights that read only a part.

A cache. It lies beside the state (SQLite) or in its database, says which identity
version it is of, and may be deleted at any time: the next night then rebuilds it from
the lake. The part of it that a night reads is in `scope`, its tables are in `indexed`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import sqlalchemy as sa

from journeyport.identity.indexed import (
    TEMPORARY,
    Basis,
    basis,
    days,
    engagements,
    evidence,
    metadata,
    sharers,
    values,
)
from journeyport.state import State

FILE = "identity-index.db"
BATCH = 20_000
MAPPED = (1 << 31) - (1 << 16)
"""Bytes of the file that are read without a call each: SQLite's own limit."""


@contextmanager
def opened(state: State) -> Iterator["Index"]:
    """The index of a state, in one transaction: kept whole or not at all."""
    if state.path is None:
        engine, own = state.engine, False
    else:
        path = state.path.with_name(FILE)
        path.touch(mode=0o600)
        engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
        own = True

        @sa.event.listens_for(engine, "connect")
        def _fast(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute("PRAGMA cache_size=-262144")
            connection.execute(f"PRAGMA mmap_size={MAPPED}")

    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
            yield Index(connection)
    finally:
        if own:
            engine.dispose()


class Index:
    """The index of all accounts, inside one open transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        for name, columns in TEMPORARY.items():
            self.run(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({columns})")

    # what it is of

    def basis(self, account: str) -> Basis | None:
        """What the account's part is of; None: there is none."""
        row = self._connection.execute(
            sa.select(basis).where(basis.c.account == account)
        ).one_or_none()
        return (
            None
            if row is None
            else Basis(row.version, row.rules, row.operators, row.told)
        )

    def set_basis(self, account: str, held: Basis, content: Mapping[str, str]) -> None:
        """Say what the account's part is of, and from which days' content."""
        for table in (basis, days):
            self._connection.execute(sa.delete(table).where(table.c.account == account))
        self._connection.execute(sa.insert(basis), [{"account": account, **vars(held)}])
        self._many(
            days,
            [
                {"account": account, "day": day, "content": what}
                for day, what in content.items()
            ],
        )

    def days(self, account: str) -> dict[str, str]:
        """The days the account's part was made from, and a hash of their content."""
        rows = self._connection.execute(
            sa.select(days).where(days.c.account == account)
        )
        return {row.day: row.content for row in rows}

    # changing

    def clear(self, account: str) -> None:
        """Forget an account."""
        mine = sa.select(values.c.id).where(values.c.account == account)
        for table in (evidence, sharers):
            self._connection.execute(sa.delete(table).where(table.c.value.in_(mine)))
        for table in (values, engagements, basis, days):
            self._connection.execute(sa.delete(table).where(table.c.account == account))

    def add_values(self, account: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Add new values: kind, value, weight; numbered on from the answer."""
        first = self._next(values)
        bare = {"crowded": False, "customer": None, "often": 0, "account": account}
        self._many(
            values,
            ({**bare, **row, "id": number} for number, row in enumerate(rows, first)),
        )
        return first

    def add_engagements(self, account: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Add engagements: name, day, start, status, channel, topic; numbered alike."""
        first = self._next(engagements)
        self._many(
            engagements,
            (
                {**row, "account": account, "id": number}
                for number, row in enumerate(rows, first)
            ),
        )
        return first

    def add_evidence(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Rows of (value, start, engagement)."""
        self._many(
            evidence,
            (
                {"value": value, "start": start, "engagement": engagement}
                for value, start, engagement in rows
            ),
        )

    def remove_engagements(self, ids: Iterable[int]) -> None:
        """Forget engagements and what they carried."""
        self.fill("edge_engagements", ids)
        self.run(
            "DELETE FROM identity_index_evidence WHERE (value, start, engagement) IN ("
            "SELECT e.value, e.start, e.engagement FROM edge_engagements w "
            "CROSS JOIN identity_index_evidence e WHERE e.engagement = w.id)"
        )
        self.run(
            "DELETE FROM identity_index_engagements WHERE id IN "
            "(SELECT id FROM edge_engagements)"
        )

    def own(self, owners: Iterable[tuple[int, str | None, bool, int]]) -> None:
        """Set (value, customer, crowded, how many engagements carry it)."""
        self.each(
            "UPDATE identity_index_values SET customer = :customer, "
            "crowded = :crowded, often = :often WHERE id = :id",
            [
                {"id": value, "customer": customer, "crowded": crowded, "often": often}
                for value, customer, crowded, often in owners
            ],
        )

    def count(self, more: Mapping[int, int]) -> None:
        """Add to how many engagements carry each value."""
        self.each(
            "UPDATE identity_index_values SET often = often + :more WHERE id = :id",
            [{"id": value, "more": count} for value, count in more.items()],
        )

    def share(self, gone: Iterable[str], pairs: Iterable[tuple[int, str]]) -> None:
        """Take customers from all crowded values they share, and add others."""
        self._ask_names(gone)
        self.run(
            "DELETE FROM identity_index_sharers WHERE customer IN "
            "(SELECT name FROM asked_names)"
        )
        self._many(
            sharers,
            [{"value": value, "customer": customer} for value, customer in pairs],
        )

    def uncrowd(self, ids: Iterable[int]) -> None:
        """These values are walked through again."""
        rows = [{"id": value} for value in ids]
        self.each("DELETE FROM identity_index_sharers WHERE value = :id", rows)
        self.each(
            "UPDATE identity_index_values SET crowded = FALSE WHERE id = :id", rows
        )

    # reading

    def engagements_of(self, account: str, wanted: Sequence[str]) -> list[Any]:
        """id, name, day, start, status, channel, topic of the engagements of days."""
        found: list[Any] = []
        for day in wanted:
            found += self._connection.execute(
                sa.select(engagements)
                .where(engagements.c.account == account)
                .where(engagements.c.day == day)
            ).all()
        return found

    def carried_by(self, ids: Iterable[int]) -> list[tuple[int, int, str, str, bool]]:
        """(engagement, value, kind, value's text, not walked through)."""
        self.fill("edge_engagements", ids)
        return [
            (engagement, number, kind, value, bool(crowded) or not weight)
            for engagement, number, kind, value, crowded, weight in self.rows(
                "SELECT e.engagement, v.id, v.kind, v.value, v.crowded, v.weight "
                "FROM edge_engagements w CROSS JOIN identity_index_evidence e "
                "CROSS JOIN identity_index_values v "
                "WHERE e.engagement = w.id AND v.id = e.value"
            )
        ]

    def numbers(
        self, account: str, wanted: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], tuple[int, bool]]:
        """Number of each known value, and whether it is crowded or blocked."""
        self.run("DELETE FROM asked")
        self.each(
            "INSERT INTO asked VALUES (:kind, :value)",
            [{"kind": kind, "value": value} for kind, value in wanted],
        )
        rows = self.rows(
            "SELECT v.kind, v.value, v.id, v.crowded, v.weight FROM asked a "
            "CROSS JOIN identity_index_values v WHERE v.account = :account "
            "AND v.kind = a.kind AND v.value = a.value",
            account=account,
        )
        return {
            (kind, value): (number, bool(crowded) or not weight)
            for kind, value, number, crowded, weight in rows
        }

    def known(self, account: str, names: Iterable[str]) -> dict[str, str]:
        """Of the engagements that are known, the day of each."""
        self._ask_names(names)
        return dict(
            self.rows(
                "SELECT e.name, e.day FROM asked_names a "
                "CROSS JOIN identity_index_engagements e "
                "WHERE e.account = :account AND e.name = a.name",
                account=account,
            )
        )

    def sharing(self, customers: Iterable[str]) -> dict[int, int]:
        """The crowded values that customers share, and how many of these share each."""
        self._ask_names(customers)
        return dict(
            self.rows(
                "SELECT s.value, count(*) FROM asked_names a "
                "CROSS JOIN identity_index_sharers s WHERE s.customer = a.name "
                "GROUP BY s.value"
            )
        )

    def sharers(self, value: int, most: int) -> int:
        """How many customers a crowded value may be of, counted up to `most`."""
        return len(
            self.rows(
                "SELECT 1 FROM identity_index_sharers WHERE value = :value LIMIT :most",
                value=value,
                most=most,
            )
        )

    def seen(self, value: int) -> tuple[int, int, int]:
        """First and last start of a value's engagements, and how many there are."""
        ((first,),) = self.rows(
            "SELECT min(start) FROM identity_index_evidence WHERE value = :value",
            value=value,
        )
        # Apart: SQLite seeks one end of an index, but scans for both.
        ((last,),) = self.rows(
            "SELECT max(start) FROM identity_index_evidence WHERE value = :value",
            value=value,
        )
        ((often,),) = self.rows(
            "SELECT often FROM identity_index_values WHERE id = :value", value=value
        )
        return first, last, often

    def first_meeting(self, left: int, right: int) -> tuple[str, int] | None:
        """Name and start of the earliest engagement that carries both values."""
        rows = self.rows(
            "SELECT n.name, a.start FROM identity_index_evidence a "
            "JOIN identity_index_evidence b ON b.engagement = a.engagement "
            "JOIN identity_index_engagements n ON n.id = a.engagement "
            "WHERE a.value = :left AND b.value = :right "
            "ORDER BY a.start, n.name LIMIT 1",
            left=left,
            right=right,
        )
        return (rows[0][0], rows[0][1]) if rows else None

    # statements

    def _next(self, table: sa.Table) -> int:
        return (self._connection.scalar(sa.select(sa.func.max(table.c.id))) or 0) + 1

    def _many(self, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
        """Insert, a bounded number of rows in memory at a time."""
        waiting = iter(rows)
        while batch := list(islice(waiting, BATCH)):
            self._connection.execute(sa.insert(table), batch)

    def each(self, statement: str, rows: list[dict[str, Any]]) -> None:
        """Run a statement once per row of values."""
        if rows:
            self._connection.execute(sa.text(statement), rows)

    def _ask_names(self, names: Iterable[str]) -> None:
        self.run("DELETE FROM asked_names")
        self.each(
            "INSERT INTO asked_names VALUES (:name)", [{"name": name} for name in names]
        )

    def fill(self, table: str, ids: Iterable[int]) -> None:
        """Set the numbers of a temporary table."""
        self.run(f"DELETE FROM {table}")  # noqa: S608 - a name from this module
        self.each(
            f"INSERT INTO {table} VALUES (:id)",  # noqa: S608 - as above
            [{"id": number} for number in sorted(set(ids))],
        )

    def run(self, statement: str) -> None:
        """Run a statement."""
        self._connection.execute(sa.text(statement))

    def rows(self, statement: str, **given: Any) -> list[Any]:
        """Run a query; values by name."""
        return [
            tuple(row) for row in self._connection.execute(sa.text(statement), given)
        ]
