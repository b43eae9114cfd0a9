"""A model of a hostile source in virtual time: it changes and misbehaves by seed.

Between any two answers it may insert, back-date, update, erase, and pair an erasure
with an insert; it may bunch hundreds of rows in one tick, break its order, cap pages,
lie about totals, keep microseconds behind millisecond bounds, cut bounds to seconds,
answer from a stale copy, let old rows age out, answer for another account, or say 404.
It knows the truth, and which assumption each of its answers broke.
"""

import random
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson

from journeyport.pacing import Tally
from journeyport.wire import MILLISECOND, SECOND, Answer, Row, ceil_to, floor_to

ACCOUNT = "ABCDEF"
DAY = datetime(2026, 3, 2, tzinfo=UTC)
SETTLE = timedelta(minutes=5)
LAG = timedelta(seconds=30)
"""The longest that a stale copy lags behind, and a write stays unseen."""

_MICRO = timedelta(microseconds=1)


@dataclass(frozen=True)
class Traits:
    """How a source misbehaves; all off is a calm and honest one."""

    rows: int = 200
    churn: float = 0.0
    kinds: tuple[str, ...] = ("insert", "backdate", "update", "erase", "swap")
    bunch: int = 0
    micro: bool = False
    coarse: bool = False
    exclusive: bool = False
    page_cap: int = 50
    short_pages: float = 0.0
    shuffled: float = 0.0
    shuffled_ties: bool = False
    twice: float = 0.0
    total: str = "true"
    stale: float = 0.0
    foreign: float = 0.0
    skips: float = 0.0
    beyond: float = 0.0
    ages_out: bool = False
    empty_is_404: bool = False
    outage: float = 0.0
    write_lag: bool = False
    undated_updates: bool = False


def traits_of(seed):
    """One seed's traits: a few hostile ones at a time, all of them over all seeds."""
    rng = random.Random(f"traits {seed}")
    chosen = {"rows": rng.choice((0, 1, 3, 30, 49, 50, 51, 120, 200, 300))}
    if rng.random() < 0.8:
        chosen["churn"] = rng.choice((0.2, 0.7, 1.5))
    hostile = {
        "bunch": rng.choice((49, 50, 51, 60, 200)),
        "micro": True,
        "coarse": True,
        "exclusive": True,
        "page_cap": rng.choice((20, 20, 7, 33)),
        "short_pages": 0.3,
        "shuffled": rng.choice((1.0, 0.2)),
        "shuffled_ties": True,
        "twice": rng.choice((1.0, 0.1)),
        "total": rng.choice(("page", "capped", "low", "high", "absent", "random")),
        "stale": 0.2,
        "foreign": rng.choice((0.05, 0.5)),
        "beyond": rng.choice((0.05, 1.0)),
        "ages_out": True,
        "empty_is_404": True,
        "outage": rng.choice((0.1, 1.0)),
        "write_lag": True,
        "undated_updates": True,
    }
    for name in rng.sample(sorted(hostile), rng.choice((0, 1, 1, 2, 2, 3))):
        chosen[name] = hostile[name]
    if rng.random() < 0.3:
        chosen["micro"] = True
    if rng.random() < 0.25:
        chosen["bunch"] = rng.choice((51, 60, 200))
    if chosen.get("total", "true") != "true":
        # Nobody can tell a page cut short from the last one when the total agrees
        # with the cut: docs/extraction.md lists this among what cannot be seen.
        chosen.pop("short_pages", None)
    return Traits(**chosen)


@dataclass(order=True)
class Engagement:
    """One engagement's true life."""

    start: datetime
    id: str
    visible_at: datetime = field(compare=False)
    erased_at: datetime | None = field(default=None, compare=False)
    versions: list = field(default_factory=list, compare=False)

    def lives(self, at):
        return self.visible_at <= at and (self.erased_at is None or self.erased_at > at)


