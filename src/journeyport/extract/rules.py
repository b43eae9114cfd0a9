"""The rules of extraction, each with a switch that only tests turn.

Every rule is on for everybody. The property suite takes them out one by one and shows
that it notices; a rule whose loss nobody notices has no place here. What the rules do
stands where they are applied.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """Which rules hold; all of them, outside tests.

    Attributes:
        inclusive_bound: the next question reaches up to the oldest row's own tick, not
            only to the tick below it.
        round_up: a bound is rounded up, never down, to the source's resolution.
        ties: a tick with more rows than a page is read page by page.
        reread: such a tick counts only after two identical reads in a row.
        rows_equal_total: a window is done only when rows and total agree.
        short_page: a window is done only by a page shorter than one seen before.
        order: an answer out of order is noticed, and the window halved instead.
        distrust: a total that was caught lying is used no more.
        bounds: rows outside the question are noticed and refused.
        tenant: rows of another account are noticed and refused.
        bound_row: the row that gave the bound must come back in the next answer.
        count: a window with fewer rows than its first total is counted again.
        frozen_end: the end is fixed before the first question, the settle lag ago.
        land_first: rows are landed before their window is called done.
        canary: a 404 means "empty" or "gone" only while a known one is found.
        two_runs: an engagement must be missing in two runs to be called deleted.
        share_guard: no run calls more than a set share deleted.
    """

    inclusive_bound: bool = True
    round_up: bool = True
    ties: bool = True
    reread: bool = True
    rows_equal_total: bool = True
    short_page: bool = True
    order: bool = True
    distrust: bool = True
    bounds: bool = True
    tenant: bool = True
    bound_row: bool = True
    count: bool = True
    frozen_end: bool = True
    land_first: bool = True
    canary: bool = True
    two_runs: bool = True
    share_guard: bool = True


ALL = Rules()
