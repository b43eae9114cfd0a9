"""What one night of identity costs against a short and a long history.

    python benchmarks/identity_nights.py --edges 100000 --days 30 300 --out FILE
    python benchmarks/identity_nights.py --whole --edges 10000 --days 30 300

The people keep coming: somebody new has a few contacts within forty days and then none,
so that a day is like any other. Some phones are shared by three, one call in twenty is
from one of twenty switchboards, one account id in a hundred is mistyped.

Of each length an index and a history of customer ids are filled as a rebuild would
leave them, in bulk and without the snapshots. At a small size the same is first made
by a rebuild, and both must be equal, before and after a night. Then three more days
are followed, one a night; CPU seconds of the median night: noticing the changed day
among all days, reading it, following it through the index, the index's commit and the
history's.

With `--whole`, a lake of all days is resolved from nothing, then three nights follow as
they do in production: the night and the publishing of the snapshots, apart.
"""

import argparse
import json
import os
import resource
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from journeyport.arrow import conform
from journeyport.clock import SetClock
from journeyport.identity import load_config, resolve
from journeyport.identity.evidence import WEAK, Evidence, Weights, weigh
from journeyport.identity.history import customer_id, strongest
from journeyport.identity.index import FILE, opened
from journeyport.identity.indexed import Basis
from journeyport.identity.indexing import in_order_of_arrival
from journeyport.identity.night import follow
from journeyport.identity.partition import Rulings
from journeyport.identity.reading import day_contents
from journeyport.identity.standing import Outcome, settle
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state.identity import (
    IdentityVersion,
    customer_id_history,
    record_version,
)
from journeyport.tables import ENGAGEMENT_IDENTIFIERS, ENGAGEMENTS

door = import_module("journeyport.identity.resolve")
"""The module: the package has a function of the same name."""

