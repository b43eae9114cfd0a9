"""Which values are one customer's by STRONG and VERY_STRONG evidence, under the rules.

Edges are taken by (strength, first seen, key); one that would put more than `cap`
VERY_STRONG values of a type together, or two values that an operator keeps apart, is
refused. Only components of the free graph in which that can happen are walked edge by
edge; all others are one customer each as they stand.

WEAK values are not here: see `standing`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from journeyport.identity.evidence import (
    VERY_STRONG,
    WEAK,
    Bools,
    Evidence,
    Ints,
    Longs,
    Weights,
)
from journeyport.identity.pairs import NEVER, Pairs

Pair = tuple[int, int]


@dataclass(frozen=True)
class Rulings:
    """What operators ruled, in the numbers of the evidence at hand.

    Attributes:
        must: values that are one customer's, oldest rule first.
        cannot: values that are never one customer's.
    """

    must: tuple[Pair, ...] = ()
    cannot: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Partition:
    """The customers that linking evidence makes.

    Attributes:
        linking: per value, STRONG or VERY_STRONG, not blocked, no hub.
        label: per value the smallest value number of its customer; -1: in none.
        must: the must-links that took effect.
        unit: per value the smallest number among the values that must-links tie it
            to; itself where there are none.
    """

    linking: Bools
    label: Ints
    must: tuple[Pair, ...]
    unit: Ints


def divide(
    evidence: Evidence,
    weights: Weights,
    pairs: Pairs,
    hub: Bools,
    rulings: Rulings,
) -> Partition:
    """The partition of the linking values and of what operators tied to them."""
    linking = (weights.strength > WEAK) & ~weights.blocked & ~hub
    must, unit = _tie(evidence.value_count, rulings)
    member = linking.copy()
    for group in _groups(unit):
        member[group] = linking[group].any()
    edges = np.flatnonzero(
        (pairs.first_clean != NEVER) & linking[pairs.left] & linking[pairs.right]
    )
    ties = np.array([pair for pair in must if member[pair[0]]], np.int32).reshape(-1, 2)
    left = np.concatenate((ties[:, 0], pairs.left[edges]))
    right = np.concatenate((ties[:, 1], pairs.right[edges]))
    label = components(evidence.value_count, left, right)
    contested = _contested(evidence, weights, linking, label, rulings.cannot)
    if contested is not None:
        label[contested] = -1
        mine = edges[contested[pairs.left[edges]]]
        order = np.lexsort(
            (
                pairs.right[mine],
                pairs.left[mine],
                pairs.first_clean[mine],
                -weights.strength[pairs.left[mine]]
                - weights.strength[pairs.right[mine]],
            )
        )
        mine = mine[order]
        ties = ties[contested[ties[:, 0]]] if len(ties) else ties
        walk = _Walk(evidence, weights, np.flatnonzero(contested), rulings.cannot)
        for u, v in ties.tolist():
            walk.join(u, v, free=True)
        for u, v in zip(
            pairs.left[mine].tolist(), pairs.right[mine].tolist(), strict=True
        ):
            walk.join(u, v)
        walk.write(label)
    label[~member] = -1
    return Partition(linking, label, must, unit)


def components(count: int, left: Ints, right: Ints) -> Ints:
    """Connected components; each labelled by its smallest member."""
    if not len(left):
        return np.arange(count, dtype=np.int32)
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), (count, count))
    number, label = connected_components(graph, directed=False)
    smallest = np.full(number, count, np.int32)
    # Written from the back, so that the smallest member stays.
    smallest[label[::-1]] = np.arange(count - 1, -1, -1, dtype=np.int32)
    named: Ints = smallest[label]
    return named


def _contested(
    evidence: Evidence,
    weights: Weights,
    linking: Bools,
    label: Ints,
    cannot: Iterable[Pair],
) -> Bools | None:
    """Values of components that hold more than a cap allows, or what is kept apart."""
    strong = np.flatnonzero(linking & (weights.strength == VERY_STRONG))
    width = max(len(weights.cap), 1)
    key = label[strong].astype(np.int64) * width + evidence.value_type[strong]
    distinct, counts = np.unique(key, return_counts=True)
    broken = np.zeros(len(label), np.bool_)
    broken[(distinct // width)[counts > weights.cap[distinct % width]]] = True
    for u, v in cannot:
        if label[u] == label[v]:
            broken[label[u]] = True
    return broken[label] if broken.any() else None


class _Walk:
    """Union-find that counts what the cap counts and knows who is kept apart."""

    def __init__(
        self,
        evidence: Evidence,
        weights: Weights,
        nodes: Longs,
        cannot: Iterable[Pair],
    ) -> None:
        self.root: dict[int, int] = dict.fromkeys(nodes.tolist(), -1)
        for node in self.root:
            self.root[node] = node
        self.cap = weights.cap.tolist()
        counted = nodes[weights.strength[nodes] == VERY_STRONG]
        self.held: dict[int, dict[int, int]] = {
            node: {kind: 1}
            for node, kind in zip(
                counted.tolist(), evidence.value_type[counted].tolist(), strict=True
            )
        }
        # Rule k marks its sides 2k and 2k + 1: no customer may bear both.
        self.marks: dict[int, set[int]] = {}
        for number, pair in enumerate(cannot):
            for side, node in enumerate(pair):
                self.marks.setdefault(node, set()).add(2 * number + side)

    def find(self, node: int) -> int:
        root = self.root
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    def join(self, left: int, right: int, *, free: bool = False) -> None:
        """Make one customer of two, unless a rule refuses; `free` ignores the cap."""
        left, right = self.find(left), self.find(right)
        if left == right:
            return
        ours, theirs = self.held.get(left), self.held.get(right)
        if ours and theirs and not free:
            for kind, count in theirs.items():
                if kind in ours and ours[kind] + count > self.cap[kind]:
                    return
        mine, other = self.marks.get(left), self.marks.get(right)
        if mine and other and any(mark ^ 1 in mine for mark in other):
            return
        if left > right:
            left, right = right, left
            ours, theirs, mine, other = theirs, ours, other, mine
        self.root[right] = left
        if theirs:
            self.held[left] = dict(Counter(ours or {}) + Counter(theirs))
        if other:
            self.marks[left] = (mine or set()) | other

    def write(self, label: Ints) -> None:
        """Label each node by its customer's smallest member."""
        for node in self.root:
            label[node] = self.find(node)


def _tie(count: int, rulings: Rulings) -> tuple[tuple[Pair, ...], Ints]:
    """The must-links that do not contradict what is kept apart, and their groups."""
    root: dict[int, int] = {}

    def find(node: int) -> int:
        while root.setdefault(node, node) != node:
            node = root[node]
        return node

    kept: list[Pair] = []
    for u, v in rulings.must:
        low, high = sorted((find(u), find(v)))
        if low != high and any(
            {find(a), find(b)} == {low, high} for a, b in rulings.cannot
        ):
            continue
        root[high] = low
        kept.append((u, v))
    unit = np.arange(count, dtype=np.int32)
    for node in root:
        unit[node] = find(node)
    return tuple(kept), unit


def _groups(unit: Ints) -> list[Longs]:
    """The values of every unit of more than one."""
    tied = np.flatnonzero(unit != np.arange(len(unit)))
    return [np.flatnonzero(unit == root) for root in np.unique(unit[tied])]
