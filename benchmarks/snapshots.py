"""What the tables of agents and queues cost a night, beside asking all days at once.

    python benchmarks/snapshots.py --days 60 --engagements 100000

A lake of so many days of one account, one stay of an agent in each engagement. Three
ways, each in a process of its own: `first`, all days are new; `night`, one day of them
changed; `all at once`, DuckDB in one question over the files of all days, as much
memory as it likes. The counts per agent are compared before anything is told.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from journeyport import normalise
from journeyport.arrow import conform
from journeyport.lake import Lake
from journeyport.tables import PARTICIPANTS

ACCOUNT = "ABCDEF"
AGENTS = 2000
FIRST = date(2026, 1, 1)

AT_ONCE = """
SELECT lower(trim(participant_id)) AS agent_id,
    max({'at': start_date, 'of': engagement_id, 'is': agent_display_name})['is'],
    count(DISTINCT engagement_id) AS engagement_count
FROM read_parquet(?) GROUP BY ALL ORDER BY ALL
"""


def write(lake: Lake, number: int, count: int, seed: int) -> None:
    """One day's participants."""
    chance, day = random.Random(seed), FIRST + timedelta(number)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    ids = sorted(str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(count))
    who = [chance.randrange(AGENTS) for _ in range(count)]
    columns = {
        "account_id": [ACCOUNT] * count,
        "engagement_id": ids,
        "start_date": [start + timedelta(milliseconds=n) for n in range(count)],
        "ordinal": [0] * count,
        "participant_id": [f"agent-{number:08d}" for number in who],
        "agent_display_name": [f"Agent {number}" for number in who],
        "role": ["AGENT"] * count,
        "state": ["DROPPED"] * count,
        "occurrence": [0] * count,
        "_extracted_at": [start] * count,
        "_run_id": ["bench"] * count,
    }
    rows = conform(PARTICIPANTS, pa.table(columns))
    tables = {PARTICIPANTS.name: rows}
    lake.write_day(ACCOUNT, day, tables, run_id="bench", facts={})


def child(way: str, folder: str) -> None:
    """One way, measured, with what came of it."""
    lake = Lake(folder)
    before = time.process_time()
    if way == "all at once":
        paths = [lake.files.place(path) for path in lake.paths(PARTICIPANTS.name)]
        with duckdb.connect() as connection:
            found = connection.execute(AT_ONCE, [paths]).fetchall()
        counts = {agent: count for agent, _, count in found}
    else:
        normalise.conform_snapshots(lake, [ACCOUNT], run_id="bench")
        rows = lake.read_snapshot("agents").to_pylist()
        counts = {row["agent_id"]: row["engagement_count"] for row in rows}
    cpu = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": cpu, "peak_mb": peak, "counts": counts}))


def main() -> None:
    """Make the lake, run each way, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--engagements", type=int, default=100_000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        for number in range(options.days):
            write(lake, number, options.engagements, number)
        found = {}
        for way in ("first", "night", "all at once"):
            if way == "night":
                write(lake, options.days - 1, options.engagements, options.days)
            command = [sys.executable, __file__, "--child", way, lake.url]
            told = subprocess.run(command, check=True, capture_output=True, text=True)
            found[way] = json.loads(told.stdout)
            one = found[way]
            print(f"{way:12} {one['cpu']:6.2f} s CPU  {one['peak_mb']:6.0f} MB")
        if found["night"]["counts"] != found["all at once"]["counts"]:
            sys.exit("The counts per agent differ.")


if __name__ == "__main__":
    main()
