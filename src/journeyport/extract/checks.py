"""What the walk's argument rests on, checked in every answer. Pure.

What follows from a broken assumption is decided in `walk`.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from journeyport.extract.rules import Rules
from journeyport.wire import SECOND, Answer, Ask, Row

TOLERANCE = SECOND
"""How far outside a question a row may be dated: bounds may be coarser than dates."""


class Breach(StrEnum):
    """An assumption that an answer broke, by the name the certificate uses."""

    ORDER = "order"
    """Not newest first."""
    TWICE = "twice"
    """One id twice in an answer."""
    BOUNDS = "bounds"
    """Rows dated outside the question."""
    TENANT = "tenant"
    """Rows of another account."""
    TOTAL = "total"
    """A total that is absent, below the rows, or contradicted by them."""
    UNDATED = "undated"
    """Rows without a date that can be read."""
    RESOLUTION = "resolution"
    """Bounds coarser than a millisecond, or not inclusive."""
    STALE = "stale"
    """The same question answered with and without a row."""
    COUNT = "count"
    """Fewer rows found than the source counts, however often walked."""
    TICK = "tick"
    """A tick with more rows than a page that did not settle."""
    NOT_FOUND = "not found"
    """A 404 that nothing shows to mean "empty"."""


ASSUMPTIONS = {
    Breach.ORDER: "answers are sorted, newest first",
    Breach.TWICE: "an answer names an engagement once",
    Breach.BOUNDS: "answers stay inside the dates asked for",
    Breach.TENANT: "answers hold this account's engagements only",
    Breach.TOTAL: "the total is true",
    Breach.UNDATED: "engagements carry a date",
    Breach.RESOLUTION: "bounds are inclusive, to the millisecond",
    Breach.STALE: "answers to one question agree",
    Breach.COUNT: "as many engagements were found as the source counts",
    Breach.TICK: "ticks with more than a page settle",
    Breach.NOT_FOUND: "404 on a search means that there is nothing",
}
"""Each assumption in words, by the breach that shows it broken."""


def breaches(account: str, ask: Ask, answer: Answer, rules: Rules) -> set[Breach]:
    """The assumptions this one answer breaks."""
    found: set[Breach] = set()
    rows = answer.rows
    if rules.tenant and any(foreign(account, row) for row in rows):
        found.add(Breach.TENANT)
    dates = [row.start for row in rows if row.start is not None]
    if len(dates) < len(rows) or any(row.id is None for row in rows):
        found.add(Breach.UNDATED)
    if rules.bounds and not all(within(ask, date) for date in dates):
        found.add(Breach.BOUNDS)
    if rules.order:
        found |= disorder(answer)
    distinct = len({row.key for row in rows})
    if answer.total is None or _lies(ask, distinct, answer.total):
        found.add(Breach.TOTAL)
    return found


def within(ask: Ask, date: datetime) -> bool:
    """Whether a row dated so may stand in an answer to the question."""
    return ask.lo - TOLERANCE <= date <= ask.hi + TOLERANCE


def disorder(answer: Answer) -> set[Breach]:
    """Whether the answer is no list of distinct engagements, newest first."""
    dates = [row.start for row in answer.rows if row.start is not None]
    found: set[Breach] = set()
    if any(first < second for first, second in pairwise(dates)):
        found.add(Breach.ORDER)
    if len({row.key for row in answer.rows}) < len(answer.rows):
        found.add(Breach.TWICE)
    return found


def foreign(account: str, row: Row) -> bool:
    """Whether the row says that it belongs to another account."""
    return row.account is not None and row.account.lower() != account.lower()


def _lies(ask: Ask, distinct: int, total: int) -> bool:
    if distinct > total:
        return True
    return distinct == 0 and total > 0 and ask.page_number == 1


class Oldest(NamedTuple):
    """The row an answer ends with, as far as a bound needs it."""

    key: str
    start: datetime
    upper: datetime


def oldest_of(answer: Answer) -> Oldest | None:
    """The last row that has a date; in an answer in order, the oldest."""
    for row in reversed(answer.rows):
        if row.start is not None and row.upper is not None:
            return Oldest(row.key, row.start, row.upper)
    return None


def reaches(answer: Answer, bound: datetime, tick: timedelta) -> bool:
    """Whether the answer goes on below the bound's tick, or has nothing at all.

    One that does not is a full page of that tick and need not hold any one row of it.
    """
    oldest = oldest_of(answer)
    return oldest is None or oldest.start < bound - tick


def absent(answer: Answer, wider: Answer, bound: datetime) -> set[str]:
    """Rows up to the bound that a wider answer shows and this one should have held."""
    shown = {row.key for row in answer.rows}
    oldest = oldest_of(answer)
    return {
        row.key
        for row in wider.rows
        if row.start is not None
        and row.start <= bound
        and row.key not in shown
        and (oldest is None or row.start > oldest.start)
    }
