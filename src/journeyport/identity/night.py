"""A night that costs what it touches: only components that changed evidence reaches.

The same pure core as a rebuild, over a part of the evidence that is closed: every
engagement of every value in it, and every value of these engagements, but for crowded
ones (a switchboard), whose standing is known and does not change. What a rebuild would
give, to the byte, is what this gives.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations

import numpy as np
import pyarrow as pa

from journeyport.identity.config import IdentityConfig
from journeyport.identity.evidence import Evidence, Weights, gather, weigh
from journeyport.identity.history import (
    Identifier,
    Naming,
    locate,
    name_customers,
    part_ledger,
)
from journeyport.identity.index import Index
from journeyport.identity.indexing import day_of, number_values, weigh_values
from journeyport.identity.reading import Documents, read_documents
from journeyport.identity.rules import apply_rules, ties_of
from journeyport.identity.scope import (
    Known,
    drop_bare_values,
    reach,
    scope_engagements,
    scope_identifiers,
    scope_values,
)
from journeyport.identity.standing import Outcome, settle
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state.identity import OperatorRule, read_history_of

Content = tuple[int, str | None, str | None, str | None, frozenset[Identifier]]
"""Start in microseconds, status, channel, topic, values."""


@dataclass(frozen=True)
class Touched:
    """What a night's changes reach.

    Attributes:
        engagements: documents of the scope, as `reading.Documents` has them.
        values: every value of the scope, those that vanished included.
        names: every engagement of the scope, those that vanished included.
        customers: every customer the scope had or has.
        crowded: numbers of the crowded values that changed engagements carry.
        blocked: the blocked values that changed engagements carry.
        meetings: pairs of values that are not walked through and whose meetings
            changed, with the earliest that is left, by name and start.
    """

    engagements: pa.Table
    evidence: Evidence
    weights: Weights
    outcome: Outcome
    naming: Naming
    values: frozenset[Identifier]
    names: frozenset[str]
    customers: frozenset[str]
    crowded: Mapping[Identifier, tuple[int, int, int]]
    blocked: frozenset[Identifier]
    meetings: Mapping[tuple[Identifier, Identifier], tuple[str, int] | None]


@dataclass(frozen=True)
class _Change:
    """What the days changed: engagements by number, values by number."""

    names: frozenset[str]
    engagements: frozenset[int]
    seeds: frozenset[int]
    closed: Mapping[int, Identifier]
    blocked: frozenset[Identifier]
    met: frozenset[tuple[int, int]]


def follow(
    lake: Lake,
    state: State,
    index: Index,
    config: IdentityConfig,
    account: str,
    *,
    strengths: Mapping[str, str],
    changed: Sequence[str],
    rules: Sequence[OperatorRule],
    turned: Sequence[OperatorRule],
    version: int,
) -> Touched | None:
    """Bring the index up to the changed days and resolve what they reach.

    `turned` are the rules that hold now and did not, or the other way round. None: the
    index cannot follow (an engagement moved between days); rebuild.
    """
    there = set(lake.days(account))
    days = [day for day in map(date.fromisoformat, changed) if day in there]
    documents = read_documents(lake, account, config, days)
    change = _take(
        index, account, config, documents, strengths=strengths, changed=changed
    )
    if change is None:
        return None
    sides = {side for rule in (*rules, *turned) for side in (rule.left, rule.right)}
    numbers = {
        side: number for side, (number, _) in index.numbers(account, sides).items()
    }
    ties = ties_of(rules, numbers)
    index.uncrowd(ties)
    seeds = set(change.seeds) | {
        numbers[side]
        for rule in turned
        for side in (rule.left, rule.right)
        if side in numbers
    }
    while True:
        reach(index, seeds, change.engagements, ties)
        part = _settle(
            state, index, config, account,
            strengths=strengths, rules=rules, version=version,
        )  # fmt: skip
        emptied = part.emptied(index, config.candidates_listed)
        if not emptied:
            break
        index.uncrowd(emptied)
        seeds |= emptied
    part.keep(index, config.candidates_listed, set(ties))
    mine = part.numbers
    touched = Touched(
        engagements=part.documents,
        evidence=part.evidence,
        weights=part.weights,
        outcome=part.outcome,
        naming=part.naming,
        values=frozenset((known.kind, known.value) for known in part.values),
        names=change.names | frozenset(part.documents["engagement_id"].to_pylist()),
        customers=frozenset(part.naming.ids.values()) | part.before,
        crowded={
            name: index.seen(number)
            for name, number in _crowded(part, change).items()
            if number not in mine
        },
        blocked=change.blocked,
        meetings={
            (change.closed[left], change.closed[right]): index.first_meeting(
                left, right
            )
            for left, right in sorted(change.met)
            if not {left, right} & mine
        },
    )
    drop_bare_values(index)
    return touched


def _take(
    index: Index,
    account: str,
    config: IdentityConfig,
    documents: Documents,
    *,
    strengths: Mapping[str, str],
    changed: Sequence[str],
) -> _Change | None:
    """Put the changed engagements into the index in place of what was there."""
    new = _contents(documents)
    rows = index.engagements_of(account, changed)
    carried: dict[int, list[tuple[int, Identifier, bool]]] = defaultdict(list)
    for engagement, number, kind, value, shut in index.carried_by(
        row.id for row in rows
    ):
        carried[engagement].append((number, (kind, value), shut))
    old = {row.name: row for row in rows}
    elsewhere = index.known(account, documents.names - set(old))
    if elsewhere or documents.moved:
        return None
    touched = {
        name
        for name in new.keys() | old.keys()
        if name not in new
        or name not in old
        or new[name]
        != (
            old[name].start,
            old[name].status,
            old[name].channel,
            old[name].topic,
            frozenset(value for _, value, _ in carried[old[name].id]),
        )
    }
    index.remove_engagements(old[name].id for name in touched & old.keys())
    fresh = {name: new[name] for name in sorted(touched & new.keys())}
    numbers = number_values(
        index,
        account,
        config,
        strengths,
        (value for content in fresh.values() for value in content[4]),
    )
    base = index.add_engagements(
        account,
        [
            {
                "name": name,
                "day": day_of(content[0]),
                "start": content[0],
                "status": content[1],
                "channel": content[2],
                "topic": content[3],
            }
            for name, content in fresh.items()
        ],
    )
    ids = {name: number for number, name in enumerate(fresh, base)}
    index.add_evidence(
        [
            (numbers[value][0], content[0], ids[name])
            for name, content in fresh.items()
            for value in content[4]
        ]
    )
    seeds: set[int] = set()
    closed: dict[int, Identifier] = {}
    more: Counter[int] = Counter()
    met: set[tuple[int, int]] = set()
    gone = [carried[old[name].id] for name in touched & old.keys()]
    come = [
        [(numbers[value][0], value, numbers[value][1]) for value in content[4]]
        for content in fresh.values()
    ]
    more.update(number for group in come for number, _, shut in group if shut)
    more.subtract(number for group in gone for number, _, shut in group if shut)
    index.count(more)
    for group in (*gone, *come):
        seeds |= {number for number, _, shut in group if not shut}
        here = {number: value for number, value, shut in group if shut}
        closed |= here
        met |= set(combinations(sorted(here, key=here.__getitem__), 2))
    weighed = weigh_values(account, config, strengths, sorted(set(closed.values())))
    return _Change(
        frozenset(touched),
        frozenset(ids.values()),
        frozenset(seeds),
        closed,
        frozenset(value for value, weight in weighed.items() if not weight),
        frozenset(met),
    )


def _contents(documents: Documents) -> dict[str, Content]:
    carried: dict[str, set[Identifier]] = defaultdict(set)
    table = documents.identifiers
    for name, kind, value in zip(
        table["engagement_id"].to_pylist(),
        table["identifier_type"].to_pylist(),
        table["value"].to_pylist(),
        strict=True,
    ):
        carried[name].add((kind, value))
    table = documents.engagements
    return {
        name: (start, status, channel, topic, frozenset(carried[name]))
        for name, start, status, channel, topic in zip(
            table["engagement_id"].to_pylist(),
            table["start_date"].cast(pa.int64()).to_pylist(),
            table["status"].to_pylist(),
            table["channel"].to_pylist(),
            table["topic"].to_pylist(),
            strict=True,
        )
    }


@dataclass(frozen=True)
class _Part:
    """The scope, settled."""

    documents: pa.Table
    evidence: Evidence
    weights: Weights
    outcome: Outcome
    naming: Naming
    values: Sequence[Known]
    before: frozenset[str]
    crowded: Mapping[Identifier, int]

    @property
    def numbers(self) -> set[int]:
        """The scope's values by number."""
        return {known.number for known in self.values}

    def sharing(self) -> dict[Identifier, set[str]]:
        """Per SHARED value the customers of the scope that it may be of."""
        found: dict[Identifier, set[str]] = defaultdict(set)
        value, label = self.outcome.candidates
        for place, customer in zip(value.tolist(), label.tolist(), strict=True):
            found[self.evidence.name(place)].add(self.naming.ids[customer])
        return found

    def emptied(self, index: Index, listed: int) -> set[int]:
        """Crowded values that no longer have more customers than are listed."""
        names = {number: name for name, number in self.crowded.items()}
        fewer = index.sharing(self.before)
        more = self.sharing()
        found = set()
        for number in set(fewer) | set(names):
            lost = fewer.get(number, 0)
            won = len(more.get(names[number], ())) if number in names else 0
            if index.sharers(number, listed + 1 + lost) - lost + won <= listed:
                found.add(number)
        return found

    def keep(self, index: Index, listed: int, ruled: set[int]) -> None:
        """Write the new owners, and who shares what is crowded."""
        sharing = self.sharing()
        pairs = [
            (number, customer)
            for name, number in self.crowded.items()
            for customer in sharing.get(name, ())
        ]
        places = locate(
            self.evidence, [(known.kind, known.value) for known in self.values]
        )
        often = np.bincount(
            self.evidence.row_value, minlength=self.evidence.value_count
        )
        owners: list[tuple[int, str | None, bool, int]] = []
        for known, place in zip(self.values, places.tolist(), strict=True):
            number = known.number
            label = int(self.outcome.label[place]) if place >= 0 else -1
            shared = sharing.get((known.kind, known.value), set())
            crowded = known.weight == 1 and number not in ruled and len(shared) > listed
            if crowded:
                pairs += [(number, customer) for customer in shared]
            count = int(often[place]) if place >= 0 else 0
            after = (self.naming.ids.get(label), crowded, count)
            # A row that is not written is a page that is neither read nor journalled.
            if after != (known.customer, bool(known.crowded), known.often):
                owners.append((number, *after))
        index.own(owners)
        index.share(self.before, pairs)


