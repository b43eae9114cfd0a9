"""Filling a database with engagements of invented people, in bounded memory.

Block after block of people is made, each with all its engagements, and written in
batches; the same seed gives the same database, and another number of engagements a
longer or shorter stretch of the same people. The true person behind every engagement is
written to a file of its own, so that resolving identities can be scored.
"""

import gc
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TextIO

import orjson
import sqlalchemy as sa

from customer_journey.auth import type_id
from customer_journey.calendars import Calendar
from customer_journey.documents import Document, facets_of
from customer_journey.instants import DAY
from customer_journey.models import (
    STRETCH,
    engagements,
    facets,
    identifier_types,
    identifiers,
    occurrences,
    tallies,
)
from customer_journey.people import Person, block
from customer_journey.scenes import compose
from customer_journey.stage import Stage
from customer_journey.staging import manner_of
from customer_journey.store import Store

BATCH = 5000
REGIONS = ("DE", "US")
#: The only value that blocks share: a caller's number that was withheld.
SHARED = ("phoneNumbers", "anonymous")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to generate; the period ends where it is looked at from."""

    accounts: tuple[str, ...]
    engagements: int = 5000
    seed: int = 1
    start_day: int = 0
    days: int = 14

    @property
    def as_of(self) -> int:
        """The instant the data is seen at: what is unfinished then, is open."""
        return (self.start_day + self.days) * DAY


@dataclass(slots=True)
class Report:
    """What was generated."""

    engagements: dict[str, int] = field(default_factory=dict)
    people: int = 0
    seconds: float = 0.0


def region_of(place: int) -> str:
    """The region of the account at a place in the list: they take turns."""
    return REGIONS[place % len(REGIONS)]


def generate(
    store: Store,
    plan: Plan,
    truth: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Fill an empty database as planned.

    Raises:
        ValueError: when there are engagements already.
    """
    if store.count():
        raise ValueError(
            "The database holds engagements already: name a new file, or remove it."
        )
    started = time.monotonic()
    report = Report()
    store.drop_secondary_indexes()
    # documents hold no cycles: looking for them takes a sixth of the time
    collecting = gc.isenabled()
    gc.disable()
    try:
        _generate(store, plan, truth, progress, report)
    finally:
        if collecting:
            gc.enable()
    store.make_secondary_indexes()
    store.set_setting("seed", str(plan.seed))
    report.seconds = time.monotonic() - started
    return report


def _generate(
    store: Store,
    plan: Plan,
    truth: Path | None,
    progress: Callable[[int], None] | None,
    report: Report,
) -> None:
    shares = [3 if place == 0 else 2 for place in range(len(plan.accounts))]
    with _open_truth(truth) as file:
        loader = _Loader(store, file, progress)
        left = plan.engagements
        for place, account in enumerate(plan.accounts):
            quota = plan.engagements * shares[place] // sum(shares)
            quota = left if place == len(plan.accounts) - 1 else quota
            left -= quota
            _add_loyalty_type(store, account)
            report.people += _fill(loader, plan, account, region_of(place), quota)
            report.engagements[account] = quota
        loader.flush()
    if plan.engagements:
        loader.finish()


