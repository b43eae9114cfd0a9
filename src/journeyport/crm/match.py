"""Which record of the CRM is which customer; read-only.

A customer meets records by what identifies it, the surest first:

1. the external id stamped on a record;
2. the record into which people merged the customer's record;
3. the external id of a customer that has become this one;
4. the mapping's rules in their order: account number, e-mail; never a phone number.

The first that finds anything decides: one record is ONE, several are MANY, none at all
is NONE. A record that carries the external id of another living customer, or one that
nobody here knows, is TAKEN. A record that two customers find at once is CONTESTED and
neither gets it; so it is with the customers of two accounts that share an e-mail. Only
ONE is adopted. Who was stamped first keeps the record.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from journeyport.crm.guards import Reads
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.protocol import Crm, Seen
from journeyport.crm.source import Record, Source
from journeyport.state.crm import MOVED, SENT, Entry

Customer = tuple[str, str]

HOPS = 10
"""How often a record may have been merged on; a circle ends there."""


class Standing(Enum):
    """How a customer stands to the CRM's records."""

    ONE = "ONE"
    NONE = "NONE"
    MANY = "MANY"
    TAKEN = "TAKEN"
    CONTESTED = "CONTESTED"


@dataclass(frozen=True)
class Match:
    """One customer and what it met.

    Attributes:
        customer: account and customer id.
        key: its external id.
        standing: how it stands.
        by: what found it: a field's name, `known`, `merged in the CRM`.
        record_id: the record, where it is ONE.
        seen: the record's values, where they were read for this.
        candidates: the records met, where it is not ONE.
    """

    customer: Customer
    key: str
    standing: Standing
    by: str = ""
    record_id: str | None = None
    seen: Seen | None = None
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Keys:
    """Whose external id is whose.

    Attributes:
        living: the customers that are, by external id.
        retired: where a retired external id leads: a living one, or None.
        named: every customer's external id, the retired ones' too.
        led: where a retired customer leads: a living customer id, or None.
    """

    living: Mapping[str, Customer]
    retired: Mapping[str, str | None]
    named: Mapping[Customer, str]
    led: Mapping[Customer, str | None]

    def are_free(self, stamp: object, key: str) -> bool:
        """Whether a record with this stamp may become the customer `key`'s."""
        if stamp is None or stamp in ("", key):
            return True
        if stamp in self.living or stamp not in self.retired:
            return False
        return self.retired[str(stamp)] in (key, None)


def keys_of(source: Source, rule: ObjectRule) -> Keys:
    """Every external id a customer has or had."""
    redirects = source.redirects()
    living = source.keys(rule, source.living())
    gone = source.keys(rule, redirects)
    return Keys(
        {key: customer for customer, key in living.items()},
        {
            gone[customer]: living.get((customer[0], to or ""))
            for customer, to in redirects.items()
        },
        {**gone, **living},
        redirects,
    )


def match(
    crm: Crm,
    rule: ObjectRule,
    records: Sequence[Record],
    *,
    source: Source,
    keys: Keys,
    ledger: Mapping[str, Entry],
    changed: Mapping[str, Seen],
    reads: Reads,
) -> list[Match]:
    """Match customers.

    Args:
        crm: where to look.
        rule: the customer object's.
        records: the customers' records as they should be.
        source: their identifiers.
        keys: whose external id is whose.
        ledger: what the CRM accepted.
        changed: records that changed there since they were last read, by id.
        reads: allows each look, or refuses.

    Raises:
        PermanentError: a guard forbids to look for so many.
    """
    found: list[Match] = []
    open_: list[Record] = []
    for record in records:
        known = _known(rule, record, ledger.get(record.key), changed)
        if known is None:
            open_.append(record)
        else:
            found.append(known)
    found.extend(
        _look(crm, rule, open_, source=source, keys=keys, ledger=ledger, reads=reads)
    )
    return sorted(_settle_contests(found), key=lambda m: m.key)


def _known(
    rule: ObjectRule,
    record: Record,
    entry: Entry | None,
    changed: Mapping[str, Seen],
) -> Match | None:
    if entry is None or entry.standing != SENT:
        return None
    customer = (record.account_id, record.customer_id)
    seen = changed.get(entry.record_id)
    if seen is not None and seen.values.get(rule.external_id) != record.key:
        return None
    return Match(customer, record.key, Standing.ONE, "known", entry.record_id, seen)


