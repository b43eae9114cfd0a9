"""Decisions by number become rows of the identity tables, of one account.

Nothing is decided here. Row hashes and identity versions are put on in `snapshots`,
journeys are in `journeys`.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from journeyport.arrow import schema_of
from journeyport.identity.config import STRENGTHS
from journeyport.identity.evidence import Evidence, Ints, Longs, Weights
from journeyport.identity.standing import Outcome, Resolution, Standing, Verdict
from journeyport.schema import Table
from journeyport.state.identity import HistoryEvent
from journeyport.tables import (
    CUSTOMER_ID_HISTORY,
    CUSTOMER_ID_REDIRECTS,
    CUSTOMER_IDENTIFIERS,
    CUSTOMERS,
    ENGAGEMENT_CUSTOMERS,
    IDENTITY_LINKS,
    IDENTITY_REFUSALS,
)

Tables = dict[str, pa.Table]


def decided(
    account: str,
    evidence: Evidence,
    weights: Weights,
    outcome: Outcome,
    ids: Mapping[int, str],
) -> Tables:
    """The rows of all tables that the decisions fill, by table name."""
    names = _Names(evidence, ids)
    seen = _Seen(evidence)
    return {
        ENGAGEMENT_CUSTOMERS.name: _engagement_customers(
            account, evidence, outcome, names
        ),
        CUSTOMERS.name: _customers(account, evidence, outcome, names, seen),
        CUSTOMER_IDENTIFIERS.name: _customer_identifiers(
            account, weights, outcome, names, seen
        ),
        IDENTITY_LINKS.name: _links(account, outcome, names),
        IDENTITY_REFUSALS.name: _refusals(account, outcome, names),
    }


def remembered(
    account: str,
    history: Sequence[HistoryEvent],
    redirects: Mapping[str, tuple[str | None, str]],
) -> Tables:
    """History and redirects as rows."""
    return {
        CUSTOMER_ID_HISTORY.name: _table(
            CUSTOMER_ID_HISTORY,
            account,
            **{
                name: [getattr(event, name) for event in history]
                for name in CUSTOMER_ID_HISTORY.names
                if name not in ("account_id", "_row_hash")
            },
        ),
        CUSTOMER_ID_REDIRECTS.name: _table(
            CUSTOMER_ID_REDIRECTS,
            account,
            retired_customer_id=list(redirects),
            customer_id=[living for living, _ in redirects.values()],
            reason=[reason for _, reason in redirects.values()],
        ),
    }


class _Names:
    """Numbers to names."""

    def __init__(self, evidence: Evidence, ids: Mapping[int, str]) -> None:
        self.evidence = evidence
        labels = np.array(sorted(ids), np.int32)
        self.labels = labels
        self._ids = pa.array([ids[label] for label in labels.tolist()], pa.string())
        self._types = pa.array(evidence.types, pa.string())

    def customer(self, label: Ints) -> pa.Array:
        """Customer ids; null for -1."""
        if not len(self.labels):
            return pa.nulls(len(label), pa.string())
        place = np.searchsorted(self.labels, np.maximum(label, 0))
        place = np.minimum(place, len(self.labels) - 1)
        return self._ids.take(pa.array(place, mask=label < 0))

    def kind(self, value: Ints) -> pa.Array:
        """Type names."""
        return self._types.take(pa.array(self.evidence.value_type[value]))

    def value(self, value: Ints) -> pa.Array:
        """Normalised values."""
        return self.evidence.values.take(pa.array(value))

    def engagement(self, engagement: Ints) -> pa.Array:
        """Engagement ids; null for -1."""
        return self.evidence.engagements.take(pa.array(engagement, mask=engagement < 0))

    def start(self, engagement: Ints) -> pa.Array:
        """Engagements' starts; null for -1."""
        starts = self.evidence.starts[np.maximum(engagement, 0)]
        return pa.array(starts, mask=engagement < 0).cast(pa.timestamp("us", "UTC"))


class _Seen:
    """First, last and how often, per value."""

    def __init__(self, evidence: Evidence) -> None:
        count = evidence.value_count
        self.first = np.full(count, evidence.engagement_count, np.int32)
        self.last = np.full(count, -1, np.int32)
        np.minimum.at(self.first, evidence.row_value, evidence.row_engagement)
        np.maximum.at(self.last, evidence.row_value, evidence.row_engagement)
        self.often = np.bincount(evidence.row_value, minlength=count)


def _table(table: Table, account: str, **columns: Any) -> pa.Table:
    """Rows of a table of one account, version and hash left for later."""
    schema = schema_of(table)
    length = len(next(iter(columns.values())))
    fields = [schema.field("account_id"), *(schema.field(name) for name in columns)]
    arrays = [pa.repeat(pa.scalar(account), length)]
    arrays += [
        pa.array(values, field.type)
        if isinstance(values, list | np.ndarray)
        else values
        for values, field in zip(columns.values(), fields[1:], strict=True)
    ]
    bare = [pa.field(field.name, field.type) for field in fields]
    return pa.Table.from_arrays(arrays, schema=pa.schema(bare))


def _engagement_customers(
    account: str, evidence: Evidence, outcome: Outcome, names: _Names
) -> pa.Table:
    return _table(
        ENGAGEMENT_CUSTOMERS,
        account,
        engagement_id=evidence.engagements,
        start_date=names.start(np.arange(evidence.engagement_count, dtype=np.int32)),
        customer_id=names.customer(outcome.engagement_label),
        resolution=_words(Resolution, outcome.resolution),
        candidates=_candidates(evidence.engagement_count, outcome, names),
    )