def _open_truth(path: Path | None) -> TextIO:
    if path is None:
        return Path("/dev/null").open("w", encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8")


def _fill(loader: "_Loader", plan: Plan, account: str, region: str, quota: int) -> int:
    """One account's engagements; answers how many people they are of."""
    stage = Stage(plan.seed, account, region)
    calendar = Calendar(plan.start_day, plan.days, region)
    number = people = 0
    loader.open_account(account)
    while quota > 0:
        number += 1
        members = block(plan.seed, account, region, number)
        rng = Random(f"{plan.seed}/{account}/{number}/scenes")  # noqa: S311
        for person in members:
            wanted = min(quota, 1 + int(rng.random() ** 2 * 9))
            if not wanted:
                break
            quota -= wanted
            people += 1
            made = []
            for _ in range(wanted):
                manner = manner_of(rng)
                start = calendar.draw(rng, manner.channel)
                document = compose(
                    rng, stage, person, manner, start=start, as_of=plan.as_of
                )
                if rng.random() < 0.004 and len(members) > 1:
                    _mistype(document, members[0])
                loader.add(document, start)
                made.append(document["id"])
            loader.tell(account, person, made)
        loader.close_block()
    return people


def _mistype(document: Document, other: Person) -> None:
    """Somebody chose the wrong record: another's address on this engagement."""
    if "emailAddresses" in document["identifiers"]:
        document["identifiers"]["emailAddresses"] = [other.emails[0]]


def _add_loyalty_type(store: Store, account: str) -> None:
    """A type the account's administrators added themselves."""
    with store.write() as connection:
        mine = identifier_types.c.account_id == account
        names = set(
            connection.execute(sa.select(identifier_types.c.name).where(mine)).scalars()
        )
        if "loyaltyCards" not in names:
            connection.execute(
                sa.insert(identifier_types).values(
                    account_id=account,
                    name="loyaltyCards",
                    identifier_id=type_id(account, "loyaltyCards"),
                    display_name="Loyalty cards",
                    strength="STRONG",
                    position=len(names),
                )
            )


def truth_line(account: str, person: Person, made: list[str]) -> str:
    """One line of the truth file: a person, and the engagements they were behind."""
    line = {
        "account": account,
        "person": person.key,
        "name": f"{person.first} {person.last}",
        "owns": {
            "phoneNumbers": person.phones,
            "emailAddresses": person.emails,
            "accountIds": person.account_ids,
            "whatsappIds": person.whatsapp,
            "loyaltyCards": person.loyalty,
        },
        "shares": person.shared_phones,
        "engagements": made,
    }
    return orjson.dumps(line).decode() + "\n"


class _Loader:
    """Writes documents in batches, numbering rows and journeys itself."""

    def __init__(
        self, store: Store, truth: TextIO, progress: Callable[[int], None] | None
    ) -> None:
        self._store = store
        self._truth = truth
        self._progress = progress
        self._seq = 0
        self._number = 0
        self._account = ""
        self._tallies: Counter[tuple[str, int]] = Counter()
        self._shared = 0
        self._shared_row: tuple[Any, ...] | None = None
        self._rows: dict[sa.Table, list[tuple[Any, ...]]] = {
            table: [] for table in (engagements, facets, identifiers, occurrences)
        }
        # plain statements: per row, SQLAlchemy's own parameters cost as much as SQLite
        mark = "?" if store.engine.dialect.paramstyle == "qmark" else "%s"
        self._statements = {
            table: f"INSERT INTO {table.name} ({', '.join(table.c.keys())}) "  # noqa: S608
            f"VALUES ({', '.join([mark] * len(table.c))})"
            for table in self._rows
        }
        #: Of the block in hand: number of each value, and the journey of each number.
        self._numbers: dict[tuple[str, str], int] = {}
        self._journey: dict[int, int] = {}

    def open_account(self, account: str) -> None:
        """Begin an account: the withheld number is its first identifier."""
        self._account = account
        self._number += 1
        self._shared = self._number
        self._shared_row = (self._shared, account, *SHARED, self._shared)

    def add(self, document: Document, start: int) -> None:
        """Take one engagement of the block in hand; columns in the tables' order."""
        self._seq += 1
        seq, rows, account = self._seq, self._rows, self._account
        held = document["identifiers"]
        rows[engagements].append(
            (
                seq,
                account,
                document["id"],
                start,
                orjson.dumps(held).decode(),
                orjson.dumps(document).decode(),
            )
        )
        self._tallies[account, start // STRETCH] += 1
        rows[facets].extend(
            (account, kind, value, start, seq) for kind, value in facets_of(document)
        )
        numbers = {
            self._of(name, value) for name, values in held.items() for value in values
        }
        rows[occurrences].extend((number, seq) for number in numbers)
        if len(numbers) > 1:
            self._join(numbers)

    def _of(self, name: str, value: str) -> int:
        if (name, value) == SHARED:
            if self._shared_row is not None:
                self._rows[identifiers].append(self._shared_row)
                self._shared_row = None
            self._journey[self._shared] = self._shared
            return self._shared
        number = self._numbers.get((name, value))
        if number is None:
            self._number += 1
            number = self._number
            self._numbers[name, value] = number
            self._journey[number] = number
        return number

    def _join(self, numbers: set[int]) -> None:
        journeys = {self._journey[number] for number in numbers}
        if len(journeys) > 1:
            kept = min(journeys)
            for number, journey in self._journey.items():
                if journey in journeys:
                    self._journey[number] = kept

    def close_block(self) -> None:
        """No later engagement touches this block's identifiers."""
        self._rows[identifiers].extend(
            (number, self._account, name, value, self._journey[number])
            for (name, value), number in self._numbers.items()
        )
        self._numbers.clear()
        self._journey.clear()
        if len(self._rows[engagements]) >= BATCH:
            self.flush()

    def tell(self, account: str, person: Person, made: list[str]) -> None:
        """Write down who was behind the engagements."""
        self._truth.write(truth_line(account, person, made))

    def flush(self) -> None:
        """Write what is in hand."""
        with self._store.write() as connection:
            for table, rows in self._rows.items():
                if rows:
                    connection.exec_driver_sql(self._statements[table], rows)
                    rows.clear()
        if self._progress is not None:
            self._progress(self._seq)

    def finish(self) -> None:
        """Write the tallies; where a sequence numbers rows, move it past these."""
        with self._store.write() as connection:
            connection.execute(
                sa.insert(tallies),
                [
                    {"account_id": account, "stretch": stretch, "engagements": count}
                    for (account, stretch), count in self._tallies.items()
                ],
            )
        if self._store.engine.dialect.name != "postgresql":
            return
        with self._store.write() as connection:
            for table, column, last in (
                ("engagements", "seq", self._seq),
                ("identifiers", "identifier", self._number),
            ):
                connection.execute(
                    sa.select(
                        sa.func.setval(
                            sa.func.pg_get_serial_sequence(table, column), max(last, 1)
                        )
                    )
                )
