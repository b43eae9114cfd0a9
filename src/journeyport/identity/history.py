"""Customer ids: opaque, stable, never reused; and the history that makes them so.

A customer keeps the prior id it overlaps most. Every living id has an anchor, one
identifier that is its own; the anchors stand in the history, so that the history alone
is enough to give a rebuilt identity its old ids. Pure functions; what is kept where is
said in `state.identity`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from journeyport.identity.evidence import Evidence, Ints, Longs, Weights
from journeyport.identity.standing import Outcome
from journeyport.state.identity import HistoryEvent

Identifier = tuple[str, str]


@dataclass(frozen=True)
class Ledger:
    """What the history says today.

    Attributes:
        anchors: the living ids, oldest first, and the anchor of each.
        minted: how often an id was minted from an identifier.
        redirects: retired ids; the living one each leads to, or None, and why.
        last: the highest event number; 0: there is none.
    """

    anchors: Mapping[str, Identifier]
    minted: Mapping[Identifier, int]
    redirects: Mapping[str, tuple[str | None, str]]
    last: int


@dataclass(frozen=True)
class Naming:
    """The ids of all customers of one account.

    Attributes:
        ids: per value as a label, the customer's id; empty elsewhere.
        events: what happened, in order, numbered on from the ledger.
    """

    ids: Mapping[int, str]
    events: tuple[HistoryEvent, ...]


def read_ledger(events: Iterable[HistoryEvent]) -> Ledger:
    """Fold the history, in the order of happening."""
    anchors: dict[str, Identifier] = {}
    minted: Counter[Identifier] = Counter()
    gone: dict[str, str | None] = {}
    last = 0
    for event in events:
        last = event.event_number
        if event.event in ("MINTED", "ANCHORED"):
            anchor = (event.anchor_type or "", event.anchor_value or "")
            anchors[event.customer_id] = anchor
            minted[anchor] += event.event == "MINTED"
        elif event.event in ("MERGED", "RETIRED"):
            del anchors[event.customer_id]
            gone[event.customer_id] = event.other_customer_id
    return Ledger(anchors, minted, _one_hop(gone), last)


def part_ledger(
    theirs: Iterable[HistoryEvent], minted: Iterable[HistoryEvent], last: int
) -> Ledger:
    """A ledger of some customers only: their anchors, and mintings from some values."""
    counted = Counter(
        (event.anchor_type or "", event.anchor_value or "") for event in minted
    )
    return Ledger(read_ledger(theirs).anchors, counted, {}, last)


def redirected(
    before: Mapping[str, tuple[str | None, str]], events: Iterable[HistoryEvent]
) -> dict[str, tuple[str | None, str]]:
    """Redirects after some more events; those from before lead on."""
    gone: dict[str, str | None] = {
        retired: other for retired, (other, _) in before.items()
    }
    for event in events:
        if event.event in ("MERGED", "RETIRED"):
            gone[event.customer_id] = event.other_customer_id
    return _one_hop(gone)


def _one_hop(gone: Mapping[str, str | None]) -> dict[str, tuple[str | None, str]]:
    """Where each retired id leads today, over any number of merges."""
    ends: dict[str, str | None] = {}
    # Backwards: where an id merged into one that retired later, that end is known.
    for retired, other in reversed(list(gone.items())):
        ends[retired] = ends.get(other, other) if other is not None else None
    return {
        retired: (ends[retired], "RETIRED" if ends[retired] is None else "MERGED")
        for retired in gone
    }


def locate(evidence: Evidence, identifiers: Sequence[Identifier]) -> Ints:
    """The number of each identifier; -1: no engagement carries it."""
    found = np.full(len(identifiers), -1, np.int32)
    if not identifiers:
        return found
    kinds = np.array([kind for kind, _ in identifiers], object)
    values = pa.array([value for _, value in identifiers], pa.string())
    for position, kind in enumerate(evidence.types):
        mine = kinds == kind
        first, end = np.searchsorted(evidence.value_type, [position, position + 1])
        where = pc.index_in(
            values.filter(pa.array(mine)),
            value_set=evidence.values.slice(first, end - first),
        )
        where = pc.fill_null(where, -1 - int(first)).to_numpy(zero_copy_only=False)
        found[mine] = where + first
    return found


def name_customers(
    evidence: Evidence,
    weights: Weights,
    outcome: Outcome,
    ledger: Ledger,
    prior: Mapping[Identifier, str],
    *,
    account: str,
    version: int,
) -> Naming:
    """Give every customer its id and say what happened to the ids.

    `prior` is the customer each identifier was of when last resolved, as far as that is
    still known; where an id has no value left there, its anchor speaks.
    """
    best = strongest(weights, outcome, evidence)
    living = list(ledger.anchors)
    anchor = locate(evidence, list(ledger.anchors.values()))
    shares = _overlaps(
        evidence, weights, outcome, _held(evidence, ledger, prior, living, anchor)
    )
    kept = _keep(shares)
    events = _Events(ledger, version)
    ids: dict[int, str] = {}
    claims: dict[int, list[int]] = defaultdict(list)
    heirs: dict[int, list[int]] = defaultdict(list)
    for label, old, *_ in shares:
        claims[label].append(old)
        heirs[old].append(label)
    for label in best:
        if label in kept:
            ids[label] = living[kept[label]]
            continue
        ids[label] = events.mint(account, evidence.name(best[label]))
        for old in sorted(claims.get(label, ())):
            events.add("SPLIT", living[old], other=ids[label])
    used = set(kept.values())
    for old, retired in enumerate(living):
        if old in used:
            continue
        if old in heirs:
            events.add("MERGED", retired, other=ids[heirs[old][0]])
        else:
            events.add("RETIRED", retired)
    for label, old in sorted(kept.items(), key=lambda item: item[1]):
        place = anchor[old]
        weak = outcome.resolved[label] and weights.strength[place] == 0
        strayed = place < 0 or outcome.label[place] != label
        if (strayed or weak) and place != best[label]:
            events.anchor(living[old], evidence.name(best[label]))
    return Naming(ids, tuple(events.made))


def strongest(weights: Weights, outcome: Outcome, evidence: Evidence) -> dict[int, int]:
    """Per label, the strongest, then earliest, then smallest of its values."""
    own = np.flatnonzero(outcome.label >= 0)
    seen = np.full(evidence.value_count, evidence.engagement_count, np.int32)
    np.minimum.at(seen, evidence.row_value, evidence.row_engagement)
    order = np.lexsort(
        (own, seen[own], -weights.strength[own], outcome.label[own]),
    )
    own = own[order]
    labels, first = np.unique(outcome.label[own], return_index=True)
    return dict(zip(labels.tolist(), own[first].tolist(), strict=True))


def _held(
    evidence: Evidence,
    ledger: Ledger,
    prior: Mapping[Identifier, str],
    living: Sequence[str],
    anchor: Ints,
) -> Ints:
    """Per value, the position of the living id it was of; -1: none."""
    held = np.full(evidence.value_count, -1, np.int32)
    position = {name: number for number, name in enumerate(living)}
    where = locate(evidence, list(prior))
    for place, name in zip(where.tolist(), prior.values(), strict=True):
        if place < 0:
            continue
        alive = name if name in position else ledger.redirects.get(name, (None,))[0]
        if alive is not None:
            held[place] = position[alive]
    speechless = np.ones(len(living), np.bool_)
    speechless[held[held >= 0]] = False
    speaks = np.flatnonzero(speechless & (anchor >= 0))
    held[anchor[speaks]] = speaks
    return held


Share = tuple[int, int, int, int, int]
"""label, prior id, then how many values they share: VERY_STRONG, STRONG, WEAK."""


def _overlaps(
    evidence: Evidence, weights: Weights, outcome: Outcome, held: Ints
) -> list[Share]:
    """Every overlap of a customer with a prior id, the greatest first."""
    both = np.flatnonzero((held >= 0) & (outcome.label >= 0))
    width = evidence.value_count
    code: Longs = held[both].astype(np.int64) * width + outcome.label[both]
    distinct, inverse = np.unique(code, return_inverse=True)
    counts = [
        np.bincount(
            inverse[weights.strength[both] == strength], minlength=len(distinct)
        )
        for strength in (2, 1, 0)
    ]
    old, label = distinct // max(width, 1), distinct % max(width, 1)
    order = np.lexsort((label, old, -counts[2], -counts[1], -counts[0]))
    columns = [column[order].tolist() for column in (label, old, *counts)]
    return list(zip(*columns, strict=True))


def _keep(shares: Iterable[Share]) -> dict[int, int]:
    """Which customer keeps which prior id: greatest overlap first, each once."""
    kept: dict[int, int] = {}
    used: set[int] = set()
    for label, old, *_ in shares:
        if label not in kept and old not in used:
            kept[label] = old
            used.add(old)
    return kept


class _Events:
    """Events being made, numbered on from the ledger."""

    def __init__(self, ledger: Ledger, version: int) -> None:
        self.made: list[HistoryEvent] = []
        self._minted = Counter(ledger.minted)
        self._last = ledger.last
        self._version = version

    def mint(self, account: str, anchor: Identifier) -> str:
        """A new id from account, anchor and how often the anchor was used before."""
        generation = self._minted[anchor]
        self._minted[anchor] += 1
        name = customer_id(account, anchor, generation)
        event = self.add("MINTED", name)
        self.made[-1] = replace(
            event,
            anchor_type=anchor[0],
            anchor_value=anchor[1],
            generation=generation,
        )
        return name

    def anchor(self, name: str, anchor: Identifier) -> None:
        """Another identifier stands for the id from now on."""
        event = self.add("ANCHORED", name)
        self.made[-1] = replace(event, anchor_type=anchor[0], anchor_value=anchor[1])

    def add(self, what: str, name: str, *, other: str | None = None) -> HistoryEvent:
        """One event."""
        self._last += 1
        event = HistoryEvent(
            self._last, name, what, other, None, None, None, self._version
        )
        self.made.append(event)
        return event


def customer_id(account: str, anchor: Identifier, generation: int) -> str:
    """`C` and 128 bits of a hash: the same on every machine, and says nothing."""
    text = "\x1f".join((account, *anchor, str(generation)))
    return "C" + xxhash.xxh3_128_hexdigest(text.encode())
