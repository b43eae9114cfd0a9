"""What one night of identity costs against a short and a long history.

    python benchmarks/identity_nights.py --edges 20000 --days 30 300 --out FILE

For each length a lake of invented days is made and resolved once, which builds the
index; then one more day is added and resolved, three times. The people keep coming:
somebody new has a few contacts within some weeks and then none, so that a day is like
any other.
CPU seconds of the night itself (following the change) and of publishing, apart.
"""

import argparse
import json
import os
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import conform
from journeyport.clock import SetClock
from journeyport.identity import load_config, resolve
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.tables import ENGAGEMENT_IDENTIFIERS, ENGAGEMENTS

door = import_module("journeyport.identity.resolve")
"""The module: the package has a function of the same name."""

ACCOUNT = "ABCDEF"
FIRST = date(2026, 1, 1)


def day_tables(day: int, edges: int) -> dict[str, pa.Table]:
    """One day: about so many values on half as many engagements."""
    chance = np.random.default_rng([7, day])
    count = int(edges / 1.9)
    person = np.maximum(day - chance.integers(0, 40, count), 0) * count // 4
    person += chance.integers(0, count // 4, count)
    start = np.datetime64(FIRST, "us") + np.timedelta64(day, "D")
    starts = start + np.sort(chance.integers(0, 86_399, count)).astype("m8[s]")
    names = pa.array([f"{day:04d}-{number:06d}" for number in range(count)])
    lineage = {
        "account_id": pa.repeat(pa.scalar(ACCOUNT), count),
        "engagement_id": names,
        "start_date": pa.array(starts, pa.timestamp("us")).cast(
            pa.timestamp("us", "UTC")
        ),
        "_extracted_at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * count),
        "_run_id": pa.repeat(pa.scalar("run"), count),
    }
    zeros = pa.array(np.zeros(count, np.int64))
    engagements = pa.table(
        lineage
        | {
            column.name: zeros
            for column in ENGAGEMENTS.columns
            if column.name.endswith("_count")
        }
        | {
            "status": pa.repeat(pa.scalar("COMPLETED"), count),
            "local_date": pc.cast(lineage["start_date"], pa.date32()),
            "local_hour": zeros,
            "local_weekday": zeros,
            "is_deleted": pa.array(np.zeros(count, np.bool_)),
        }
    )
    phone = person.astype(np.int64) * 10
    shared = chance.random(count) < 0.10
    phone[shared] = person[shared] // 3 * 10 + 1
    board = chance.random(count) < 0.05
    phone[board] = -1 - chance.integers(0, 20, board.sum())
    account = person.copy()
    typo = chance.random(count) < 0.01
    account[typo] += 1_000_000_000
    parts = [
        carried(names, chance.random(count) < share, kind, prefix, numbers)
        for share, kind, prefix, numbers in (
            (0.5, "accountIds", "C-", account),
            (0.7, "emailAddresses", "m", person),
            (0.7, "phoneNumbers", "+", phone),
        )
    ]
    rows = pa.concat_tables(parts)
    place = pc.index_in(rows["engagement_id"], value_set=names)
    for name, column in lineage.items():
        if name != "engagement_id":
            rows = rows.append_column(name, column.take(place))
    rows = rows.sort_by(
        [("engagement_id", "ascending"), ("identifier_type", "ascending")]
    )
    return {
        "engagements": conform(ENGAGEMENTS, engagements),
        "engagement_identifiers": conform(ENGAGEMENT_IDENTIFIERS, rows),
    }


def carried(
    names: pa.Array, chosen: np.ndarray, kind: str, prefix: str, numbers: np.ndarray
) -> pa.Table:
    """The values of one type on some engagements."""
    values = pa.array([f"{prefix}{number}" for number in numbers[chosen].tolist()])
    count = len(values)
    return pa.table(
        {
            "engagement_id": names.filter(pa.array(chosen)),
            "identifier_type": pa.repeat(pa.scalar(kind), count),
            "ordinal": pa.array(np.zeros(count, np.int64)),
            "raw_value": values,
            "value": values,
            "is_valid": pa.array(np.ones(count, np.bool_)),
            "strength": pa.repeat(pa.scalar("WEAK"), count),
            "normaliser_version": pa.array(np.ones(count, np.int64)),
        }
    )


def one(length: int, edges: int) -> dict[str, object]:
    """Figures of one length of history."""
    spent = {"follow": 0.0}
    inner = door.follow_night

    def timed(*arguments: object, **named: object) -> object:
        started = time.process_time()
        try:
            return inner(*arguments, **named)
        finally:
            spent["follow"] = time.process_time() - started

    with tempfile.TemporaryDirectory(prefix="identity-nights-") as folder:
        lake = Lake(Path(folder) / "lake")
        state = State(f"sqlite:///{folder}/state.db")
        clock = SetClock(datetime(2026, 1, 1, tzinfo=UTC))
        rules = load_config()

        def put(day: int) -> None:
            tables = day_tables(day, edges)
            when = FIRST + timedelta(days=day)
            lake.write_day(ACCOUNT, when, tables, run_id="run", facts={})

        def night() -> float:
            started = time.process_time()
            report = resolve(
                lake, state, rules, accounts=[ACCOUNT], run_id="run", clock=clock
            )
            found.update(report.accounts[ACCOUNT].__dict__)
            return time.process_time() - started

        found: dict[str, object] = {}
        for day in range(length):
            put(day)
        rebuilt = night()
        nights = []
        with patch.object(door, "follow_night", timed):
            for day in range(length, length + 3):
                put(day)
                total = night()
                nights.append((spent["follow"], total - spent["follow"]))
                assert found["followed"]
        state.close()
    follow, publish = sorted(nights)[1]
    return {
        "days": length,
        "edges_a_night": edges,
        "touched_customers": found["touched"],
        "customers": sum(found["customers"].values()),
        "rebuild_cpu_seconds": round(rebuilt, 2),
        "night_cpu_seconds": round(follow, 2),
        "publish_cpu_seconds": round(publish, 2),
    }


def main() -> None:
    """Measure and print, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, default=100_000)
    parser.add_argument("--days", type=int, nargs=2, default=(30, 300))
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    short, long = (one(length, chosen.edges) for length in chosen.days)
    ratio = long["night_cpu_seconds"] / short["night_cpu_seconds"]
    figures = {"short": short, "long": long, "ratio": round(ratio, 2)}
    text = json.dumps(figures, indent=2)
    if chosen.out:
        chosen.out.write_text(text + os.linesep)
    print(text)


if __name__ == "__main__":
    main()
