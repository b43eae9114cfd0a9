"""Where fault profiles touch an operation: before and after it reads, as it writes.

Which of them strike is decided in faults.py; documents are made odd in oddities.py.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson
import sqlalchemy as sa

from customer_journey.instants import DAY, SECOND, parse_instant
from customer_journey.oddities import odd
from customer_journey.problems import Problem
from customer_journey.search import EARLIEST, Page, Query
from customer_journey.service import Service

if TYPE_CHECKING:
    from customer_journey.call import Call

RETENTION = 7 * DAY
LAG = 2 * SECOND
CAP = 100
SMALL_PAGE = 20
DEEPEST = 10_000


def reader(call: "Call") -> sa.Connection:
    """Where engagements are read: the present state, or an old one."""
    service = call.service
    if not (rng := service.faults.strikes("stale-replica", call.number)):
        return service.store.reader
    if rng.random() < 0.25:
        service.replica.refresh()
    service.faults.note("stale-replica", call.number)
    return service.replica.reader


def before_write(service: Service, request: int) -> None:
    """Add the lag that a profile in force adds."""
    lagging = service.faults.has("write-lag")
    service.writes.more_lag = LAG if lagging else 0
    if lagging:
        service.faults.note("write-lag", request)


def oldest(call: "Call") -> int:
    """The earliest startDate that is still kept."""
    if not call.service.faults.has("retention"):
        return EARLIEST
    call.service.faults.note("retention", call.number)
    return call.service.clock.now() - RETENTION


def before_search(
    call: "Call", query: Query, number: int, size: int
) -> tuple[Query, int]:
    """Refuse, or change, what is searched for; answers the query and the page size."""
    faults = call.service.faults
    if not faults.profiles:
        return query, size
    if faults.has("require-filter") and not query.has_filter:
        faults.note("require-filter", call.number)
        raise Problem(400, "Name identifiers, channels or an agent to search for.")
    if faults.has("deep-paging") and number * size > DEEPEST:
        faults.note("deep-paging", call.number)
        raise Problem(400, f"Pages end at the {DEEPEST}th engagement.")
    call.service.traffic.churn(faults, call.number, query)
    if faults.has("microseconds"):
        faults.note("microseconds", call.number)  # the store's; bounds stay as ever
    if faults.has("small-pages") and size > SMALL_PAGE:
        faults.note("small-pages", call.number)
        size = SMALL_PAGE
    return query, size


def after_search(call: "Call", page: Page) -> Page:
    """The page as the profiles in force show it."""
    faults = call.service.faults
    if not faults.profiles:
        return page
    if faults.has("empty-is-404") and not page.total:
        faults.note("empty-is-404", call.number)
        raise Problem(404, "Nothing was found.")
    total, shown = page.total, list(odd(faults, call.number, page.documents))
    if faults.has("capped-total") and total > CAP:
        faults.note("capped-total", call.number)
        total = CAP
    if rng := faults.strikes("wrong-total", call.number):
        faults.note("wrong-total", call.number)
        total = max(0, total + rng.choice((-3, -2, -1, 1, 2, 3)))
    rng = faults.strikes("broken-order", call.number)
    if rng and len(shown) > 1:
        faults.note("broken-order", call.number)
        place = int(rng.random() * (len(shown) - 1))
        shown[place], shown[place + 1] = shown[place + 1], shown[place]
    return Page(shown, page.identifiers, total)


def documents(call: "Call", texts: Sequence[str]) -> Sequence[str]:
    """Documents read by id as the profiles in force show them."""
    faults = call.service.faults
    if not faults.profiles:
        return texts
    if faults.has("retention"):
        since = oldest(call)
        texts = [text for text in texts if _start(text) >= since]
    return odd(faults, call.number, texts)


def _start(text: str) -> int:
    return parse_instant(orjson.loads(text)["startDate"]) or 0
