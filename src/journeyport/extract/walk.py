"""The walk over one window, as a generator: questions out, answers in. Pure.

It never asks for page two of a list that moves. One answer is one snapshot, sorted
newest first, so whatever is dated after its oldest row is complete; the next question
ends at that row. docs/extraction.md has the argument. Nothing here knows a network,
a file or the time; what an answer breaks is found in `checks`.
"""

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NoReturn

from journeyport.extract.checks import (
    Breach,
    Oldest,
    absent,
    breaches,
    disorder,
    oldest_of,
    reaches,
    within,
)
from journeyport.extract.rules import ALL, Rules
from journeyport.extract.window import Proof, Seen, Window, WindowResult
from journeyport.wire import (
    MILLISECOND,
    PAGE,
    SECOND,
    Answer,
    Ask,
    Row,
    ceil_to,
    floor_to,
)

_TRIES = 3
"""How often a question is asked whose answers cannot be used."""

_READS = 6
"""How often a tick is read until two reads agree."""

_RECOUNTS = 8
"""How often rows are looked for that the source counts and no answer showed: so many
erasures and inserts at once as make a walk look short seldom do so eight times."""

_INSISTS = 4
"""Reads of a tick that must agree before their totals are believed to lie."""

_PAGES = 400
"""Pages of one tick after which it is given up: 20,000 rows dated alike."""

Steps = Generator[Ask, Answer, WindowResult]
_Part = Generator[Ask, Answer, None]
_Asked = Generator[Ask, Answer, Answer]


class _UnprovenError(Exception):
    pass


