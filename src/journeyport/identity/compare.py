"""Our customers beside the source's own grouping: a comparison and proposals.

What the source links is never a rule here. How it is asked is the caller's: a function
from an identifier, in the source's own spelling, to all that the source links with it.
The answers hold personal values: they are for the person who asked, never for a log.
In words they are put in `compared`.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from journeyport.errors import ArgumentError, QuotaError
from journeyport.identity.config import STRENGTHS
from journeyport.identity.explain import known_identifiers, meant
from journeyport.identity.history import Identifier
from journeyport.lake import Lake
from journeyport.session import open_session

Ask = Callable[[str, str], Mapping[str, Collection[str]]]
"""From a type and a value to the values linked with it, by type, as the source has
them; empty where it does not know the value."""

SAME, OURS_WIDER = "SAME", "OURS_WIDER"
SOURCE_WIDER, DIFFERENT = "SOURCE_WIDER", "DIFFERENT"
VERDICTS = (SAME, OURS_WIDER, SOURCE_WIDER, DIFFERENT)


@dataclass(frozen=True)
class Comparison:
    """One customer beside what the source links.

    Attributes:
        verdict: SAME; OURS_WIDER, the source keeps apart what is one customer here;
            SOURCE_WIDER, it links what is not; DIFFERENT, both.
        groups: the customer's identifiers as the source groups them.
        others: what the source links with them and what is here another customer's
            or SHARED by others.
        unknown: the customer's identifiers that the source does not know.
        unseen: how many identifiers it links with them that no evidence here holds
            (blocked ones, and those of engagements that were not exported).
    """

    customer_id: str
    verdict: str
    groups: tuple[tuple[Identifier, ...], ...]
    others: tuple[Identifier, ...]
    unknown: tuple[Identifier, ...]
    unseen: int


@dataclass(frozen=True)
class Proposal:
    """Two identifiers that an engagement carries and that the source has unlinked.

    The source links what one engagement carries; where it no longer does, somebody
    took the link back. A person may rule so, too (CANNOT_LINK).

    Attributes:
        engagement_id, seen_at: the earliest engagement that carries both.
    """

    left: Identifier
    right: Identifier
    engagement_id: str
    seen_at: datetime


@dataclass(frozen=True)
class Compared:
    """A comparison of some customers of one account.

    Attributes:
        asked: how many questions the source was asked.
        stopped: why not all were compared; None: all were.
    """

    account: str
    comparisons: tuple[Comparison, ...]
    proposals: tuple[Proposal, ...]
    asked: int
    stopped: str | None


def compare(
    lake: Lake,
    account: str,
    ask: Ask,
    *,
    sample: int,
    identifiers: Sequence[str] = (),
) -> Compared:
    """Compare customers with the source's grouping; changes nothing.

    Args:
        lake: the lake.
        account: the account.
        ask: how the source is asked.
        sample: how many customers; the same ones as long as they are there: those
            with the smallest hashes of ids among those of two or more identifiers.
        identifiers: the customers of these instead, each as `value` or `type=value`.

    Raises:
        ArgumentError: an identifier is unknown, or no customer's own.
    """
    held = _Held(lake, account)
    if identifiers:
        chosen = _owners(lake, account, held, identifiers)
    else:
        several = (name for name, own in held.own.items() if len(own) > 1)
        chosen = sorted(
            several, key=lambda name: (xxhash.xxh3_64_intdigest(name.encode()), name)
        )[:sample]
    source = _Source(
        lake, account, ask, [value for name in chosen for value in held.own[name]]
    )
    grouped: dict[str, tuple[_Groups, frozenset[Identifier]]] = {}
    stopped = None
    for customer in chosen:
        try:
            grouped[customer] = source.groups(held.own[customer])
        except QuotaError as error:
            stopped = str(error)
            break
    answered = set().union(*(answer for _, answer in grouped.values()))
    names = source.normalised(answered)
    comparisons, proposals = [], []
    for customer, (groups, answer) in grouped.items():
        comparisons.append(held.comparison(customer, groups, answer, names))
        proposals += held.proposals(customer, groups)
    return Compared(
        account, tuple(comparisons), tuple(proposals), source.asked, stopped
    )


class _Groups:
    """Which identifiers the source holds together, as far as it knows them."""

    def __init__(self) -> None:
        self._root: dict[Identifier, Identifier] = {}

    def __contains__(self, value: Identifier) -> bool:
        """Whether the source knows it."""
        return value in self._root

    def find(self, value: Identifier) -> Identifier:
        """The group's name."""
        while self._root[value] != value:
            value = self._root[value]
        return value

    def join(self, values: Iterable[Identifier]) -> None:
        """An answer holds these together."""
        roots = set()
        for value in values:
            self._root.setdefault(value, value)
            roots.add(self.find(value))
        first, *more = sorted(roots)
        for root in more:
            self._root[root] = first

    def apart(self, left: Identifier, right: Identifier) -> bool:
        """Whether the source knows both and does not link them."""
        return left in self and right in self and self.find(left) != self.find(right)

    def sorted(self) -> tuple[tuple[Identifier, ...], ...]:
        """The groups, each sorted, in the order of their smallest."""
        found: dict[Identifier, list[Identifier]] = defaultdict(list)
        for value in sorted(self._root):
            found[self.find(value)].append(value)
        return tuple(sorted(tuple(group) for group in found.values()))


