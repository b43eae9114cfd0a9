"""Where each value and each engagement stands once the customers are made.

WEAK values attach to the one customer they were seen with, or are SHARED; refusals are
what met and was not joined; an engagement belongs to the customer of its strongest
values, where these agree. Customers themselves are made in `partition`.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from journeyport.identity.evidence import (
    VERY_STRONG,
    WEAK,
    Bools,
    Evidence,
    Ints,
    Longs,
    Small,
    Weights,
)
from journeyport.identity.pairs import NEVER, Pairs, hubs, meet
from journeyport.identity.partition import Pair, Partition, Rulings, divide


class Standing(IntEnum):
    """How a value stands with customers."""

    BLOCKED = 0
    SHARED = 1
    ATTACHED = 2
    LINKED = 3


class Resolution(IntEnum):
    """What is known of whose an engagement is."""

    NONE = 0
    AMBIGUOUS = 1
    PROVISIONAL = 2
    RESOLVED = 3


class Verdict(IntEnum):
    """What became of a pair that met."""

    SAME = 0
    """One customer's both, though not by this pair."""
    CO_OCCURRENCE = 1
    ATTACHMENT = 2
    MUST_LINK = 3
    BLOCKED = 10
    CANNOT_LINK = 11
    HUB = 12
    WEAK_SHARED = 13
    WEAK_PAIR = 14
    OVERFULL_ENGAGEMENT = 15
    CAP = 16


@dataclass(frozen=True)
class Outcome:
    """Who is who, by number; the smallest value of a customer is its label.

    Attributes:
        label: per value; -1: SHARED or BLOCKED.
        standing: per value.
        resolved: per value as a label: the customer has linking evidence.
        candidates: (value, label) of every SHARED value, sorted.
        verdict: per pair.
        must, cannot: operator links in effect, as pairs of values.
        engagement_label: per engagement; -1: none.
        resolution: per engagement.
        engagement_candidates: (engagement, label) of every AMBIGUOUS one, sorted.
    """

    pairs: Pairs
    label: Ints
    standing: Small
    resolved: Bools
    candidates: tuple[Ints, Ints]
    verdict: Small
    must: tuple[Pair, ...]
    cannot: tuple[Pair, ...]
    engagement_label: Ints
    resolution: Small
    engagement_candidates: tuple[Ints, Ints]


def settle(evidence: Evidence, weights: Weights, rulings: Rulings) -> Outcome:
    """All decisions of one account, from its evidence and rules alone."""
    pairs = meet(evidence, weights)
    hub = hubs(pairs, weights)
    partition = divide(evidence, weights, pairs, hub, rulings)
    label, standing, candidates = _attach(weights, pairs, hub, partition, rulings)
    verdict = _judge(weights, pairs, hub, partition, label=label, rulings=rulings)
    resolved = np.zeros(evidence.value_count, np.bool_)
    resolved[partition.label[partition.label >= 0]] = True
    engagement_label, resolution, unsure = _assign(
        evidence,
        weights,
        partition,
        label=label,
        standing=standing,
        resolved=resolved,
        candidates=candidates,
    )
    return Outcome(
        pairs=pairs,
        label=label,
        standing=standing,
        resolved=resolved,
        candidates=candidates,
        verdict=verdict,
        must=partition.must,
        cannot=rulings.cannot,
        engagement_label=engagement_label,
        resolution=resolution,
        engagement_candidates=unsure,
    )


def _attach(
    weights: Weights,
    pairs: Pairs,
    hub: Bools,
    partition: Partition,
    rulings: Rulings,
) -> tuple[Ints, Small, tuple[Ints, Ints]]:
    """Labels and standings of all values, and the candidates of SHARED ones."""
    count = len(hub)
    member = partition.label >= 0
    loose = ~member & ~weights.blocked
    codes = _seen_with(pairs, loose, partition, count)
    codes = np.setdiff1d(
        codes, _forbidden(partition, rulings, member, loose, count), assume_unique=True
    )
    unit, customer = codes // count, codes % count
    choices = np.bincount(unit, minlength=count)[partition.unit]
    demoted = np.zeros(count, np.bool_)
    demoted[partition.unit[(hub | weights.crowded) & loose]] = True
    demoted = demoted[partition.unit]
    only = np.full(count, -1, np.int32)
    only[unit] = customer
    label = partition.label.copy()
    attached = loose & (choices == 1) & ~demoted
    label[attached] = only[partition.unit[attached]]
    alone = loose & (choices == 0) & ~demoted
    label[alone] = partition.unit[alone]
    _keep_apart(label, loose, weights, partition, rulings)
    standing = np.full(count, Standing.BLOCKED, np.int8)
    standing[member] = Standing.LINKED
    standing[loose] = np.where(
        label[loose] >= 0, np.int8(Standing.ATTACHED), np.int8(Standing.SHARED)
    )
    tied = np.bincount(partition.unit, minlength=count)[partition.unit] > 1
    standing[tied & (standing == Standing.ATTACHED)] = Standing.LINKED
    shared = np.flatnonzero(standing == Standing.SHARED)
    return label, standing, _expand(shared, partition.unit, unit, customer)


