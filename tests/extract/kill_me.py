"""Walks two days in a process that kills itself, as kill -9 would, at the nth write."""

import json
import os
import signal
import sys
from datetime import date, timedelta

import sqlalchemy as sa
from live_service import ACCOUNT, NOW

from journeyport import extract
from journeyport.client import AccountAccess, SourceClient, SourceConfig
from journeyport.clock import SetClock
from journeyport.extract import ExtractOptions
from journeyport.lake import Lake
from journeyport.state import State

DAYS = [date(2026, 3, 13), date(2026, 3, 14)]


def main():
    folder, known, kill_at = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    writes = iter(range(1, 10**9))

    def count():
        number = next(writes)
        if number == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    lake, state = Lake(f"{folder}/lake"), State(f"sqlite:///{folder}/state.db")
    append = lake.append_raw

    def append_raw(*arguments):
        count()  # before the file is there
        info = append(*arguments)
        count()  # after it, before the state knows
        return info

    lake.append_raw = append_raw

    @sa.event.listens_for(state.engine, "before_cursor_execute")
    def _before(_connection, _cursor, statement, *_rest):
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            count()

    access = AccountAccess(
        ACCOUNT, known["client_id"], known["client_secret"], known["app_key"]
    )
    clock = SetClock(NOW)
    with SourceClient(SourceConfig(known["url"], (access,)), clock) as source:
        report = extract.land(
            source,
            lake,
            state,
            account=ACCOUNT,
            days=DAYS,
            run_id=f"run-{kill_at}",
            clock=clock,
            options=ExtractOptions(
                settle=timedelta(minutes=1), window_rows=40, concurrency=2
            ),
        )
    state.close()
    statuses = [one.status for one in report.days]
    sys.stdout.write(json.dumps({"writes": next(writes) - 1, "statuses": statuses}))


if __name__ == "__main__":
    main()
