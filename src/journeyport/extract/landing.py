"""Walking account-days and landing what comes: the I/O around `walk`.

Windows run side by side, as many as the options allow, over all days together; a
window's documents lie in the lake before the state calls it done. A walk that was cut
off is gone on with where its windows ended. Which days to walk is decided elsewhere.
"""

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from threading import Event

from journeyport.clock import Clock
from journeyport.errors import ArgumentError, JourneyportError
from journeyport.extract.documents import REST, DayStore, Storing, Version
from journeyport.extract.opening import (
    Opening,
    coverage_of,
    day_bounds,
    open_account,
)
from journeyport.extract.planning import gaps, split
from journeyport.extract.report import (
    DayLanding,
    ExtractOptions,
    LandReport,
    Progress,
    Source,
)
from journeyport.extract.walk import Walk
from journeyport.extract.window import Proof, Window, WindowResult
from journeyport.lake import Lake
from journeyport.state import State, leases, watch, windows
from journeyport.state.watch import Watched
from journeyport.state.windows import OpenWalk, WalkedDay, WalkedWindow
from journeyport.wire import Answer, Ask

_PATIENCE = 30.0
"""Seconds between two looks at the leases while windows are under way."""


def land(
    source: Source,
    lake: Lake,
    state: State,
    *,
    account: str,
    days: Sequence[date],
    run_id: str,
    clock: Clock,
    options: ExtractOptions | None = None,
    progress: Progress | None = None,
    opening: Opening | None = None,
) -> LandReport:
    """Walk exactly these days of one account and land every version not held yet.

    They are walked in the order given, so that a budget is spent on the first. What
    stops the walk half-way (a quota, a source that no longer answers) is told in the
    report's `failure`: the days that were finished by then count.

    Raises:
        ArgumentError: a day has not begun by the source's clock.
        LeaseError: another run walks one of the days.
        JourneyportError: nothing could be walked at all; see `SourceClient.search`.
    """
    chosen = options or ExtractOptions()
    wanted = list(dict.fromkeys(days))
    if not wanted:
        raise ArgumentError("There are no days to walk; name one at least.")
    names = [lease_name(account, day) for day in wanted]
    before = Counter(source.tally.by_purpose)
    with leases.held(state, names, run_id=run_id, clock=clock) as lease:
        opening = opening or open_account(source, lake, account, wanted, chosen)
        late = [day for day in wanted if day_bounds(day)[0] >= opening.end]
        if late:
            raise ArgumentError(
                f"{late[0]} has not begun by the clock of account {account}, less the "
                "settle lag; choose an earlier day."
            )
        storing = Storing(
            lake, state, account, run_id, clock, chosen.policy, chosen.settling
        )
        landing = _Landing(source, storing, opening, chosen, lease, progress)
        landings, failure = landing.walk(wanted)
    if failure is not None and not landings:
        raise failure
    return LandReport(
        account=account,
        days=tuple(sorted(landings, key=lambda one: one.day)),
        calls=dict(source.tally.by_purpose - before),
        coverage=opening.coverage,
        end=opening.end,
        source_clock=opening.source_clock,
        failure=failure,
        opening_breaches=opening.breaches,
        unasked=opening.unasked,
    )


def lease_name(account: str, day: date) -> str:
    """Under which name an account-day is leased."""
    return f"day/{account}/{day}"


@dataclass
class _Day:
    walk: OpenWalk
    bounds: tuple[datetime, datetime]
    store: DayStore
    held_before: set[str]
    windows: list[WalkedWindow] = field(default_factory=list)
    found: set[str] = field(default_factory=set)
    left: int = 0
    resumed: bool = False


class _StoppedError(Exception):
    pass