def _seen_with(pairs: Pairs, loose: Bools, partition: Partition, count: int) -> Longs:
    """Codes (unit * count + customer) of who was seen with which customer."""
    linking = partition.linking
    here = loose[pairs.left] & linking[pairs.right]
    there = linking[pairs.left] & loose[pairs.right]
    value = np.concatenate((pairs.left[here], pairs.right[there]))
    other = np.concatenate((pairs.right[here], pairs.left[there]))
    return np.unique(
        partition.unit[value].astype(np.int64) * count + partition.label[other]
    )


def _forbidden(
    partition: Partition, rulings: Rulings, member: Bools, loose: Bools, count: int
) -> Longs:
    """Codes (as above) where an operator keeps the unit from the customer."""
    codes = [
        int(partition.unit[a]) * count + int(partition.label[b])
        for pair in rulings.cannot
        for a, b in (pair, pair[::-1])
        if loose[a] and member[b]
    ]
    return np.unique(np.array(codes, np.int64))


def _keep_apart(
    label: Ints,
    loose: Bools,
    weights: Weights,
    partition: Partition,
    rulings: Rulings,
) -> None:
    """Part loose values that ended at one customer though an operator forbids it.

    The stronger, then the smaller value stays; the other stands alone.
    """
    for u, v in rulings.cannot:
        if label[u] != label[v] or label[u] < 0 or not (loose[u] and loose[v]):
            continue
        leaves = max(u, v, key=lambda node: (-int(weights.strength[node]), node))
        unit = partition.unit[leaves]
        label[partition.unit == unit] = unit