ACCOUNT = "ABCDEF"
FIRST = date(2026, 1, 1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = load_config()
KINDS = ("accountIds", "emailAddresses", "phoneNumbers")
STAY = 40
"""Days within which a person's contacts lie."""

BOARDS = 20
_BITS = 44


@dataclass(frozen=True)
class Day:
    """One day: what each engagement carries, by number; keys are kind and value."""

    starts: np.ndarray
    engagement: np.ndarray
    key: np.ndarray

    def names(self, day: int) -> list[str]:
        """The engagements' ids."""
        return [
            xxhash.xxh3_128_hexdigest(f"{day} {number}".encode())
            for number in range(len(self.starts))
        ]


def invented(day: int, edges: int) -> Day:
    """One day: about so many values on half as many engagements."""
    chance = np.random.default_rng([7, day])
    count = int(edges / 1.9)
    each = max(count // 12, 1) * 3
    cohort = day + STAY - chance.integers(0, STAY, count)
    person = cohort.astype(np.int64) * each + chance.integers(0, each, count)
    start = np.datetime64(FIRST, "us") + np.timedelta64(day, "D")
    starts = start + np.sort(chance.integers(0, 86_399, count)).astype("m8[s]")
    account, phone = scattered(person), scattered(person)
    typo = chance.random(count) < 0.01
    account[typo] += np.int64(1) << 40
    shared = chance.random(count) < 0.10
    phone[shared] = scattered(person[shared] // 3) + (np.int64(1) << 40)
    board = chance.random(count) < 0.05
    phone[board] = 1 + chance.integers(0, BOARDS, board.sum())
    parts = []
    for kind, (share, numbers) in enumerate(
        ((0.5, account), (0.7, scattered(person)), (0.7, phone))
    ):
        chosen = np.flatnonzero(chance.random(count) < share)
        parts.append((chosen, numbers[chosen] + (np.int64(kind) << _BITS)))
    return Day(
        starts,
        np.concatenate([chosen for chosen, _ in parts]).astype(np.int32),
        np.concatenate([keys for _, keys in parts]),
    )


def scattered(number: np.ndarray) -> np.ndarray:
    """Other numbers, each its own: neighbours do not lie side by side in an index."""
    return BOARDS + 1 + (number * 2_654_435_761) % (1 << 32)


def texts(keys: np.ndarray) -> tuple[list[str], list[str]]:
    """Types and values; in the order of keys these are in the order of the index."""
    low = (np.int64(1) << _BITS) - 1
    kinds = [KINDS[kind] for kind in (keys >> _BITS).tolist()]
    return kinds, [f"{number:013d}" for number in (keys & low).tolist()]


def day_tables(day: int, edges: int) -> dict[str, pa.Table]:
    """The tables of one day, as a lake holds them."""
    made = invented(day, edges)
    names = pa.array(made.names(day))
    count = len(names)
    lineage = {
        "account_id": pa.repeat(pa.scalar(ACCOUNT), count),
        "engagement_id": names,
        "start_date": pa.array(made.starts, pa.timestamp("us")).cast(
            pa.timestamp("us", "UTC")
        ),
        "_extracted_at": pa.array([NOW] * count),
        "_run_id": pa.repeat(pa.scalar("run"), count),
    }
    zeros = pa.array(np.zeros(count, np.int64))
    counts = [name for name in ENGAGEMENTS.names if name.endswith("_count")]
    engagements = pa.table(
        lineage
        | dict.fromkeys(counts, zeros)
        | {
            "status": pa.repeat(pa.scalar("COMPLETED"), count),
            "local_date": pc.cast(lineage["start_date"], pa.date32()),
            "local_hour": zeros,
            "local_weekday": zeros,
            "is_deleted": pa.array(np.zeros(count, np.bool_)),
        }
    )
    kinds, values = texts(made.key)
    rows = pa.table(
        {name: column.take(made.engagement) for name, column in lineage.items()}
        | {
            "identifier_type": kinds,
            "ordinal": np.zeros(len(kinds), np.int64),
            "raw_value": values,
            "value": values,
            "is_valid": np.ones(len(kinds), np.bool_),
            "strength": pa.repeat(pa.scalar("WEAK"), len(kinds)),
            "normaliser_version": np.ones(len(kinds), np.int64),
        }
    )
    rows = rows.sort_by(
        [("engagement_id", "ascending"), ("identifier_type", "ascending")]
    )
    return {
        "engagements": conform(ENGAGEMENTS, engagements),
        "engagement_identifiers": conform(ENGAGEMENT_IDENTIFIERS, rows),
    }


class Place:
    """A lake and a state in a folder."""

    def __init__(self, folder: Path) -> None:
        self.lake = Lake(folder / "lake")
        self.state = State(f"sqlite:///{folder}/state.db")
        self.index = folder / FILE

    def put(self, day: int, edges: int) -> str:
        """Write a day into the lake."""
        when = FIRST + timedelta(days=day)
        tables = day_tables(day, edges)
        self.lake.write_day(ACCOUNT, when, tables, run_id="run", facts={})
        return when.isoformat()

    def resolve(self):  # noqa: ANN201 - the report
        """Resolve whatever the lake holds."""
        return resolve(
            self.lake, self.state, RULES, accounts=[ACCOUNT], run_id="run",
            clock=SetClock(NOW),
        ).accounts[ACCOUNT]  # fmt: skip

    def close(self) -> None:
        """Close the state."""
        self.state.close()


def history(length: int, edges: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """All edges as engagement, key; and every engagement's start, numbered by day."""
    parts: list[dict[str, np.ndarray]] = []
    starts: list[np.ndarray] = []
    first = 0
    for day in range(length):
        made = invented(day, edges)
        engagement = made.engagement + np.int32(first)
        parts.append({"engagement": engagement, "key": made.key})
        starts.append(made.starts.astype(np.int64))
        first += len(made.starts)
    edge = {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
    order = np.lexsort((edge["key"], edge["engagement"]))
    return {name: one[order] for name, one in edge.items()}, np.concatenate(starts)


def seed(place: Place, length: int, edges: int) -> dict[str, int]:
    """Fill index and history as a rebuild of so many days would leave them."""
    with opened(place.state) as index:
        days = [(FIRST + timedelta(days=day)).isoformat() for day in range(length)]
        index.set_basis(ACCOUNT, Basis(1, "", "", ""), dict.fromkeys(days, ""))
    edge, starts = history(length, edges)
    keys, row_value = np.unique(edge["key"], return_inverse=True)
    row_value = row_value.astype(np.int32)
    del edge["key"]
    evidence = Evidence(
        KINDS,
        (keys >> _BITS).astype(np.int8),
        pa.array(texts(keys)[1]),
        pa.nulls(len(starts), pa.string()),
        starts,
        edge["engagement"],
        row_value,
    )
    weights = weigh(evidence, RULES, ACCOUNT, {})
    outcome = settle(evidence, weights, Rulings())
    owner, customers, events = _named(evidence, weights, outcome)
    _remember(place, ())
    _fill_history(place, events)
    shared, label = outcome.candidates
    counts = np.bincount(shared, minlength=len(keys))
    crowded = (weights.strength == WEAK) & (counts > weights.listed)
    chosen = crowded[shared]
    order = in_order_of_arrival(evidence)
    numbers = np.empty_like(order)
    numbers[order] = np.arange(1, len(order) + 1)
    sharers = sorted(
        (int(numbers[value]), customers[place])
        for value, place in zip(
            shared[chosen].tolist(), owner[label[chosen]].tolist(), strict=True
        )
    )
    del outcome
    with closing(sqlite3.connect(place.index)) as connection:
        connection.execute("PRAGMA cache_size=-200000")
        secondary = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOTNULL"
        ).fetchall()
        for name, _ in secondary:
            connection.execute(f"DROP INDEX {name}")
        _fill_values(connection, evidence, weights, (crowded, owner, customers), order)
        _fill_evidence(connection, evidence, numbers)
        _fill_engagements(connection, length, edges)
        connection.executemany(
            "INSERT INTO identity_index_sharers VALUES (?,?)", sharers
        )
        for _, statement in secondary:
            connection.execute(statement)
        connection.commit()
    return {"customers": len(customers), "edges": len(row_value)}


def _named(evidence: Evidence, weights: Weights, outcome: Outcome):  # noqa: ANN202
    """Per value its customer's place; the customers; what makes each id."""
    best = strongest(weights, outcome, evidence)
    place = np.full(len(outcome.label) + 1, -1, np.int32)
    place[list(best)] = np.arange(len(best), dtype=np.int32)
    anchors = [evidence.name(value) for value in best.values()]
    customers = [customer_id(ACCOUNT, anchor, 0) for anchor in anchors]
    return place[outcome.label], customers, zip(customers, anchors, strict=True)


def _remember(place: Place, events) -> None:  # noqa: ANN001
    version = IdentityVersion(1, "", published=True)
    record_version(
        place.state, ACCOUNT, version=version, events=events, run_id="run", now=NOW
    )


def _fill_history(place: Place, events) -> None:  # noqa: ANN001
    for secondary in customer_id_history.indexes:
        secondary.drop(place.state.engine)
    with closing(sqlite3.connect(place.state.path)) as connection:
        connection.executemany(
            "INSERT INTO customer_id_history VALUES (?,?,?,'MINTED',NULL,?,?,0,1)",
            (
                (ACCOUNT, number, name, *anchor)
                for number, (name, anchor) in enumerate(events, 1)
            ),
        )
        connection.commit()
    for secondary in customer_id_history.indexes:
        secondary.create(place.state.engine)
    # A night is a process of its own: the one before left no log of all this behind.
    with closing(sqlite3.connect(place.state.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _fill_values(
    connection: sqlite3.Connection,
    evidence: Evidence,
    weights: Weights,
    decided: tuple[np.ndarray, np.ndarray, list[str]],
    order: np.ndarray,
) -> None:
    crowded, owner, customers = decided
    often = np.bincount(evidence.row_value, minlength=evidence.value_count)
    columns = (evidence.value_type, weights.coded, crowded, owner, often)
    connection.executemany(
        "INSERT INTO identity_index_values VALUES (?,?,?,?,?,?,?,?)",
        (
            (number, ACCOUNT, KINDS[kind], value, coded, flag,
             None if who < 0 else customers[who], count)
            for number, (value, kind, coded, flag, who, count) in enumerate(
                zip(
                    evidence.values.take(pa.array(order)).to_pylist(),
                    *(column[order].tolist() for column in columns),
                    strict=True,
                ),
                1,
            )
        ),
    )  # fmt: skip


def _fill_evidence(
    connection: sqlite3.Connection, evidence: Evidence, numbers: np.ndarray
) -> None:
    # Engagements are numbered by start: a stable sort leaves them in its order.
    value = numbers[evidence.row_value]
    order = np.argsort(value, kind="stable")
    for low in range(0, len(order), 1_000_000):
        mine = order[low : low + 1_000_000]
        engagement = evidence.row_engagement[mine]
        columns = value[mine], evidence.starts[engagement], engagement + 1
        connection.executemany(
            "INSERT INTO identity_index_evidence VALUES (?,?,?)",
            zip(*(column.tolist() for column in columns), strict=True),
        )


def _fill_engagements(connection: sqlite3.Connection, length: int, edges: int) -> None:
    first = 1
    for day in range(length):
        made = invented(day, edges)
        starts = made.starts.astype(np.int64).tolist()
        when = (FIRST + timedelta(days=day)).isoformat()
        connection.executemany(
            "INSERT INTO identity_index_engagements "
            "VALUES (?,?,?,?,?,'COMPLETED',NULL,NULL)",
            (
                (number, ACCOUNT, name, when, start)
                for number, (name, start) in enumerate(
                    zip(made.names(day), starts, strict=True), first
                )
            ),
        )
        first += len(starts)


CONTENT = (
    "SELECT kind, value, weight, crowded, customer, often FROM identity_index_values",
    "SELECT name, day, start, status, channel, topic FROM identity_index_engagements",
    """SELECT v.kind, v.value, e.start, n.name FROM identity_index_evidence e
    JOIN identity_index_values v ON v.id = e.value
    JOIN identity_index_engagements n ON n.id = e.engagement""",
    """SELECT v.kind, v.value, s.customer FROM identity_index_sharers s
    JOIN identity_index_values v ON v.id = s.value""",
)


def check() -> None:
    """At a small size: what is filled is what a rebuild leaves, and so after a night.

    Raises:
        SystemExit: it is not.
    """
    days, edges = 5, 12_000
    with (
        tempfile.TemporaryDirectory(prefix="identity-nights-") as one,
        tempfile.TemporaryDirectory(prefix="identity-nights-") as other,
    ):
        rebuilt, filled = Place(Path(one)), Place(Path(other))
        for day in range(days):
            rebuilt.put(day, edges)
        rebuilt.resolve()
        seed(filled, days, edges)
        for night in range(2):
            if night:
                rebuilt.put(days, edges)
                rebuilt.resolve()
                _night(filled, days, edges, 2)
            with (
                closing(sqlite3.connect(rebuilt.index)) as left,
                closing(sqlite3.connect(filled.index)) as right,
            ):
                for query in CONTENT:
                    mine, theirs = (
                        sorted(map(repr, connection.execute(query)))
                        for connection in (left, right)
                    )
                    if mine != theirs:
                        raise SystemExit(
                            f"Refused, not as a rebuild leaves it: {query}"
                        )
        rebuilt.close()
        filled.close()


def _night(place: Place, day: int, edges: int, version: int) -> tuple[float, int, int]:
    """Follow one more day; CPU seconds, customers and engagements touched."""
    when = place.put(day, edges)
    started = time.process_time()
    with opened(place.state) as index:
        content = day_contents(place.lake, ACCOUNT)
        held = index.days(ACCOUNT)
        changed = [when for when in content if content[when] != held.get(when)]
        changed = [one for one in changed if one >= when]
        touched = follow(
            place.lake, place.state, index, RULES, ACCOUNT,
            strengths={}, changed=changed, rules=(), turned=(), version=version,
        )  # fmt: skip
        assert touched is not None
        _remember(place, touched.naming.events)
        index.set_basis(ACCOUNT, Basis(version, "", "", ""), {**held, **content})
    seconds = time.process_time() - started
    return seconds, len(touched.customers), len(touched.names)


def followed(length: int, edges: int, folder: Path) -> dict[str, object]:
    """Figures of one length of history."""
    with tempfile.TemporaryDirectory(prefix="identity-nights-", dir=folder) as here:
        place = Place(Path(here))
        started = time.process_time()
        figures = seed(place, length, edges)
        filled = time.process_time() - started
        # A manifest per day, as the night looks through all of them.
        for day in range(length):
            place.put(day, 20)
        nights = [_night(place, length + n, edges, n + 2) for n in range(3)]
        size = place.index.stat().st_size
        place.close()
    seconds, customers, engagements = sorted(nights)[1]
    return {
        "days": length,
        **figures,
        "index_megabytes": size // 1_000_000,
        "filling_cpu_seconds": round(filled, 1),
        "touched_customers": customers,
        "touched_engagements": engagements,
        "night_cpu_seconds": round(seconds, 2),
        "nights": [round(seconds, 2) for seconds, *_ in nights],
    }


def whole(length: int, edges: int, folder: Path) -> dict[str, object]:
    """Figures of one length of history, resolved and published whole."""
    spent = {"follow": 0.0}
    inner = door.follow_night

    def timed(*arguments: object, **named: object) -> object:
        started = time.process_time()
        try:
            return inner(*arguments, **named)
        finally:
            spent["follow"] = time.process_time() - started

    with tempfile.TemporaryDirectory(prefix="identity-nights-", dir=folder) as here:
        place = Place(Path(here))
        for day in range(length):
            place.put(day, edges)
        started = time.process_time()
        place.resolve()
        rebuilt = time.process_time() - started
        nights = []
        with patch.object(door, "follow_night", timed):
            for day in range(length, length + 3):
                place.put(day, edges)
                started = time.process_time()
                report = place.resolve()
                total = time.process_time() - started
                assert report.followed
                nights.append((spent["follow"], total - spent["follow"]))
        place.close()
    night, publish = sorted(nights)[1]
    return {
        "days": length,
        "customers": sum(report.customers.values()),
        "touched_customers": report.touched,
        "rebuild_cpu_seconds": round(rebuilt, 2),
        "night_cpu_seconds": round(night, 2),
        "publish_cpu_seconds": round(publish, 2),
    }


def main() -> None:
    """Measure and print, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, default=100_000)
    parser.add_argument("--days", type=int, nargs=2, default=(30, 300))
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    check()
    measure = whole if chosen.whole else followed
    long, short = (
        measure(length, chosen.edges, chosen.folder) for length in chosen.days[::-1]
    )
    ratio = long["night_cpu_seconds"] / short["night_cpu_seconds"]
    figures = {
        "edges_a_night": chosen.edges,
        "short": short,
        "long": long,
        "ratio": round(ratio, 2),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    text = json.dumps(figures, indent=2)
    if chosen.out:
        chosen.out.write_text(text + os.linesep)
    print(text)


if __name__ == "__main__":
    main()