@dataclass
class _Landing:
    source: Source
    to: Storing
    opening: Opening
    options: ExtractOptions
    lease: leases.Lease
    progress: Progress | None
    _stop: Event = field(default_factory=Event)
    _failure: JourneyportError | None = None

    def walk(
        self, days: Sequence[date]
    ) -> tuple[list[DayLanding], JourneyportError | None]:
        """Walk the days: how those ended that did, and what stopped the rest."""
        done: list[DayLanding] = []
        with ThreadPoolExecutor(self.options.concurrency) as pool:
            try:
                self._walk(pool, days, done)
            except BaseException:
                self._stop.set()  # or the pool would walk on to the end
                raise
        return done, self._failure

    def _walk(
        self, pool: ThreadPoolExecutor, days: Sequence[date], done: list[DayLanding]
    ) -> None:
        waiting: deque[tuple[_Day, Walk | None]] = deque()
        running: dict[Future[list[Walk]], _Day] = {}
        upcoming = deque(days)
        while True:
            while len(running) < self.options.concurrency and not self._failure:
                if not waiting and upcoming:
                    waiting.append((self._begin(upcoming.popleft()), None))
                if not waiting:
                    break
                day, walk = waiting.popleft()
                running[pool.submit(self._task, day, walk)] = day
            if not running:
                return
            finished, _ = wait(running, _PATIENCE, FIRST_COMPLETED)
            self.lease.renew_in_time()
            for future in finished:
                day = running.pop(future)
                walks = self._walks_of(future)
                if walks is None:
                    continue
                day.left += len(walks) - 1
                waiting.extendleft((day, walk) for walk in walks)
                if day.left == 0:
                    done.append(self._end(day))
                    if self.progress is not None:
                        self.progress(self.to.account, len(done), len(days))

    def _walks_of(self, future: Future[list[Walk]]) -> list[Walk] | None:
        """The walks a task found necessary; None of one that failed or was stopped."""
        try:
            return future.result()
        except _StoppedError:
            return None
        except JourneyportError as error:
            self._failure = self._failure or error
            self._stop.set()
            return None

    def _begin(self, day: date) -> _Day:
        """A new walk, or one that was cut off not long ago."""
        lo, next_day = day_bounds(day)
        hi = min(next_day, self.opening.end)
        store = DayStore(self.to, day)
        state, account = self.to.state, self.to.account
        now = self.to.clock.now()
        walk = windows.unfinished(state, account, day)
        resumed = (
            walk is not None
            and walk.claim_to == hi == next_day
            and walk.coverage == self.opening.coverage
            and now - walk.began_at <= self.options.resume_within
        )
        if walk is None or not resumed:
            walk = OpenWalk(
                account,
                day,
                self._walk_id(day),
                self.opening.coverage,
                min(now, self.source.now()[0]),  # whichever clock is behind
                hi,
            )
            windows.begin(state, walk)
        done = windows.windows_of(state, account, day, walk.run_id) if resumed else []
        return _Day(
            walk=walk,
            bounds=(lo, hi),
            store=store,
            held_before=store.ids,
            windows=[one for one in done if one.proof != Proof.UNPROVEN],
            left=1,
            resumed=resumed,
        )

    def _walk_id(self, day: date) -> str:
        """The run's id, numbered where the day's claim rests on windows under it."""
        known = windows.day_of(self.to.state, self.to.account, day)
        run_id, _, number = (
            ("", "", "") if known is None else known.run_id.partition("~")
        )
        if run_id != self.to.run_id:
            return self.to.run_id
        return f"{run_id}~{int(number or 1) + 1}"

    def _task(self, day: _Day, walk: Walk | None) -> list[Walk]:
        if walk is None:
            return self._walks(day)
        pending: list[Version] = []
        result = self._drive(day, walk, pending)
        self._finish(day, result, pending)
        return []

    def _walks(self, day: _Day) -> list[Walk]:
        """The walks an account-day takes, from its first answers."""
        walks: list[Walk] = []
        for channels in self.opening.filters:
            coverage = coverage_of(channels)
            done = [one for one in day.windows if one.coverage == coverage]
            for lo, hi in gaps(day.bounds, done):
                walks += self._split(Window(lo, hi, channels))
        return walks  # none where all was done before the walk was cut off

    def _split(self, window: Window) -> list[Walk]:
        ask = Ask(window.lo, window.hi, channels=window.channels)
        answer = self.source.search(self.to.account, ask)
        given = None if answer.not_found else (ask, answer)
        parts = split(window, answer, self.options)
        walks = [self._of(part) for part in parts]
        walks[-1].given = given
        return walks

    def _of(self, window: Window) -> Walk:
        return Walk(self.to.account, window, self.opening.seen, self.options.rules)

    def _drive(self, day: _Day, walk: Walk, pending: list[Version]) -> WindowResult:
        steps = walk.steps()
        answer: Answer | None = None
        while True:
            if self._stop.is_set():
                raise _StoppedError
            try:
                ask = next(steps) if answer is None else steps.send(answer)
            except StopIteration as stop:
                day.store.add(walk.taken(), pending)
                result: WindowResult = stop.value
                return result
            day.store.add(walk.taken(), pending)
            answer = self.source.search(self.to.account, ask)

    def _finish(self, day: _Day, result: WindowResult, pending: list[Version]) -> None:
        """Land first, then say so: a crash in between repeats, it never loses."""
        window = WalkedWindow(
            result.window.lo,
            result.window.hi,
            coverage_of(result.window.channels),
            result.calls,
            len(result.ids),
            result.proof,
            result.breaches,
            self.to.clock.now(),
            day.walk.run_id,
        )
        name = f"{result.window.lo:%H%M%S}"
        if self.options.rules.land_first:
            day.store.flush(pending, name)
        windows.finish_window(
            self.to.state, self.to.account, day.walk.day, day.walk.run_id, window
        )
        if not self.options.rules.land_first:
            day.store.flush(pending, name)
        day.found |= result.ids
        day.windows.append(window)

    def _end(self, day: _Day) -> DayLanding:
        lo, hi = day.bounds
        proof = Proof.weakest([Proof(one.proof) for one in day.windows])
        # What the first answer of the run broke concerns every day it was asked for.
        breaches: Counter[str] = Counter(self.opening.breaches)
        for window in day.windows:
            breaches.update(window.breaches)
        closed = hi == day_bounds(day.walk.day)[1]
        status = windows.PROVED if closed else windows.PARTIAL
        if proof is Proof.UNPROVEN:
            status = windows.HELD
        missing = self._missing(day, status)
        calls = sum(window.calls for window in day.windows)
        found = len(day.store.ids & day.found)
        known = windows.finish_day(
            self.to.state,
            WalkedDay(
                account=self.to.account,
                day=day.walk.day,
                status=status,
                proof=proof,
                coverage=day.walk.coverage,
                began_at=day.walk.began_at,
                claim_from=lo,
                claim_to=hi,
                source_clock=self.opening.source_clock,
                walked_at=self.to.clock.now(),
                run_id=day.walk.run_id,
                calls=calls,
                found=found,
                breaches=dict(breaches),
                dropped=dict(day.store.dropped),
            ),
        )
        return DayLanding(
            day=day.walk.day,
            status=status,
            proof=proof,
            calls=calls,
            rows=found,
            new_versions=day.store.added,
            windows=len(day.windows),
            breaches=dict(sorted(breaches.items())),
            claim_to=hi,
            missing=missing,
            stands=known.status != status,
        )

    def _missing(self, day: _Day, status: str) -> int:
        """Put what is held and was not shown on the watch-list: a read by id decides.

        Absence from a walk is no proof of deletion, only a reason to ask.
        """
        if status == windows.HELD or day.resumed or self._frozen(day.walk.day):
            return 0
        gone = day.held_before - day.found
        state, account, now = self.to.state, self.to.account, self.to.clock.now()
        known = watch.of_ids(state, account, gone)
        listed = [
            replace(known[key], day=day.walk.day, reason=watch.MISSING, due_at=now)
            if key in known
            else Watched(key, day.walk.day, watch.MISSING, now, now)
            for key in sorted(gone)
        ]
        back = watch.missing(state, account, day.walk.day)
        listed += [
            Watched(key, day.walk.day, watch.OPEN, now, now + REST)
            for key in sorted(back.keys() & day.found)
        ]
        watch.put(state, account, listed)
        return len(gone)

    def _frozen(self, day: date) -> bool:
        return is_frozen(day, self.opening.end, self.options)


def is_frozen(day: date, end: datetime, options: ExtractOptions) -> bool:
    """Whether the source may have let the day go: its silence then means nothing."""
    kept = options.retention_days
    return kept is not None and (end.date() - day).days >= kept