class ModelSource:
    """The source of one seed; every answer lets time pass and things happen."""

    def __init__(self, seed, traits=None, *, day=DAY, now=None):
        self.rng = random.Random(seed)
        self.traits = traits_of(seed) if traits is None else traits
        self.day = day
        self.tally = Tally()
        self.time = now or day + timedelta(days=1, hours=2)
        self.events = 0
        self.broke = set()
        self.rows = []
        self.by_id = {}
        self._numbers = iter(range(10**9))
        for _ in range(self.traits.rows):
            self.insert(self._some_start(), self.day)
        self._fill_bunch()

    # what is true

    def insert(self, start, visible_at=None):
        number = next(self._numbers)
        key = f"{self.rng.getrandbits(64):016x}-{number:06d}"
        seen = self.time if visible_at is None else visible_at
        if self.traits.write_lag:
            seen += self.rng.random() * LAG
        one = Engagement(start, key, seen)
        if self.traits.ages_out:
            # The oldest hour of the day ages out while it is being walked.
            one.erased_at = max(
                start + timedelta(days=1, hours=2), self.day + timedelta(hours=1)
            )
        one.versions.append((seen, self._update_date(seen), "ACTIVE"))
        insort(self.rows, one)
        self.by_id[key] = one
        return one

    def _update_date(self, at):
        return None if self.traits.undated_updates else at

    def _some_start(self):
        start = self.day + timedelta(milliseconds=self.rng.randrange(86_400_000))
        if self.traits.micro:
            start += timedelta(microseconds=self.rng.randrange(1000))
        return start

    def _fill_bunch(self):
        if not self.traits.bunch:
            return
        tick = floor_to(self._some_start(), MILLISECOND)
        for _ in range(self.traits.bunch):
            micros = self.rng.randrange(1000) if self.traits.micro else 0
            self.insert(tick + micros * _MICRO, self.day)

    def _happen(self):
        self.time += timedelta(seconds=self.rng.uniform(0.05, 2.0))
        chance = self.traits.churn
        while chance > 0 and self.rng.random() < chance:
            chance -= 1
            self.events += 1
            getattr(self, f"_{self.rng.choice(self.traits.kinds)}")()

    def _insert(self):
        """An engagement of just now: after the frozen end."""
        self.insert(self.time - timedelta(seconds=self.rng.uniform(0, 2)))

    def _backdate(self):
        self.insert(self._some_start())

    def _update(self):
        if self.rows:
            one = self.rng.choice(self.rows)
            status = self.rng.choice(("ACTIVE", "COMPLETED"))
            one.versions.append((self.time, self._update_date(self.time), status))

    def _erase(self):
        alive = [one for one in self.rows if one.lives(self.time)]
        if alive:
            self.rng.choice(alive).erased_at = self.time

    def _swap(self):
        self._erase()
        self._backdate()

    # what is answered

    def now(self):
        return self.time, True

    def search(self, account, ask):
        assert account == ACCOUNT
        self.tally.add(ask.purpose)
        self._happen()
        traits, rng = self.traits, self.rng
        if rng.random() < traits.outage:
            return self._not_found("outage")
        at = self.time
        if rng.random() < traits.stale:
            at -= rng.random() * LAG
        found = self._matching(ask, at)
        total = len(found)
        if traits.empty_is_404 and not found:
            return Answer((), not_found=True)
        size = min(ask.page_size, traits.page_cap)
        if rng.random() < traits.short_pages:
            size = rng.randrange(1, size + 1)
        # A page begins where full pages before it would end, whatever its own length.
        begin = (ask.page_number - 1) * min(ask.page_size, traits.page_cap)
        page = [self._row(one, at) for one in found[begin : begin + size]]
        if len(page) > 2 and rng.random() < traits.skips:
            del page[1]  # sorted, in bounds, and yet not the newest rows
        page = self._misbehave(ask, page)
        distinct = len({row.key for row in page})
        return Answer(tuple(page), self._total(total, distinct, ask))

    def by_ids(self, account, ids, purpose="watch"):
        assert account == ACCOUNT
        self.tally.add(purpose)
        self._happen()
        if self.rng.random() < self.traits.outage:
            return self._not_found("outage")
        at = self.time
        if self.rng.random() < self.traits.stale:
            at -= self.rng.random() * LAG
        there = [self.by_id[key] for key in ids if key in self.by_id]
        rows = [self._row(one, at) for one in there if one.lives(at)]
        rows = rows[: self.traits.page_cap]
        if not rows:
            return Answer((), not_found=True)
        return Answer(tuple(rows), len(rows))

    def identifier_types(self, account):
        return []

    def _not_found(self, why):
        self.broke.add(why)
        return Answer((), not_found=True)

    def _matching(self, ask, at):
        grain = SECOND if self.traits.coarse else MILLISECOND
        lo, hi = floor_to(ask.lo, grain), floor_to(ask.hi, grain)
        first = bisect_left(self.rows, lo, key=lambda one: one.start)
        side = bisect_left if self.traits.exclusive else bisect_right
        last = side(self.rows, hi, key=lambda one: one.start)
        found = [one for one in reversed(self.rows[first:last]) if one.lives(at)]
        if self.traits.shuffled_ties:
            self.rng.shuffle(found)
            found.sort(key=lambda one: one.start, reverse=True)
        if found and self.rng.random() < self.traits.shuffled:
            self.rng.shuffle(found)
        return found

    def _row(self, one, at, account=ACCOUNT):
        seen = [version for version in one.versions if version[0] <= at]
        when, update, status = (seen or one.versions[:1])[-1]
        body = orjson.dumps(
            {
                "id": one.id,
                "accountId": account,
                "startDate": one.start.isoformat(),
                "updateDate": update.isoformat() if update else None,
                "status": status,
                "data": {"version": when.isoformat()},
            }
        )
        return Row(one.id, account, one.start, one.start, update, None, status, body)

    def _misbehave(self, ask, page):
        traits, rng = self.traits, self.rng
        if len(page) > 1 and rng.random() < traits.twice:
            page[rng.randrange(1, len(page))] = page[0]
        if page and rng.random() < traits.foreign:
            self.broke.add("tenant")
            page = [Row(f"x{row.id}", "ZZZZZZ", *_of(row)[2:]) for row in page]
        if rng.random() < traits.beyond:
            after = ask.hi + timedelta(hours=1)
            self.broke.add("bounds")
            stray = Engagement(after, f"beyond-{self.tally.total}", self.day)
            stray.versions.append((self.day, None, "ACTIVE"))
            page = [self._row(stray, self.time), *page][: ask.page_size]
        # Only what is still in the page was told: the stray may have pushed it out.
        if len({row.key for row in page}) < len(page):
            self.broke.add("twice")
        dates = [row.start for row in page]
        if dates != sorted(dates, reverse=True):
            self.broke.add("order")
        return page

    def _total(self, true, page, ask):
        kind = self.traits.total
        told = {
            "true": true,
            "page": page,
            "capped": min(true, 40),
            "low": true // 2,
            "high": true + 7,
            "absent": None,
            "random": self.rng.randrange(300),
            "wrong": true,
        }[kind]
        if kind == "wrong" and self.rng.random() < 0.3:
            told = max(0, true + self.rng.choice((-3, -2, -1, 1, 2, 3)))
        if told is None or told < page or (page == 0 < told and ask.page_number == 1):
            self.broke.add("total")
        return told

    # what must be in the output

    def claimed(self, lo, end, began, ended, lag=timedelta()):
        """Ids dated within, visible to every copy before, not erased until the end."""
        return {
            one.id
            for one in self.rows
            if lo <= one.start <= end
            and one.visible_at + lag <= began
            and (one.erased_at is None or one.erased_at - lag > ended)
        }


def _of(row):
    return (
        row.id,
        row.account,
        row.start,
        row.upper,
        row.update,
        row.end,
        row.status,
        row.body,
    )


__all__ = ["ACCOUNT", "DAY", "LAG", "SETTLE", "ModelSource", "Traits", "ceil_to"]