class _Source:
    """The source, asked in its own spelling about some values of ours."""

    def __init__(
        self, lake: Lake, account: str, ask: Ask, values: Collection[Identifier]
    ) -> None:
        self._lake = lake
        self._account = account
        self._ask = ask
        self.asked = 0
        self._spelt: dict[Identifier, list[str]] = defaultdict(list)
        self._meant: dict[Identifier, Identifier] = {}
        for kind, raw, value in self._spellings("value", values):
            self._spelt[kind, value].append(raw)
            self._meant[kind, raw] = (kind, value)

    def groups(
        self, own: Sequence[Identifier]
    ) -> tuple[_Groups, frozenset[Identifier]]:
        """A customer's values as the source groups them, and all that it answered."""
        groups = _Groups()
        mine = set(own)
        answered: set[Identifier] = set()
        # Every value in its first spelling before any in its second: mostly one
        # answer holds them all.
        turns = sorted(
            (turn, place, raw)
            for place, value in enumerate(own)
            for turn, raw in enumerate(self._spelt[value] or [value[1]])
        )
        for turn, place, raw in turns:
            kind = own[place][0]
            if (kind, raw) in answered or (not turn and own[place] in groups):
                continue
            if turn and len(groups.sorted()) == 1 and own[place] in groups:
                continue
            linked = self._ask(kind, raw)
            self.asked += 1
            answer = {(name, text) for name in linked for text in linked[name]}
            answered |= answer
            if answer:
                held = {self._meant.get(pair, pair) for pair in answer} & mine
                groups.join({own[place], *held})
        return groups, frozenset(answered)

    def normalised(self, answered: Collection[Identifier]) -> dict[Identifier, str]:
        """Our value of each of the source's, where evidence here holds it."""
        return {
            (kind, raw): value
            for kind, raw, value in self._spellings("raw_value", answered)
        }

    def _spellings(
        self, column: str, wanted: Collection[Identifier]
    ) -> list[tuple[str, str, str]]:
        """(type, the source's spelling, ours), where `column` is among those wanted."""
        asked = pa.table(
            {
                "kind": pa.array([kind for kind, _ in wanted], pa.string()),
                "text": pa.array([text for _, text in wanted], pa.string()),
            }
        )
        with open_session() as connection:
            self._lake.create_views(connection)
            connection.register("asked", asked)
            return connection.execute(
                "SELECT DISTINCT identifier_type, raw_value, value "  # noqa: S608
                "FROM engagement_identifiers "
                "WHERE account_id = $account AND is_valid AND value IS NOT NULL "
                f"AND (identifier_type, {column}) IN (SELECT (kind, text) FROM asked) "
                "ORDER BY ALL",
                {"account": self._account},
            ).fetchall()


