"""Records that somebody else is writing just now: waited for together, not one by one.

Salesforce refuses a record whose row, or whose parent's row, another transaction holds.
What a call does is said by whoever makes it.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

ALONE = 20
"""So many at most are tried alone in the end; of more, the org is too busy for that."""


def until_free(
    rows: Sequence[T],
    call: Callable[[Sequence[T]], Sequence[T]],
    *,
    batch: int,
    pauses: Sequence[float],
    pause: Callable[[float], None],
) -> list[T]:
    """Make calls until no row is locked, or patience ends.

    Args:
        rows: what to send.
        call: sends up to `batch` rows and returns those whose row was locked.
        batch: most rows of a call.
        pauses: the seconds before each further round over all that were locked.
        pause: sleeps.

    Returns:
        The rows that were locked to the end.
    """
    left = _round(rows, call, batch)
    for seconds in pauses:
        if left:
            pause(seconds)
            left = _round(left, call, batch)
    return _round(left, call, 1) if pauses and len(left) <= ALONE else left


def _round(
    rows: Sequence[T], call: Callable[[Sequence[T]], Sequence[T]], batch: int
) -> list[T]:
    locked: list[T] = []
    for start in range(0, len(rows), batch):
        locked += call(rows[start : start + batch])
    return locked