def _look(
    crm: Crm,
    rule: ObjectRule,
    records: Sequence[Record],
    *,
    source: Source,
    keys: Keys,
    ledger: Mapping[str, Entry],
    reads: Reads,
) -> list[Match]:
    """Match by reading, tier by tier; who is settled is not looked for again."""
    fields = (*rule.names, *(m.field for m in rule.matches))
    former = defaultdict(list)
    for retired, living in keys.retired.items():
        if living is not None:
            former[living].append(retired)
    kinds = {kind for m in rule.matches for kind in m.identifiers}
    identifiers = source.identifiers(kinds)

    def own(record: Record, names: Iterable[str]) -> list[str]:
        held = identifiers.get((record.account_id, record.customer_id), {})
        return [value for name in names for value in held.get(name, ())]

    stayed = _stayed(crm, rule, ledger, [r.key for r in records])
    tiers: list[tuple[str, str, Mapping[str, Collection[str]]]] = [
        (rule.external_id, rule.external_id, {r.key: [r.key] for r in records}),
        (
            "merged in the CRM",
            "Id",
            {r.key: stayed.get(r.key, []) for r in records},
        ),
        (
            f"former {rule.external_id}",
            rule.external_id,
            {r.key: former.get(r.key, []) for r in records},
        ),
        *(
            (m.field, m.field, {r.key: own(r, m.identifiers) for r in records})
            for m in rule.matches
        ),
    ]
    settled: dict[str, Match] = {}
    for by, field, values in tiers:
        asked = [r for r in records if r.key not in settled and values[r.key]]
        wanted = sorted({value for r in asked for value in values[r.key]})
        if not wanted:
            continue
        reads.allow(len(wanted))
        index: dict[str, list[Seen]] = defaultdict(list)
        for seen in crm.find(rule.name, field, wanted, fields):
            value = seen.id if field == "Id" else seen.values.get(field)
            index[_folded(value)].append(seen)
        for record in asked:
            met = {
                seen.id: seen
                for value in values[record.key]
                for seen in index.get(_folded(value), ())
            }
            if met:
                settled[record.key] = _met(record, by, met, rule, keys)
    return [
        settled.get(r.key, Match((r.account_id, r.customer_id), r.key, Standing.NONE))
        for r in records
    ]


def _met(
    record: Record, by: str, met: Mapping[str, Seen], rule: ObjectRule, keys: Keys
) -> Match:
    customer = (record.account_id, record.customer_id)
    ids = tuple(sorted(met))
    if len(ids) > 1:
        return Match(customer, record.key, Standing.MANY, by, candidates=ids)
    seen = met[ids[0]]
    if not keys.are_free(seen.values.get(rule.external_id), record.key):
        return Match(customer, record.key, Standing.TAKEN, by, candidates=ids)
    return Match(customer, record.key, Standing.ONE, by, seen.id, seen)


def _settle_contests(found: Sequence[Match]) -> list[Match]:
    """Take back what several customers claim at once."""
    claims = Counter(m.record_id for m in found if m.standing is Standing.ONE)
    owned = {m.record_id for m in found if m.by == "known" or _is_stamped(m)}
    settled: list[Match] = []
    for m in found:
        if (
            m.record_id is None
            or claims[m.record_id] == 1
            or m.by == "known"
            or _is_stamped(m)
        ):
            settled.append(m)
        else:
            lost = Standing.TAKEN if m.record_id in owned else Standing.CONTESTED
            settled.append(
                replace(
                    m,
                    standing=lost,
                    record_id=None,
                    seen=None,
                    candidates=(m.record_id,),
                )
            )
    return settled


def _is_stamped(m: Match) -> bool:
    return m.seen is not None and m.key in m.seen.values.values()


def _stayed(
    crm: Crm, rule: ObjectRule, ledger: Mapping[str, Entry], keys: Iterable[str]
) -> dict[str, list[str]]:
    """The record that stayed when people merged a customer's away, and that one too."""
    at: dict[str, str] = {}
    for key in keys:
        entry = ledger.get(key)
        if entry is not None and entry.standing == MOVED and entry.moved_to:
            at[key] = entry.moved_to
    asked = set(at.values())
    for _ in range(HOPS):
        found = crm.find(rule.name, "Id", sorted(asked), (), deleted=True)
        on = {s.id: s.master_id for s in found if s.is_deleted and s.master_id}
        if not on:
            break
        at = {key: on.get(record_id) or record_id for key, record_id in at.items()}
        asked = {record_id for record_id in on.values() if record_id}
    return {key: [record_id] for key, record_id in at.items()}


def _folded(value: object) -> str:
    """As the CRM compares texts in a query: without regard to case."""
    return str(value or "").casefold()
