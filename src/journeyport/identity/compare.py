"""Our customers beside the source's own grouping: a comparison and proposals.

What the source links is never a rule here. How it is asked is the caller's: a function
from an identifier to all that the source has linked with it, normalised.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import pyarrow.compute as pc
import xxhash

from journeyport.identity.history import Identifier
from journeyport.lake import Lake

Ask = Callable[[Identifier], Collection[Identifier]]


@dataclass(frozen=True)
class Comparison:
    """One customer beside what the source links.

    Attributes:
        asked: the identifier the source was asked by.
        verdict: SAME, OURS_WIDER, SOURCE_WIDER or DIFFERENT.
        only_ours: the source does not link these with `asked`.
        only_theirs: these are other customers' or SHARED with us.
    """

    customer_id: str
    asked: Identifier
    verdict: str
    only_ours: tuple[Identifier, ...]
    only_theirs: tuple[Identifier, ...]


@dataclass(frozen=True)
class Proposal:
    """A cannot-link that the source's unlinking suggests; made by a person or not."""

    left: Identifier
    right: Identifier


def compare(
    lake: Lake, account: str, ask: Ask, *, sample: int
) -> tuple[list[Comparison], list[Proposal]]:
    """Compare a sample of customers that have linked values.

    The sample is the same as long as the customers are: the smallest hashes of ids.
    """
    rows = lake.read("customer_identifiers", accounts=[account])
    seen = {
        (row["identifier_type"], row["value"])
        for row in rows.select(["identifier_type", "value"]).to_pylist()
    }
    own: dict[str, list[Identifier]] = {}
    for row in rows.filter(pc.equal(rows["standing"], "LINKED")).to_pylist():
        own.setdefault(row["customer_id"], []).append(
            (row["identifier_type"], row["value"])
        )
    chosen = sorted(
        own, key=lambda name: (xxhash.xxh3_64_intdigest(name.encode()), name)
    )
    found: list[Comparison] = []
    proposals: list[Proposal] = []
    for customer in chosen[:sample]:
        held = sorted(own[customer])
        theirs = {identifier for identifier in ask(held[0]) if identifier in seen}
        only_ours = tuple(sorted(set(held) - theirs - {held[0]}))
        linked = {
            (row["identifier_type"], row["value"])
            for row in rows.filter(pc.equal(rows["customer_id"], customer)).to_pylist()
        }
        only_theirs = tuple(sorted(theirs - linked))
        found.append(
            Comparison(
                customer,
                held[0],
                _verdict(bool(only_ours), bool(only_theirs)),
                only_ours,
                only_theirs,
            )
        )
        proposals += [Proposal(held[0], other) for other in only_ours]
    return found, proposals


def _verdict(ours: bool, theirs: bool) -> str:
    if ours and theirs:
        return "DIFFERENT"
    if ours:
        return "OURS_WIDER"
    return "SOURCE_WIDER" if theirs else "SAME"
