"""A night's extraction of one account, within one budget and in order of priority.

Look-back first, so that new engagements come whatever happens after; then the
watch-list, the audit with the days it found differing, and the rotation. What an
orchestrator calls per account is `nightly`; each part can be called on its own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from journeyport.clock import Clock
from journeyport.errors import JourneyportError
from journeyport.extract.audit import AuditReport, audit, rotation
from journeyport.extract.landing import land
from journeyport.extract.opening import Opening, day_bounds, open_account
from journeyport.extract.report import (
    DayLanding,
    ExtractOptions,
    LandReport,
    Progress,
    Source,
)
from journeyport.extract.watch import WatchReport, purge, watch_list
from journeyport.lake import Lake
from journeyport.state import State, windows

_DONE = {windows.PROVED, windows.RELEASED}


@dataclass(frozen=True)
class Backlog:
    """How far the load of an account's closed days is.

    Attributes:
        done: closed days since the first one that are proved, or were released.
        left: those that are not.
        ends_on: when none is left if every night does as much as this one did, one
            more day closing each night; None: nothing is left, or no end is in sight.
    """

    done: int
    left: int
    ends_on: date | None = None


@dataclass
class NightReport:
    """What a night's extraction of one account came to.

    Attributes:
        account: the account.
        landings: each walk: look-back and catching up, audited days, rotation.
        watched: what reading by ids came to; None where the night ended before.
        audited: what the audit counted; None where the night ended before.
        purged: account-days from which deleted documents were purged.
        calls: calls made, by purpose; repeated ones and tokens included.
        backlog: how far the load of the account's history is.
        failure: what ended the night early; None: nothing did.
    """

    account: str
    landings: list[LandReport] = field(default_factory=list)
    watched: WatchReport | None = None
    audited: AuditReport | None = None
    purged: list[tuple[str, date]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    backlog: Backlog = field(default_factory=lambda: Backlog(0, 0))
    failure: JourneyportError | None = None

    @property
    def days(self) -> list[DayLanding]:
        """The days walked, in order; the last walk of each."""
        latest = {one.day: one for landing in self.landings for one in landing.days}
        return [latest[day] for day in sorted(latest)]

    @property
    def touched(self) -> list[tuple[str, date]]:
        """The account-days whose tables have to be written again, in order."""
        found = {(self.account, one.day) for one in self.days} | set(self.purged)
        if self.watched is not None:
            found |= set(self.watched.touched)
        return sorted(found)

    @property
    def wrong(self) -> list[str]:
        """What went wrong for the account as a whole, in sentences."""
        found = [] if self.failure is None else [str(self.failure)]
        if self.watched is not None and self.watched.refusal:
            found.append(self.watched.refusal)
        return found

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look at though nothing failed."""
        found = [text for landing in self.landings for text in landing.warnings]
        found += () if self.watched is None else self.watched.warnings
        return tuple(dict.fromkeys(found))

    def require_proved(self) -> None:
        """Do nothing if all that was walked is proved, or still open.

        Raises:
            NotProvedError: a day is not.
            JourneyportError: the night was ended early; what ended it.
        """
        for landing in self.landings:
            landing.require_proved()
        if self.failure is not None:
            raise self.failure


def nightly(
    source: Source,
    lake: Lake,
    state: State,
    *,
    account: str,
    run_id: str,
    clock: Clock,
    options: ExtractOptions | None = None,
    progress: Progress | None = None,
) -> NightReport:
    """Do one account's night; what was done before something ended it counts.

    Raises:
        JourneyportError: not even the first question was answered.
    """
    chosen = options or ExtractOptions()
    report = NightReport(account)
    before = source.tally.by_purpose.copy()
    today = source.now()[0].date()
    opening = open_account(source, lake, account, [today], chosen)
    left = backlog(state, account, opening.end, chosen).left
    night = _Night(
        source, lake, state, account, run_id, clock, chosen, opening, progress, report
    )
    try:
        night.run()
    except JourneyportError as error:
        report.failure = error
    report.calls = dict(source.tally.by_purpose - before)
    report.backlog = backlog(state, account, opening.end, chosen, before=left)
    return report