def _settle(
    state: State,
    index: Index,
    config: IdentityConfig,
    account: str,
    *,
    strengths: Mapping[str, str],
    rules: Sequence[OperatorRule],
    version: int,
) -> _Part:
    """The pure core over the scope, with the ids its values had."""
    documents = scope_engagements(index)
    identifiers, crowded = scope_identifiers(index)
    evidence = gather(documents, identifiers)
    weights = weigh(evidence, config, account, strengths)
    shared = np.zeros(evidence.value_count, np.bool_)
    shared[locate(evidence, list(crowded))] = True
    weights = replace(weights, crowded=shared)
    outcome = settle(evidence, weights, apply_rules(rules, evidence, weights))
    values = scope_values(index)
    prior = {(one.kind, one.value): one.customer for one in values if one.customer}
    before = frozenset(prior.values())
    theirs, minted, last = read_history_of(
        state, account, before, (one.value for one in values)
    )
    naming = name_customers(
        evidence,
        weights,
        outcome,
        part_ledger(theirs, minted, last),
        prior,
        account=account,
        version=version,
    )
    return _Part(documents, evidence, weights, outcome, naming, values, before, crowded)


def _crowded(part: _Part, change: _Change) -> dict[Identifier, int]:
    """Crowded values whose rows the night may change, with their numbers."""
    met = {
        name: number
        for number, name in change.closed.items()
        if name not in change.blocked
    }
    return {**part.crowded, **met}