def _candidates(count: int, outcome: Outcome, names: _Names) -> list[str | None]:
    listed: list[str | None] = [None] * count
    engagement, label = outcome.engagement_candidates
    customers = names.customer(label).to_pylist()
    edges = np.flatnonzero(np.diff(engagement, prepend=-1)).tolist()
    for first, end in pairwise([*edges, len(engagement)]):
        listed[engagement[first]] = json.dumps(sorted(customers[first:end]))
    return listed


def _customers(
    account: str, evidence: Evidence, outcome: Outcome, names: _Names, seen: _Seen
) -> pa.Table:
    labels = names.labels
    own = np.flatnonzero(outcome.label >= 0)
    place = np.searchsorted(labels, outcome.label[own])
    first = np.full(len(labels), evidence.engagement_count, np.int32)
    last = np.full(len(labels), -1, np.int32)
    np.minimum.at(first, place, seen.first[own])
    np.maximum.at(last, place, seen.last[own])
    resolved = outcome.engagement_label[outcome.engagement_label >= 0]
    return _table(
        CUSTOMERS,
        account,
        customer_id=names.customer(labels),
        resolution=_words(
            Resolution,
            np.where(
                outcome.resolved[labels], Resolution.RESOLVED, Resolution.PROVISIONAL
            ),
        ),
        first_seen_at=names.start(first),
        last_seen_at=names.start(last),
        engagement_count=np.bincount(
            np.searchsorted(labels, resolved), minlength=len(labels)
        ),
        identifier_count=np.bincount(place, minlength=len(labels)),
    )


def _customer_identifiers(
    account: str, weights: Weights, outcome: Outcome, names: _Names, seen: _Seen
) -> pa.Table:
    own = np.flatnonzero(outcome.label >= 0).astype(np.int32)
    shared, candidate = outcome.candidates
    value = np.concatenate((own, shared))
    return _table(
        CUSTOMER_IDENTIFIERS,
        account,
        customer_id=names.customer(np.concatenate((outcome.label[own], candidate))),
        identifier_type=names.kind(value),
        value=names.value(value),
        strength=pa.array(STRENGTHS).take(pa.array(weights.strength[value])),
        standing=_words(Standing, outcome.standing[value]),
        first_seen_at=names.start(seen.first[value]),
        last_seen_at=names.start(seen.last[value]),
        engagement_count=seen.often[value],
    )


def _links(account: str, outcome: Outcome, names: _Names) -> pa.Table:
    pairs = outcome.pairs
    linked = np.flatnonzero(
        (outcome.verdict > Verdict.SAME) & (outcome.verdict < Verdict.BLOCKED)
    )
    ruled = outcome.verdict[linked] == Verdict.MUST_LINK
    apart = _never_met(
        tuple(
            pair
            for pair in outcome.must
            if outcome.label[pair[0]] == outcome.label[pair[1]] >= 0
        ),
        outcome,
    )
    left = np.concatenate((pairs.left[linked], apart[:, 0]))
    right = np.concatenate((pairs.right[linked], apart[:, 1]))
    verdict = np.concatenate(
        (outcome.verdict[linked], np.full(len(apart), Verdict.MUST_LINK, np.int8))
    )
    engagement = np.concatenate(
        (
            np.where(ruled, np.int32(-1), pairs.first_clean[linked]),
            np.full(len(apart), -1, np.int32),
        )
    )
    return _table(
        IDENTITY_LINKS,
        account,
        customer_id=names.customer(outcome.label[left]),
        left_type=names.kind(left),
        left_value=names.value(left),
        right_type=names.kind(right),
        right_value=names.value(right),
        rule=_words(Verdict, verdict),
        engagement_id=names.engagement(engagement),
        seen_at=names.start(engagement),
    )


def _refusals(account: str, outcome: Outcome, names: _Names) -> pa.Table:
    pairs = outcome.pairs
    refused = np.flatnonzero(outcome.verdict >= Verdict.BLOCKED)
    apart = _never_met(outcome.cannot, outcome)
    left = np.concatenate((pairs.left[refused], apart[:, 0]))
    right = np.concatenate((pairs.right[refused], apart[:, 1]))
    verdict = np.concatenate(
        (outcome.verdict[refused], np.full(len(apart), Verdict.CANNOT_LINK, np.int8))
    )
    engagement = np.concatenate(
        (pairs.first[refused], np.full(len(apart), -1, np.int32))
    )
    return _table(
        IDENTITY_REFUSALS,
        account,
        left_type=names.kind(left),
        left_value=names.value(left),
        right_type=names.kind(right),
        right_value=names.value(right),
        rule=_words(Verdict, verdict),
        engagement_id=names.engagement(engagement),
        seen_at=names.start(engagement),
        left_customer_id=names.customer(outcome.label[left]),
        right_customer_id=names.customer(outcome.label[right]),
    )


def _never_met(ruled: tuple[tuple[int, int], ...], outcome: Outcome) -> Ints:
    """Ruled pairs that no engagement carries together, as rows of (left, right)."""
    width = len(outcome.label)
    pairs = outcome.pairs
    met: Longs = pairs.left.astype(np.int64) * width + pairs.right
    both = np.array(sorted({tuple(sorted(pair)) for pair in ruled}), np.int32)
    both = both.reshape(-1, 2)
    code = both[:, 0].astype(np.int64) * width + both[:, 1]
    place = np.searchsorted(met, code)
    found = np.append(met, -1)[place] == code
    apart: Ints = both[~found]
    return apart


def _words(
    kind: type[Standing] | type[Resolution] | type[Verdict], numbers: np.ndarray
) -> pa.Array:
    names = [""] * (max(kind) + 1)
    for member in kind:
        names[member] = member.name
    return pa.array(names).take(pa.array(numbers))