def nightly_days(
    state: State, account: str, end: datetime, options: ExtractOptions
) -> list[date]:
    """The days a night walks, in order of priority.

    From the last closed day less the look-back up to the day still open; then, oldest
    first, the days since the frontier (or the first day) that are not proved.

    Args:
        state: the state.
        account: the account.
        end: the frozen end.
        options: look-back and first day.
    """
    open_day = _open_day(end)
    start = open_day - timedelta(days=1 + options.lookback_days)
    if options.first_day is not None:
        start = max(start, min(options.first_day, open_day))
    recent = _range(start, open_day)
    known = {walked.day: walked.status for walked in windows.days_of(state, account)}
    first = options.first_day or min(known, default=start)
    return recent + [
        day
        for day in _range(first, start - timedelta(days=1))
        if known.get(day) not in _DONE
    ]


def in_turn(
    source: Source,
    state: State,
    accounts: Sequence[str],
    clock: Clock,
    options: ExtractOptions,
) -> Iterator[str]:
    """The accounts, each within a share of the budget while it is at hand.

    Those with the least to do come first: what they leave goes to the others.
    """
    order, end = list(accounts), clock.now() - options.settle
    if source.tally.budget is not None:
        order.sort(key=lambda one: len(nightly_days(state, one, end, options)))
    for number, account in enumerate(order):
        with source.tally.share(len(order) - number):
            yield account


def backlog(
    state: State,
    account: str,
    end: datetime,
    options: ExtractOptions,
    before: int | None = None,
) -> Backlog:
    """How far the load of the account's closed days is, and when it should end.

    Args:
        state: the state.
        account: the account.
        end: the frozen end.
        options: the first day.
        before: how many days were left when the night began.
    """
    known = {walked.day: walked.status for walked in windows.days_of(state, account)}
    open_day = _open_day(end)
    first = options.first_day or min(known, default=open_day)
    days = _range(first, open_day - timedelta(days=1))
    done = sum(known.get(day) in _DONE for day in days)
    left = len(days) - done
    a_night = 0 if before is None else before - left - 1
    ends_on = None
    if left and a_night > 0:
        ends_on = open_day + timedelta(days=math.ceil(left / a_night))
    return Backlog(done, left, ends_on)


@dataclass
class _Night:
    source: Source
    lake: Lake
    state: State
    account: str
    run_id: str
    clock: Clock
    options: ExtractOptions
    opening: Opening
    progress: Progress | None
    report: NightReport

    def run(self) -> None:
        """The parts, in order of priority; each stops the night by its failure."""
        options = self.options
        self._land(nightly_days(self.state, self.account, self.opening.end, options))
        self.report.watched = watch_list(
            self.source,
            self.lake,
            self.state,
            account=self.account,
            run_id=self.run_id,
            clock=self.clock,
            options=options,
            known=self.opening.seen.known,
        )
        self._stop_at(self.report.watched.failure)
        self.report.purged = purge(
            self.lake,
            self.state,
            account=self.account,
            run_id=self.run_id,
            clock=self.clock,
        )
        self.report.audited = audit(
            self.source,
            self.lake,
            self.state,
            account=self.account,
            clock=self.clock,
            options=options,
            skip=self._walked,
        )
        self._land(self.report.audited.differing, "audited")
        self._stop_at(self.report.audited.failure)
        now = self.clock.now()
        due = rotation(self.state, self.account, now, options, self._walked)
        self._land(due, "rotation")

    @property
    def _walked(self) -> list[date]:
        return [one.day for one in self.report.days]

    def _land(self, days: Sequence[date], what: str = "") -> None:
        begun = [day for day in days if day_bounds(day)[0] < self.opening.end]
        if not begun:
            return
        landing = land(
            self.source,
            self.lake,
            self.state,
            account=self.account,
            days=begun,
            run_id=self.run_id,
            clock=self.clock,
            options=self.options,
            progress=_part(self.progress, what),
            opening=self.opening,
        )
        self.report.landings.append(landing)
        self._stop_at(landing.failure)

    def _stop_at(self, failure: JourneyportError | None) -> None:
        if failure is not None:
            raise failure


def _part(progress: Progress | None, what: str) -> Progress | None:
    """Progress under a name of its own: each part counts its own days."""
    if progress is None or not what:
        return progress
    return lambda name, done, total: progress(f"{name} {what}", done, total)


def _open_day(end: datetime) -> date:
    """The day in which the end lies; at midnight sharp, the day that just closed."""
    return (end - timedelta(microseconds=1)).date()


def _range(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