class _Held:
    """What the published tables say of the account."""

    def __init__(self, lake: Lake, account: str) -> None:
        self._lake = lake
        self._account = account
        self._rows = lake.read("customer_identifiers", accounts=[account])
        self.own: dict[str, list[Identifier]] = defaultdict(list)
        mine = self._rows.filter(pc.not_equal(self._rows["standing"], "SHARED"))
        for row in sorted(mine.to_pylist(), key=_strongest_first):
            self.own[row["customer_id"]].append((row["identifier_type"], row["value"]))

    def comparison(
        self,
        customer: str,
        groups: _Groups,
        answer: Collection[Identifier],
        names: Mapping[Identifier, str],
    ) -> Comparison:
        """One customer beside the source's answers."""
        theirs = self._rows.filter(pc.equal(self._rows["customer_id"], customer))
        ours = set(_pairs(theirs))
        linked = {
            (kind, names[kind, raw]) for kind, raw in answer if (kind, raw) in names
        }
        others = self._standing(linked - ours)
        nobodys = len(linked - ours - others)
        grouped = groups.sorted()
        return Comparison(
            customer,
            _verdict(apart=len(grouped) > 1, more=bool(others)),
            grouped,
            tuple(sorted(others)),
            tuple(sorted(value for value in self.own[customer] if value not in groups)),
            nobodys + sum(pair not in names for pair in answer),
        )

    def proposals(self, customer: str, groups: _Groups) -> list[Proposal]:
        """The customer's links across the source's groups, operators' own apart."""
        if len(groups.sorted()) < 2:
            return []
        links = self._lake.read("identity_links", accounts=[self._account])
        mine = links.filter(pc.equal(links["customer_id"], customer)).to_pylist()
        found = []
        for row in mine:
            left = (row["left_type"], row["left_value"])
            right = (row["right_type"], row["right_value"])
            if row["engagement_id"] and groups.apart(left, right):
                proposal = Proposal(left, right, row["engagement_id"], row["seen_at"])
                found.append(proposal)
        return sorted(found, key=lambda one: (one.left, one.right))

    def _standing(self, wanted: Collection[Identifier]) -> set[Identifier]:
        """Those that stand with some customer here."""
        joined = pc.binary_join_element_wise(
            self._rows["identifier_type"], self._rows["value"], "\x1f"
        )
        listed = pa.array(["\x1f".join(pair) for pair in wanted], pa.string())
        return set(_pairs(self._rows.filter(pc.is_in(joined, value_set=listed))))


def _strongest_first(row: Mapping[str, Any]) -> tuple[Any, ...]:
    strength = STRENGTHS.index(row["strength"])
    return row["customer_id"], -strength, row["identifier_type"], row["value"]


def _pairs(rows: pa.Table) -> list[Identifier]:
    kinds, values = rows["identifier_type"].to_pylist(), rows["value"].to_pylist()
    return list(zip(kinds, values, strict=True))


def _owners(
    lake: Lake, account: str, held: _Held, identifiers: Sequence[str]
) -> list[str]:
    """The customers of identifiers that a person named, each once."""
    known = known_identifiers(lake, account)
    owner = {value: name for name, own in held.own.items() for value in own}
    found = []
    for number, text in enumerate(identifiers, start=1):
        named = {value for _, value in meant(known, text)}
        if not named:
            raise ArgumentError(
                f"No engagement carries identifier {number} of the {len(identifiers)} "
                "as written; write it normalised, as value or type=value."
            )
        owners = {owner[value] for value in named if value in owner}
        if not owners:
            raise ArgumentError(
                f"Identifier {number} of the {len(identifiers)} is no customer's own "
                "(it is SHARED or blocked); `journeyport explain` says why."
            )
        if len(owners) > 1:
            raise ArgumentError(
                f"Identifier {number} of the {len(identifiers)} stands under several "
                "types; write type=value."
            )
        found.append(owners.pop())
    return list(dict.fromkeys(found))


def _verdict(*, apart: bool, more: bool) -> str:
    if apart:
        return DIFFERENT if more else OURS_WIDER
    return SOURCE_WIDER if more else SAME
