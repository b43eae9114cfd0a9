"""Into which windows an account-day is cut, and what a walk cut off has left. Pure."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from journeyport.extract.checks import disorder
from journeyport.extract.report import ExtractOptions
from journeyport.extract.window import Window
from journeyport.state.windows import WalkedWindow
from journeyport.wire import SECOND, Answer, floor_to


def split(window: Window, answer: Answer, options: ExtractOptions) -> list[Window]:
    """The window in equal spans of time, oldest first, by what its answer counts.

    The newest part ends where the window ends, so that the answer belongs to it.
    """
    dates = [row.start for row in answer.rows if row.start is not None]
    parts = math.ceil((answer.total or 0) / options.window_rows)
    parts = min(parts, options.concurrency)
    if parts < 2 or not dates or disorder(answer):
        return [window]
    reached = min(dates)
    cuts = {
        floor_to(window.lo + (reached - window.lo) * part / parts, SECOND)
        for part in range(1, parts)
    }
    inner = sorted(cut for cut in cuts if window.lo < cut < window.hi)
    ends = [window.lo, *inner, window.hi]
    return [replace(window, lo=lo, hi=hi) for lo, hi in pairwise(ends)]


def gaps(
    bounds: tuple[datetime, datetime], done: Sequence[WalkedWindow]
) -> list[tuple[datetime, datetime]]:
    """What of the bounds no window covers, oldest first, edges included."""
    lo, hi = bounds
    found: list[tuple[datetime, datetime]] = []
    reached = lo
    for window in sorted(done, key=lambda one: one.window_from):
        if window.window_from > reached:
            found.append((reached, window.window_from))
        reached = max(reached, window.window_to)
    if reached < hi:
        found.append((reached, hi))
    return found
