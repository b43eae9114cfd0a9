"""How fast the source is asked, and how often a run may ask it at all.

The rate adapts: it starts slow (`START`), is halved when the source says "too many"
and creeps up while all goes well. On loopback there is no limit until the source asks
for one. What counts as "too many" is decided in `client`.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from journeyport.errors import QuotaError

START = 2.0
"""Calls per second to begin with where nothing is configured."""

CEILING = 10.0
"""Calls per second that the rate never creeps above where nothing is configured."""

_FLOOR = 0.1
_FIRST_LIMIT = 50.0
"""Calls per second, halved, that an unlimited pace falls to when first refused."""

_STREAK = 50
"""Good answers in a row after which the rate goes up by a tenth."""

_APART = 1.0
"""Seconds between two halvings: one spike is refused to every call under way."""


class Pace:
    """Spaces calls out over all threads.

    Args:
        start: calls per second to begin with; None is no limit.
        ceiling: calls per second never to be exceeded; None is no limit.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        start: float | None = START,
        ceiling: float | None = CEILING,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate = start
        self._ceiling = ceiling
        self._sleep = sleep
        self._lock = Lock()
        self._next = 0.0
        self._streak = 0
        self._slowed_at = -_APART

    def wait(self) -> None:
        """Return when the next call may be made."""
        with self._lock:
            now = time.monotonic()
            slot = max(now, self._next)
            self._next = slot + (1 / self.rate if self.rate else 0.0)
        if slot > now:
            self._sleep(slot - now)

    def went_well(self, seconds: float | None = None) -> None:
        """An answer came that was no refusal.

        Nobody calls for `seconds`, if it said that it was the last one for so long.
        """
        with self._lock:
            self._streak += 1
            self._pause(seconds)
            if self.rate and self._streak >= _STREAK:
                self._streak = 0
                self.rate = min(self.rate * 1.1, self._ceiling or float("inf"))

    def too_many(self, seconds: float | None) -> None:
        """The source refused a call; nobody calls for `seconds`, if it said so."""
        with self._lock:
            now = time.monotonic()
            self._streak = 0
            if now - self._slowed_at >= _APART:
                self._slowed_at = now
                self.rate = max((self.rate or _FIRST_LIMIT) / 2, _FLOOR)
            self._pause(seconds)

    def _pause(self, seconds: float | None) -> None:
        if seconds:
            self._next = max(self._next, time.monotonic() + seconds)


class Tally:
    """Counts calls by purpose and stops at a budget.

    Args:
        budget: calls that may be made; None is no limit.
    """

    def __init__(self, budget: int | None = None) -> None:
        self.budget = budget
        self.by_purpose: Counter[str] = Counter()
        self._share_ends: int | None = None
        self._lock = Lock()

    @contextmanager
    def share(self, among: int) -> Iterator[None]:
        """Within, use one of equal shares of what is left.

        Args:
            among: how many share what is left, this one included.
        """
        left = self.left
        if left is not None:
            self._share_ends = self.total + math.ceil(left / among)
        try:
            yield
        finally:
            self._share_ends = None

    @property
    def total(self) -> int:
        """Calls made so far, repeated ones and tokens included."""
        return sum(self.by_purpose.values())

    @property
    def left(self) -> int | None:
        """Calls that may still be made; None is no limit."""
        end = self.budget if self._share_ends is None else self._share_ends
        return None if end is None else max(0, end - self.total)

    def add(self, purpose: str) -> None:
        """Count one call about to be made.

        Raises:
            QuotaError: the budget is used up.
        """
        with self._lock:
            if self.left == 0:
                whole = self.budget is not None and self.total >= self.budget
                what = "The budget" if whole else "The account's share of the budget"
                raise QuotaError(
                    f"{what} of {self.budget} calls is used up; what is done is "
                    "kept, and the next run goes on from there."
                )
            self.by_purpose[purpose] += 1
