"""The service's own clock: real, or set and moved by whoever runs the service.

Every time the service tells or writes comes from here: the Date header, a token's life,
updateDate, write lag. How an instant is written lives in instants.py.
"""

import time

from customer_journey.instants import SECOND


class Clock:
    """Microseconds since 1970, real until it is set.

    A set clock stands still unless it is given a rate: 1 runs at real speed, 60 makes
    an hour of every minute.

    Args:
        start: the instant to stand at; None follows the machine's clock.
        rate: service seconds per real second for a set clock.
    """

    def __init__(self, start: int | None = None, rate: float = 0.0) -> None:
        self._start = start
        self._rate = rate
        self._anchor = time.monotonic()

    @property
    def is_set(self) -> bool:
        """True when the clock no longer follows the machine's."""
        return self._start is not None

    @property
    def rate(self) -> float:
        """Service seconds per real second."""
        return self._rate if self.is_set else 1.0

    def now(self) -> int:
        """The present instant, cut to the millisecond the source works in."""
        if self._start is None:
            return time.time_ns() // 1_000_000 * 1000
        if not self._rate:
            return self._start
        elapsed = (time.monotonic() - self._anchor) * self._rate
        return (self._start + int(elapsed * SECOND)) // 1000 * 1000

    def set(self, instant: int, rate: float | None = None) -> None:
        """Put the clock at an instant, keeping its rate unless a new one is given."""
        if rate is not None:
            self._rate = rate
        elif not self.is_set:
            self._rate = 0.0
        self._start = instant
        self._anchor = time.monotonic()

    def advance(self, microseconds: int) -> None:
        """Move forward (or back, when negative) from the present instant."""
        self.set(self.now() + microseconds, self.rate if self.is_set else 1.0)

    def follow_machine(self) -> None:
        """Return to the machine's clock."""
        self._start = None
