"""What walks are about: windows, how each was shown to be whole, what a run learns.

Values only; the walk itself is in `walk`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from journeyport.wire import Answer, Ask

_KNOWN = 3
"""Engagements remembered as known to exist."""


class Proof(StrEnum):
    """How a window was shown to be complete; the later, the weaker."""

    PROVEN = "PROVEN"
    """By short pages and totals."""
    PROVEN_BY_REREAD = "PROVEN_BY_REREAD"
    """A tick of it by two identical reads in a row."""
    UNPROVEN = "UNPROVEN"
    """Not."""

    @staticmethod
    def weakest(proofs: "Sequence[Proof]") -> "Proof":
        """The weakest of some; PROVEN of none."""
        return max(proofs, key=list(Proof).index, default=Proof.PROVEN)


@dataclass(frozen=True, slots=True)
class Window:
    """What one walk covers: `[lo, hi]`, both included, under one base filter."""

    lo: datetime
    hi: datetime
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class WindowResult:
    """What a walk found out about its window.

    Attributes:
        window: what was walked.
        calls: questions asked.
        ids: the engagements found in it.
        proof: how complete it is.
        breaches: assumptions that answers broke, with how often.
    """

    window: Window
    calls: int
    ids: frozenset[str]
    proof: Proof
    breaches: dict[str, int]


@dataclass
class Seen:
    """What the walks of one account in one run learn for each other.

    Attributes:
        largest: the most rows seen in an answer; a page that long may be full.
        total_trusted: no total was caught lying.
        canary: a question that had rows in this run.
        known: engagements that an answer of this run showed.
    """

    largest: int = 0
    total_trusted: bool = True
    canary: Ask | None = None
    known: tuple[str, ...] = ()

    def learn(self, ask: Ask, answer: Answer) -> None:
        """Take in one answer that can be used."""
        self.largest = max(self.largest, len(answer.rows))
        if answer.rows and self.canary is None and ask.page_number == 1:
            self.canary = ask
            ids = (row.id for row in answer.rows if row.id is not None)
            self.known = tuple(ids)[:_KNOWN]
