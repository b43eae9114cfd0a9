"""Whose business day it is: after a night, all of local yesterday is delivered."""

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from journeyport import environment, rehearsal
from journeyport.wire import Ask
from pipelines import definitions  # noqa: F401  here, where its warnings are quiet
from pipelines.__main__ import main
from pipelines.resources import SITE, Site

YESTERDAY = date(2026, 3, 15)


@dataclass(frozen=True)
class At(rehearsal.Plan):
    """Servers whose clock stands at an instant."""

    instant: str = ""

    @property
    def now(self):
        return datetime.fromisoformat(self.instant)

    @property
    def first_day(self):
        # One day more than the last: the open day has engagements, too.
        return rehearsal.LAST_DAY - timedelta(days=self.days - 2)


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Australia/Sydney"])
def test_all_of_local_yesterday_is_in_the_warehouse_after_the_night(
    zone, tmp_path, monkeypatch
):
    there = ZoneInfo(zone)
    morning = YESTERDAY + timedelta(days=1)
    at = datetime.combine(morning, time(2, 30), there).astimezone(UTC)
    plan = At(days=4, engagements=200, instant=at.isoformat())
    with rehearsal.servers(tmp_path / "stage", plan) as (stage, _children):
        environ = {
            name: value
            for name, value in stage.environ.items()
            if "SALESFORCE" not in name and not name.endswith("GHIJKL")
        }
        environ |= {
            "JOURNEYPORT_ACCOUNTS": "ABCDEF",
            "JOURNEYPORT_TIME_ZONE_ABCDEF": zone,
            "DAGSTER_HOME": str(tmp_path / "dagster"),
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        vars(SITE).clear()
        SITE.__init__(lambda: environment.read(environ))
        assert main(["nightly"]) == 0
        lo = datetime.combine(YESTERDAY, time(), there).astimezone(UTC)
        hi = datetime.combine(morning, time(), there).astimezone(UTC)
        source = Site(lambda: environment.read(environ)).source
        # Both bounds of the source are inclusive: the last tick is tomorrow's.
        ask = Ask(lo, hi - timedelta(milliseconds=1), page_size=1, purpose="test")
        wanted = source.search("ABCDEF", ask).total
        source.close()
    assert wanted > 10
    path = Path(environ["JOURNEYPORT_HOME"]) / "warehouse.duckdb"
    with duckdb.connect(os.fspath(path), read_only=True) as database:
        ((found,),) = database.execute(
            "SELECT count(*) FROM engagements WHERE local_date = ?", [YESTERDAY]
        ).fetchall()
    assert found == wanted
