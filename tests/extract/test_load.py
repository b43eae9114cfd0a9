"""Loading years of history: over nights, within a budget, to an end that was told."""

from datetime import UTC, date, datetime, timedelta

import pytest
from model_source import ACCOUNT, DAY, Traits
from rich.progress import ProgressSample

from journeyport import console, extract, night
from journeyport.errors import QuotaError
from journeyport.extract.nightly import Backlog, NightReport
from journeyport.state import windows


class _KilledError(BaseException):
    pass


class Load:
    """A first load of so many days, a few engagements on each."""

    def __init__(self, world, days, budget):
        self.here = world(traits=Traits(rows=0), lookback_days=1, settling=timedelta())
        self.source, self.budget = self.here.source, budget
        self.here.set(first_day=DAY.date())
        for number in range(days):
            for hour in (3, 9, 15):
                one = self.source.insert(DAY + timedelta(days=number, hours=hour), DAY)
                one.versions = [(DAY, DAY, "COMPLETED")]
        self.source.time = DAY + timedelta(days=days, hours=2)
        self.told = []

    def night(self, die_at=None):
        self.here.number += 1
        self.told = []
        self.source.tally.budget = self.source.tally.total + self.budget

        def progress(*told):
            self.told.append(told)
            if len(self.told) == die_at:
                raise _KilledError

        return extract.nightly(
            self.source,
            self.here.lake,
            self.here.state,
            account=ACCOUNT,
            run_id=f"night{self.here.number}",
            clock=self.here.clock,
            options=self.here.options,
            progress=progress,
        )

    def proved(self):
        days = windows.days_of(self.here.state, ACCOUNT)
        return {one.day: one.run_id for one in days if one.status == windows.PROVED}


@pytest.mark.parametrize(
    ("days", "budget"),
    [(60, 20), pytest.param(731, 100, marks=[pytest.mark.soak])],
)
@pytest.mark.timeout(900)
def test_a_load_of_years_goes_on_where_it_stopped_within_its_budget(
    world, days, budget
):
    load = Load(world, days, budget)
    ends, before = [], {}
    with pytest.raises(_KilledError):
        load.night(die_at=5)  # a crash in the first night: what was proved stays
    assert len(load.proved()) >= 3
    while True:
        calls = load.source.tally.total
        report = load.night()
        assert load.source.tally.total - calls <= budget
        done = [done for what, done, _ in load.told if what == ACCOUNT]
        assert done == list(range(1, len(done) + 1))
        proved = load.proved()
        # Beyond the look-back nothing that was proved before is walked again.
        old = load.source.time.date() - timedelta(days=3)
        again = {d for d in before if d < old and proved[d] != before[d]}
        assert not again or report.backlog.left == 0
        before = proved
        ends.append(report.backlog.ends_on)
        last = load.source.time.date()
        if report.backlog.left == 0:
            break
        assert isinstance(report.failure, QuotaError)
        load.source.time += timedelta(days=1)
    assert ends[-1] is None
    # The end that the second night told is the day it came, give or take a tenth.
    assert abs((ends[1] - last).days) <= 1 + len(ends) // 10
    assert load.here.frontier() >= DAY.date() + timedelta(days)
    held = {row["engagement_id"] for row in load.here.raw()}
    assert held == set(load.source.by_id)


def test_an_export_of_a_range_repeated_goes_on_with_what_is_not_proved(world):
    load = Load(world, days=6, budget=5)
    span, runs = [DAY.date() + timedelta(days=n) for n in range(6)], []
    for number in range(3):
        load.source.tally.budget = load.source.tally.total + load.budget
        run = night.Run(
            load.here.lake, load.here.state, load.here.clock, f"run{number}"
        )
        landed = night.land(
            run,
            load.source,
            accounts=[ACCOUNT],
            days=span,
            options=load.here.options,
            strengths={},
        )
        runs.append({one.day for one in landed.reports[ACCOUNT].days})
        if len(load.proved()) == len(span):
            break
    assert runs[0] < set(span)
    assert set(span) - runs[0] <= set.union(*runs[1:])
    assert load.proved().keys() == set(span)


def test_progress_says_when_it_will_end():
    now = datetime(2026, 3, 2, 22, tzinfo=UTC)
    assert console.ending(3600, now) == "until about 23:00"
    assert console.ending(3 * 3600, now) == "until about 2026-03-03 01:00"
    bars = console.Bars()
    bars("landing ABCDEF", 0, 731)
    (task,) = bars._progress.tasks
    task._progress.extend([ProgressSample(0.0, 0), ProgressSample(600.0, 1)])
    assert "until about 20" in bars._progress.columns[-1].render(task).plain


def test_a_night_that_leaves_days_says_so_in_its_one_line():
    night_of = NightReport(ACCOUNT, backlog=Backlog(100, 631, date(2026, 3, 9)))
    told = night.Landed({ACCOUNT: night_of}).told()
    assert told["load"] == {
        ACCOUNT: {"done": 100, "left": 631, "ends_on": date(2026, 3, 9)}
    }
    assert "load" not in night.Landed({ACCOUNT: NightReport(ACCOUNT)}).told()