def _expand(
    shared: Longs, units: Ints, unit: Longs, customer: Longs
) -> tuple[Ints, Ints]:
    """The candidates of units, given to each SHARED value of the unit."""
    first = np.searchsorted(unit, units[shared], "left")
    sizes = np.searchsorted(unit, units[shared], "right") - first
    value = np.repeat(shared, sizes)
    within = np.arange(len(value)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = customer[np.repeat(first, sizes) + within]
    return value.astype(np.int32), chosen.astype(np.int32)


def _judge(
    weights: Weights,
    pairs: Pairs,
    hub: Bools,
    partition: Partition,
    *,
    label: Ints,
    rulings: Rulings,
) -> Small:
    """One verdict per pair: the link it is, or the one rule that refused it."""
    left, right = pairs.left, pairs.right
    linking = partition.linking
    weak = (weights.strength == WEAK)[left].astype(np.int8)
    weak += (weights.strength == WEAK)[right]
    same = (label[left] == label[right]) & (label[left] >= 0)
    both = linking[left] & linking[right]
    clean = pairs.first_clean != NEVER
    width = len(label)
    code = left.astype(np.int64) * width + right
    # The first condition that holds decides.
    return np.select(
        [
            same & np.isin(code, _codes(partition.must, width)),
            same & both & clean,
            same & (linking[left] | linking[right]) & clean & (weak > 0),
            same,
            weights.blocked[left] | weights.blocked[right],
            np.isin(code, _codes(rulings.cannot, width)),
            _apart(label, left, right, rulings),
            hub[left] | hub[right],
            weak == 2,
            weak == 1,
            ~clean,
        ],
        [
            np.int8(verdict)
            for verdict in (
                Verdict.MUST_LINK,
                Verdict.CO_OCCURRENCE,
                Verdict.ATTACHMENT,
                Verdict.SAME,
                Verdict.BLOCKED,
                Verdict.CANNOT_LINK,
                Verdict.CANNOT_LINK,
                Verdict.HUB,
                Verdict.WEAK_PAIR,
                Verdict.WEAK_SHARED,
                Verdict.OVERFULL_ENGAGEMENT,
            )
        ],
        default=np.int8(Verdict.CAP),
    )


def _codes(pairs: tuple[Pair, ...], width: int) -> Longs:
    return np.array([min(p) * width + max(p) for p in pairs], np.int64)


def _apart(label: Ints, left: Ints, right: Ints, rulings: Rulings) -> Bools:
    """Pairs whose customers an operator keeps apart."""
    kept = tuple(
        (int(label[u]), int(label[v]))
        for u, v in rulings.cannot
        if label[u] >= 0 and label[v] >= 0
    )
    if not kept:
        return np.zeros(len(left), np.bool_)
    width = len(label)
    low = np.minimum(label[left], label[right]).astype(np.int64)
    high = np.maximum(label[left], label[right])
    return np.isin(low * width + high, _codes(kept, width)) & (low >= 0)


def _assign(
    evidence: Evidence,
    weights: Weights,
    partition: Partition,
    *,
    label: Ints,
    standing: Small,
    resolved: Bools,
    candidates: tuple[Ints, Ints],
) -> tuple[Ints, Small, tuple[Ints, Ints]]:
    """Each engagement's customer: the one that its strongest values agree on."""
    count = evidence.engagement_count
    tier = _tiers(weights, partition, label, standing, resolved)[evidence.row_value]
    best = np.zeros(count, np.int8)
    np.maximum.at(best, evidence.row_engagement, tier)
    top = (tier > 1) & (tier == best[evidence.row_engagement])
    engagement = evidence.row_engagement[top]
    named = label[evidence.row_value[top]]
    low = np.full(count, NEVER, np.int32)
    high = np.full(count, -1, np.int32)
    np.minimum.at(low, engagement, named)
    np.maximum.at(high, engagement, named)
    agreed = (low == high) & (high >= 0)
    chosen = np.where(agreed, high, np.int32(-1))
    resolution = np.full(count, Resolution.AMBIGUOUS, np.int8)
    resolution[best == 0] = Resolution.NONE
    resolution[agreed] = np.where(
        resolved[chosen[agreed]],
        np.int8(Resolution.RESOLVED),
        np.int8(Resolution.PROVISIONAL),
    )
    torn = top & ~agreed[evidence.row_engagement]
    lost = (tier == 1) & (best[evidence.row_engagement] == 1)
    return (
        chosen,
        resolution,
        _options(
            evidence,
            label,
            torn=torn,
            lost=lost,
            candidates=candidates,
            weights=weights,
        ),
    )


def _options(
    evidence: Evidence,
    label: Ints,
    *,
    torn: Bools,
    lost: Bools,
    candidates: tuple[Ints, Ints],
    weights: Weights,
) -> tuple[Ints, Ints]:
    """(engagement, label) of all that an AMBIGUOUS engagement may be.

    `torn` rows carry values of several customers, `lost` ones SHARED values. Nothing is
    listed for an engagement with more of them than the configuration lists.
    """
    value = evidence.row_value[lost]
    first = np.searchsorted(candidates[0], value, "left")
    sizes = np.searchsorted(candidates[0], value, "right") - first
    many = np.zeros(evidence.engagement_count, np.bool_)
    beyond = (sizes > weights.listed) | weights.crowded[value]
    many[evidence.row_engagement[lost][beyond]] = True
    sizes[beyond] = 0
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    engagement = np.concatenate(
        (
            evidence.row_engagement[torn],
            np.repeat(evidence.row_engagement[lost], sizes),
        )
    )
    option = np.concatenate(
        (
            label[evidence.row_value[torn]],
            candidates[1][np.repeat(first, sizes) + within],
        )
    )
    width = max(len(label), 1)
    code = np.unique(engagement.astype(np.int64) * width + option)
    engagement = (code // width).astype(np.int32)
    many |= np.bincount(engagement, minlength=len(many)) > weights.listed
    kept = ~many[engagement]
    return engagement[kept], (code % width).astype(np.int32)[kept]


def _tiers(
    weights: Weights,
    partition: Partition,
    label: Ints,
    standing: Small,
    resolved: Bools,
) -> Small:
    """How much each value says about an engagement's customer; 0: nothing.

    5 VERY_STRONG, 4 STRONG, 3 WEAK of a customer with linking evidence, 2 WEAK of a
    customer without, 1 SHARED.
    """
    own = label >= 0
    tiers = np.zeros(len(label), np.int8)
    tiers[standing == Standing.SHARED] = 1
    tiers[own] = np.where(resolved[label[own]], np.int8(3), np.int8(2))
    tiers[partition.linking] = 4
    tiers[partition.linking & (weights.strength == VERY_STRONG)] = 5
    return tiers
