"""Which values met: every pair of values that some engagement carries together.

Whether a pair is a link is decided in `partition` and `standing`.
"""

from dataclasses import dataclass

import numpy as np

from journeyport.identity.evidence import (
    STRONG,
    VERY_STRONG,
    Bools,
    Evidence,
    Ints,
    Longs,
    Weights,
)

NEVER = np.iinfo(np.int32).max
"""Later than every engagement."""


@dataclass(frozen=True)
class Pairs:
    """Distinct pairs of values that met, sorted by left, then right; left < right.

    Attributes:
        left, right: numbers of values.
        first: the earliest engagement that carries both.
        first_clean: the earliest that is not overfull for either side; NEVER: none.
    """

    left: Ints
    right: Ints
    first: Ints
    first_clean: Ints

    def __len__(self) -> int:
        return len(self.left)


def meet(evidence: Evidence, weights: Weights) -> Pairs:
    """All pairs that met."""
    left, right, engagement, clean = _meetings(
        evidence, overfull_rows(evidence, weights)
    )
    if not len(left):
        nothing = np.zeros(0, np.int32)
        return Pairs(nothing, nothing, nothing, nothing)
    width = evidence.value_count
    code = left.astype(np.int64) * width + right
    del left, right
    order = np.argsort(code)
    code = code[order]
    starts = np.flatnonzero(np.concatenate(([True], code[1:] != code[:-1])))
    code = code[starts]
    engagement = engagement[order]
    first = np.minimum.reduceat(engagement, starts)
    if clean is None:
        first_clean = first
    else:
        engagement = np.where(clean[order], engagement, np.int32(NEVER))
        first_clean = np.minimum.reduceat(engagement, starts)
    return Pairs(
        (code // width).astype(np.int32),
        (code % width).astype(np.int32),
        first,
        first_clean,
    )


def overfull_rows(evidence: Evidence, weights: Weights) -> Bools | None:
    """Rows whose engagement carries more values of their type than the cap.

    Only VERY_STRONG values that are not blocked count. None: there is no such row.
    """
    counted = np.flatnonzero(
        (weights.strength[evidence.row_value] == VERY_STRONG)
        & ~weights.blocked[evidence.row_value]
    )
    if not len(counted):
        return None
    types = evidence.value_type[evidence.row_value[counted]]
    # Rows are sorted by engagement, then value, and values by type: equal keys are
    # neighbours.
    key = evidence.row_engagement[counted].astype(np.int64) * len(weights.cap) + types
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    sizes = np.diff(np.append(starts, len(key)))
    over = sizes > weights.cap[types[starts]]
    if not over.any():
        return None
    rows: Bools = np.zeros(len(evidence.row_value), np.bool_)
    rows[counted[np.repeat(over, sizes)]] = True
    return rows


def _meetings(
    evidence: Evidence, overfull: Bools | None
) -> tuple[Ints, Ints, Ints, Bools | None]:
    """Every pair of every engagement, and whether the engagement is clean for it."""
    engagement, value = evidence.row_engagement, evidence.row_value
    found: list[Longs] = []
    distance = 1
    rows = np.flatnonzero(engagement[1:] == engagement[:-1])
    while len(rows):
        found.append(rows)
        distance += 1
        # A pair further apart exists only where the nearer one does.
        rows = rows[rows + distance < len(engagement)]
        rows = rows[engagement[rows + distance] == engagement[rows]]
    if not found:
        nothing = np.zeros(0, np.int32)
        return nothing, nothing, nothing, None
    left = np.concatenate(found)
    right = np.concatenate([rows + step for step, rows in enumerate(found, start=1)])
    clean = None if overfull is None else ~(overfull[left] | overfull[right])
    return value[left], value[right], engagement[left], clean


def hubs(pairs: Pairs, weights: Weights) -> Bools:
    """STRONG values that met more VERY_STRONG ones than the limit."""
    strength = np.where(weights.blocked, -1, weights.strength)
    left, right = strength[pairs.left], strength[pairs.right]
    met = np.concatenate(
        (
            pairs.left[(left == STRONG) & (right == VERY_STRONG)],
            pairs.right[(left == VERY_STRONG) & (right == STRONG)],
        )
    )
    counts = np.bincount(met, minlength=len(strength))
    return counts > weights.hub_limit
