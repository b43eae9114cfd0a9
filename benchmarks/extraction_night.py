"""What the calls of a normal night are spent on, and what they bring.

    python benchmarks/extraction_night.py --daily 2000 --days 14 --nights 3

The local service holds all days from the start and its clock is set back to the first
night; then, night after night, a day passes, and some engagements are completed,
updated or back-dated. Printed are calls by purpose, engagements the calls showed, and
distinct new versions per call.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from journeyport import extract
from journeyport.client import AccountAccess, SourceClient, SourceConfig
from journeyport.clock import SetClock
from journeyport.lake import Lake
from journeyport.state import State

ACCOUNT = "ABCDEF"
NOW = datetime(2026, 3, 16, 2, tzinfo=UTC)
PURPOSES = ("token", "opening", "walk", "watch", "audit")


def main() -> None:
    """Run the nights and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--daily", type=int, default=2_000, help="engagements")
    parser.add_argument("--days", type=int, default=14, help="of the first load")
    parser.add_argument("--nights", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "customer_journey", "serve", "--port", "0"),
            *("--database", f"{folder}/journey.db", "--accounts", ACCOUNT),
            *("--engagements", str(chosen.daily * (chosen.days + chosen.nights))),
            *("--days", str(chosen.days + chosen.nights)),
            *("--clock", (NOW + timedelta(days=chosen.nights)).isoformat()),
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert process.stdout is not None
            nights(json.loads(process.stdout.readline()), Path(folder), chosen)
        finally:
            process.terminate()
            process.wait(60)


def nights(told: dict, folder: Path, chosen: argparse.Namespace) -> None:
    """The first night loads all days; each that follows finds one day more."""
    known = told["accounts"][ACCOUNT]
    access = AccountAccess(
        ACCOUNT, known["client_id"], known["client_secret"], known["app_key"]
    )
    lake, state = Lake(folder / "lake"), State(f"sqlite:///{folder / 'state.db'}")
    first = (NOW - timedelta(days=chosen.days)).date()
    options = extract.ExtractOptions(first_day=first)
    print(f"| night | {' | '.join(PURPOSES)} | all | shown | new | new a call |")
    print(f"| --- |{' ---: |' * (len(PURPOSES) + 4)}")
    with httpx.Client(
        base_url=told["admin_url"], trust_env=False, timeout=None
    ) as http:
        for night in range(chosen.nights + 1):
            now = NOW + timedelta(days=night)
            http.post("/clock", json={"now": now.isoformat()}).raise_for_status()
            if night:
                a_day_passes(http, now)
            clock = SetClock(now)
            config = SourceConfig(told["url"], (access,))
            with SourceClient(config, clock) as source:
                report = extract.nightly(
                    source,
                    lake,
                    state,
                    account=ACCOUNT,
                    run_id=f"night-{night}",
                    clock=clock,
                    options=options,
                )
                report.require_proved()
                calls = source.tally.by_purpose
            watched = report.watched
            new = sum(day.new_versions for day in report.days)
            new += watched.new_versions if watched else 0
            shown = sum(day.rows for day in report.days)
            shown += watched.read if watched else 0
            spent = " | ".join(str(calls.get(purpose, 0)) for purpose in PURPOSES)
            total = sum(calls.values())
            print(
                f"| {night + 1} | {spent} | {total} | {shown:,} | {new:,} "
                f"| {new / total:.1f} |"
            )
    state.close()


def a_day_passes(http: httpx.Client, now: datetime) -> None:
    """Open engagements are completed, some are updated, a few come late."""
    for action, count, days in (
        ("complete", 60, 2),
        ("update", 40, 10),
        ("back-date", 5, 5),
    ):
        body = {
            "account": ACCOUNT,
            "action": action,
            "count": count,
            "start": (now - timedelta(days=days)).isoformat(),
            "end": (now - timedelta(minutes=10)).isoformat(),
        }
        http.post("/changes", json=body).raise_for_status()


if __name__ == "__main__":
    main()
