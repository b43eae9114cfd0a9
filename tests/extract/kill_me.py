"""Exports two days in processes that kill themselves, as kill -9 would, at a write.

A line of JSON, [folder, the write to die at; 0: none], makes one such process, which
is forked from this one before any thread was started: importing everything anew would
take longer than the export. A line of JSON tells how it ended.
"""

import json
import os
import signal
import sys
from datetime import date, timedelta
from pathlib import Path

import sqlalchemy as sa
from live_service import ACCOUNT, NOW

from journeyport import night
from journeyport.client import AccountAccess, SourceClient, SourceConfig
from journeyport.clock import SetClock
from journeyport.extract import ExtractOptions
from journeyport.lake import Lake
from journeyport.lake.files import Draft
from journeyport.normalise import AccountRules
from journeyport.state import State

DAYS = [date(2026, 3, 13), date(2026, 3, 14)]


def export(folder, known, kill_at):
    """Land two days, make their tables, certify them; die on the way."""
    writes = iter(range(1, 10**9))

    def count():
        number = next(writes)
        if number == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    keep = Draft.keep

    def counted(draft):
        count()  # before the file is there
        keep(draft)
        count()  # after it, before the state knows

    Draft.keep = counted
    lake, state = Lake(f"{folder}/lake"), State(f"sqlite:///{folder}/state.db")

    @sa.event.listens_for(state.engine, "before_cursor_execute")
    def _before(_connection, _cursor, statement, *_rest):
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            count()

    access = AccountAccess(
        ACCOUNT, known["client_id"], known["client_secret"], known["app_key"]
    )
    options = ExtractOptions(settle=timedelta(minutes=1), window_rows=20, concurrency=2)
    run = night.Run(lake, state, SetClock(NOW), f"run-{kill_at}")
    with SourceClient(SourceConfig(known["url"], (access,)), run.clock) as source:
        landed = night.land(
            run,
            source,
            accounts=[ACCOUNT],
            days=DAYS,
            options=options,
            strengths={},
        )
    night.conform(
        run,
        rules=[AccountRules(ACCOUNT)],
        days=DAYS,
        strengths={},
        policy=options.policy.hash,
        landed=landed,
    )
    state.close()
    statuses = [one.status for one in landed.reports[ACCOUNT].days]
    return {"writes": next(writes) - 1, "statuses": statuses}


def main():
    known = json.loads(sys.argv[1])
    for line in sys.stdin:
        folder, kill_at = json.loads(line)
        told = Path(folder, "told.json")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                told.write_text(json.dumps(export(folder, known, kill_at)))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        document = json.loads(told.read_text()) if code == 0 else None
        sys.stdout.write(json.dumps([code, document]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