@dataclass
class Walk:
    """One walk; `steps` asks, `taken` hands over the rows since the last call.

    Attributes:
        account: whose engagements are asked for.
        window: what to cover.
        seen: what other walks of the run learned; shared.
        rules: all of them, outside tests.
        given: a question up to the window's end that is answered already; it may
            reach further back than the window does.
    """

    account: str
    window: Window
    seen: Seen = field(default_factory=Seen)
    rules: Rules = ALL
    given: tuple[Ask, Answer] | None = None

    _dates: dict[str, datetime | None] = field(default_factory=dict, init=False)
    _fresh: list[Row] = field(default_factory=list, init=False)
    _notes: Counter[str] = field(default_factory=Counter, init=False)
    _calls: int = field(default=0, init=False)
    _tick: timedelta = field(default=MILLISECOND, init=False)
    _first_total: int | None = field(default=None, init=False)
    _reread: bool = field(default=False, init=False)

    def taken(self) -> list[Row]:
        """The rows accepted since the last call, in the order they came."""
        rows, self._fresh = self._fresh, []
        return rows

    def steps(self) -> Steps:
        """Ask, be sent each answer, return the result."""
        proof = Proof.PROVEN
        try:
            yield from self._counted()
        except _UnprovenError:
            proof = Proof.UNPROVEN
        if proof is Proof.PROVEN and self._reread:
            proof = Proof.PROVEN_BY_REREAD
        notes, ids = dict(sorted(self._notes.items())), frozenset(self._dates)
        return WindowResult(self.window, self._calls, ids, proof, notes)

    def _counted(self) -> _Part:
        """Walk; where fewer rows were found than counted at first, count again.

        Erasures explain a first total that was higher. Rows that the source still
        counts and that no answer showed do not: they are looked for.
        """
        lo, hi = self.window.lo, self.window.hi
        yield from self._descend(lo, hi)
        if len(self._dates) >= (self._first_total or 0):
            return
        for _ in range(_RECOUNTS):
            if not (self.rules.count and self.seen.total_trusted):
                return
            answer = yield from self._ask(lo, hi, size=1)
            if answer.total is None or answer.total <= len(self._dates):
                return
            yield from self._search(lo, hi, answer.total)
        self._unproven(Breach.COUNT)

    def _search(self, lo: datetime, hi: datetime, counted: int) -> _Part:
        """Narrow down by halves where more is counted than was found; walk that."""
        dates = sorted(d for d in self._dates.values() if d and lo <= d <= hi)
        middle = floor_to(dates[len(dates) // 2], SECOND) if dates else lo
        if len(dates) < PAGE - 10 or not lo < middle < hi:
            yield from self._descend(lo, hi)
            return
        newer = sum(date >= middle for date in dates)
        answer = yield from self._ask(middle, hi, size=1)
        surplus = (answer.total or 0) - newer
        if surplus > 0:
            yield from self._search(middle, hi, newer + surplus)
        if counted - len(dates) > max(surplus, 0):
            older = middle - self._tick
            yield from self._search(lo, older, counted - newer - max(surplus, 0))

    def _descend(self, lo: datetime, hi: datetime) -> _Part:
        """From `hi` down to `lo`, each question ending where the last answer did."""
        bound, last = hi, None
        while True:
            answer = yield from self._given_or_asked(lo, bound)
            if last is not None and self._lacks(answer, last, bound):
                bound, answer = yield from self._find(lo, bound, answer)
            if self.rules.order and disorder(answer):
                yield from self._halve(lo, bound)
                return
            if self._closed(answer):
                return
            last = oldest_of(answer)
            if last is None and answer.rows:
                self._unproven(Breach.UNDATED)
            following = self._bound(last) if last is not None else bound
            if following > bound:
                self._coarse()
            if following >= bound:
                following, last = (yield from self._stuck(lo, bound)), None
            if following < lo:
                return
            bound = following

    def _given_or_asked(self, lo: datetime, bound: datetime) -> _Asked:
        if self.given is None:
            return (yield from self._ask(lo, bound))
        (ask, answer), self.given = self.given, None
        self._calls += 1
        if not self._usable(ask, answer):
            return (yield from self._ask(lo, bound))
        if ask.lo == lo:
            return answer
        if not (yield from self._whole(answer, bound)):
            return (yield from self._ask(lo, bound))
        # The total of a longer window closes nothing here.
        return replace(answer, total=None)

    def _whole(self, answer: Answer, hi: datetime) -> Generator[Ask, Answer, bool]:
        """Whether the source counts no more rows above a given answer than it shows.

        No total of this window takes them in, so they are counted on their own.
        """
        oldest = oldest_of(answer)
        if oldest is None or not self.rules.count or not self.seen.total_trusted:
            return True
        lo = ceil_to(oldest.upper, self._tick) + self._tick
        if lo > hi:
            return True
        shown = sum(row.start is not None and row.start >= lo for row in answer.rows)
        counted = yield from self._ask(lo, hi, size=1)
        return counted.total is None or counted.total <= shown

    def _stuck(self, lo: datetime, bound: datetime) -> Generator[Ask, Answer, datetime]:
        """Nothing older than one tick came: read the tick, go on below it."""
        below = bound - self._tick
        if self.rules.ties:
            yield from self._read_tick(max(lo, below), bound)
        return below

    def _bound(self, oldest: Oldest) -> datetime:
        """Where the next question ends: the oldest row's own tick."""
        if not self.rules.round_up:
            return floor_to(oldest.start, self._tick)
        bound = ceil_to(oldest.upper, self._tick)
        return bound if self.rules.inclusive_bound else bound - self._tick

    def _closed(self, answer: Answer) -> bool:
        """Whether the source has nothing beyond this answer.

        A page as long as the longest seen may be a full one: it closes nothing, nor
        does one that names an engagement twice, perhaps in another's place. A total
        that was caught lying closes nothing either; only an empty answer does.
        """
        found = len({row.key for row in answer.rows})
        if self.rules.order and found < len(answer.rows):
            return False
        if found == 0 or not self.seen.total_trusted:
            return found == 0 and (answer.total == 0 or not self.seen.total_trusted)
        if self.rules.short_page and len(answer.rows) >= min(PAGE, self.seen.largest):
            return False
        return found == answer.total if self.rules.rows_equal_total else found < PAGE

    # broken order

    def _halve(self, lo: datetime, hi: datetime) -> _Part:
        """Without an order, only a window that fits one page is known to be whole."""
        answer = yield from self._ask(lo, hi)
        if not self.seen.total_trusted:
            self._unproven(Breach.TOTAL)
        if self._closed(answer):
            return
        if hi - lo <= self._tick:
            yield from self._read_tick(lo, hi)
            return
        middle = floor_to(lo + (hi - lo) / 2, MILLISECOND)
        yield from self._halve(middle, hi)
        yield from self._halve(lo, middle)

    # ties

    def _read_tick(self, lo: datetime, hi: datetime) -> _Part:
        """Page through one tick until two reads in a row agree."""
        before: set[str] | None = None
        alike = 1
        for _ in range(_READS):
            twice = self._notes[Breach.TWICE]
            keys, totals = yield from self._read_pages(lo, hi)
            if self._notes[Breach.TWICE] > twice:
                continue  # what stands twice may stand in another's place
            alike = alike + 1 if keys == before else 1
            agreed = alike > 1 or not self.rules.reread
            if agreed and self._counts(len(keys), totals, alike):
                self._reread = True
                return
            before = keys
        self._unproven(Breach.TICK)

    def _counts(self, found: int, totals: set[int | None], alike: int) -> bool:
        """Whether the totals speak for what reads agree on, or are themselves lies.

        One total below the rows is a lie. One above them, and totals that differ
        within one read, may be of a tick that moves or of two copies; while read after
        read shows the same rows they are lies, too. Only a total that stays above
        several full pages may be the paging.
        """
        if not self.seen.total_trusted or totals == {found}:
            return True
        above = min(total or 0 for total in totals) > found
        if (above or len(totals) > 1) and alike < _INSISTS:
            return False
        if above and found >= self.seen.largest:
            return False
        self._lie()
        return True

    def _read_pages(
        self, lo: datetime, hi: datetime
    ) -> Generator[Ask, Answer, tuple[set[str], set[int | None]]]:
        keys: set[str] = set()
        totals: set[int | None] = set()
        for number in range(1, _PAGES + 1):
            answer = yield from self._ask(lo, hi, number=number)
            totals.add(answer.total)
            if not answer.rows:
                return keys, totals
            keys |= {row.key for row in answer.rows}
            short = len(answer.rows) < self.seen.largest
            if short and self.seen.total_trusted and answer.total == len(keys):
                return keys, totals
        return self._unproven(Breach.TICK)

    # the row that gave the bound

    def _lacks(self, answer: Answer, row: Oldest, bound: datetime) -> bool:
        if not self.rules.bound_row or any(r.key == row.key for r in answer.rows):
            return False
        return reaches(answer, bound, self._tick)

    def _find(
        self, lo: datetime, bound: datetime, answer: Answer
    ) -> Generator[Ask, Answer, tuple[datetime, Answer]]:
        """The row that gave the bound did not come back: find out why.

        It was erased, which the claim allows, only if a wider question reaches below
        the bound and shows nothing that the answer should have held, or no longer.
        """
        wider = floor_to(bound, SECOND) + SECOND
        again = yield from self._ask(lo, wider)
        lacking = absent(answer, again, bound)
        if not lacking and reaches(again, bound, self._tick):
            return bound, answer
        third = yield from self._ask(lo, bound)
        shown = lacking & {row.key for row in third.rows}
        if shown:
            self._notes[Breach.STALE] += 1
        if shown and shown == lacking:
            return bound, third
        fourth = yield from self._ask(lo, wider)
        stay = {row.key for row in fourth.rows} & (lacking - shown)
        if stay or not lacking or not reaches(fourth, bound, self._tick):
            self._coarse()
        return wider, fourth

    def _coarse(self) -> None:
        self._notes[Breach.RESOLUTION] += self._tick != SECOND
        self._tick = SECOND

    # one question

    def _ask(
        self, lo: datetime, hi: datetime, size: int = PAGE, number: int = 1
    ) -> _Asked:
        ask = Ask(lo, hi, size, number, self.window.channels)
        for left in reversed(range(_TRIES)):
            answer = yield from self._answered(ask)
            if left and number == 1 and answer.total and not answer.rows:
                self._notes[Breach.TOTAL] += 1  # asked again before it is believed
            elif self._usable(ask, answer):
                return answer
        raise _UnprovenError

    def _answered(self, ask: Ask) -> _Asked:
        self._calls += 1
        answer = yield ask
        if not answer.not_found:
            return answer
        for _ in range(_TRIES if self.rules.canary else 0):
            yield from self._sing()
            self._calls += 1
            answer = yield ask
            if not answer.not_found:
                return answer
        return Answer((), 0)

    def _sing(self) -> _Part:
        """A 404 may mean "empty" only while a search known to have rows has them."""
        if self.seen.canary is None:
            self._unproven(Breach.NOT_FOUND)
        self._calls += 1
        answer = yield self.seen.canary
        found = breaches(self.account, self.seen.canary, answer, self.rules)
        self._notes.update(found - {Breach.TOTAL} if answer.not_found else found)
        if not answer.rows or Breach.TENANT in found:
            self._unproven(Breach.NOT_FOUND)

    def _usable(self, ask: Ask, answer: Answer) -> bool:
        """Judge an answer and keep its rows; whether the argument may rest on it."""
        found = breaches(self.account, ask, answer, self.rules)
        self._notes.update(found)
        if Breach.TENANT in found:
            return False
        if Breach.TOTAL in found and self.rules.distrust:
            self.seen.total_trusted = False
        for row in answer.rows:
            if row.start is None or within(ask, row.start):
                self._fresh.append(row)
                if row.start is None or row.start >= self.window.lo:
                    self._dates[row.key] = row.start
        if Breach.BOUNDS in found:
            return False
        if ask.page_size == PAGE:
            self._expect(ask, answer)
            self.seen.learn(ask, answer)
        return True

    def _expect(self, ask: Ask, answer: Answer) -> None:
        if self._first_total is None and ask.lo == self.window.lo:
            newer = sum(1 for date in self._dates.values() if date and date > ask.hi)
            self._first_total = newer + (answer.total or 0)

    def _lie(self) -> None:
        self._notes[Breach.TOTAL] += 1
        if self.rules.distrust:
            self.seen.total_trusted = False

    def _unproven(self, breach: Breach) -> NoReturn:
        self._notes[breach] += 1
        raise _UnprovenError
