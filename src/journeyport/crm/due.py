"""Which records of an object are to be written: only those that changed, by compare.

Each record meets one fate: unchanged, resting after a refusal, kept back, without a
parent or a record, gone, in step already, or planned. Nothing is written to the CRM.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from journeyport.crm.compare import difference, missing
from journeyport.crm.draft import Draft, entry_of, is_suppressed, settle
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.match import Match, Standing
from journeyport.crm.otherside import OtherSide
from journeyport.crm.protocol import Parent, Seen, Shape
from journeyport.crm.source import Foreseen, Record
from journeyport.errors import ContractError, SettingsError
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.state.crm import GONE, MOVED, SENT, Entry


@dataclass(frozen=True)
class _Due:
    """A record to be compared with what the CRM holds."""

    record: Record
    record_id: str | None
    seen: Seen | None
    parents: Mapping[str, Parent]


def sort_records(
    draft: Draft,
    rule: ObjectRule,
    shape: Shape,
    records: Collection[Record],
    *,
    side: OtherSide,
    found: Mapping[str, Match] | None,
) -> set[str]:
    """Sort the records of one object into what becomes of them.

    Returns:
        The external ids of those that were compared with what the CRM holds.
    """
    due: list[_Due] = []
    count = draft.counts[rule.name]
    rests = memory.rests(draft.state, draft.crm.org.id, rule.name)
    for record in records:
        entry = side.ledger.get(record.key)
        met = found[record.key] if found is not None else None
        record_id, seen = _target(entry, met, side)
        parents = _parents(draft, rule, shape, record)
        rest = rests.get(record.key)
        is_known = entry is not None and entry.standing == SENT
        if is_suppressed(draft, record, record_id):
            fate = "suppressed"
        elif record_id is None and entry and entry.standing in (GONE, MOVED):
            fate = "gone"
        elif parents is None:
            fate = "without parent"
        elif met is not None and not _may_be_made(rule, met):
            fate = "without record"
        elif rest and rest.record_hash == record.hash and rest.next_at > draft.now:
            fate = "resting"
        elif (
            is_known
            and entry is not None
            and entry.record_hash == record.hash
            and entry.record_id == record_id
            and seen is None
        ):
            fate = "unchanged"
        else:
            due.append(_Due(record, record_id, seen, parents))
            continue
        count[fate] += 1
    _compare(draft, rule, shape, due)
    return {each.record.key for each in due}


def _may_be_made(rule: ObjectRule, met: Match) -> bool:
    """Whether the customer has its record, or may be given a new one."""
    if met.standing is Standing.NONE:
        return rule.creates
    return met.standing is Standing.ONE


def _target(
    entry: Entry | None, met: Match | None, side: OtherSide
) -> tuple[str | None, Seen | None]:
    if met is not None:
        return met.record_id, met.seen
    if entry is None or entry.standing != SENT:
        return None, None
    return entry.record_id, side.changed.get(entry.record_id)


def _parents(
    draft: Draft, rule: ObjectRule, shape: Shape, record: Record
) -> dict[str, Parent] | None:
    """The parents by lookup field; None when one is not there to point to."""
    parents: dict[str, Parent] = {}
    for each in rule.parents:
        key = record.parents.get(each.name)
        target = draft.mapping.rule(each.object_name)
        if key is None or target is None:
            continue
        if key not in draft.present[each.object_name]:
            return None
        relationship = shape.fields[each.name].relationship
        if relationship is None:
            raise SettingsError(
                f"{rule.name}.{each.name} is no lookup; run `journeyport crm check`."
            )
        parents[each.name] = Parent(
            each.object_name, target.external_id, relationship, key
        )
    return parents


def _compare(draft: Draft, rule: ObjectRule, shape: Shape, due: list[_Due]) -> None:
    """Compare with what the CRM holds; what is in step is booked, the rest planned."""
    seen = _read(draft, rule, due)
    settled: list[Entry] = []
    gone: list[Entry] = []
    count = draft.counts[rule.name]
    for each in sorted(due, key=_by_parent):
        record = each.record
        now = each.seen or seen.get(each.record_id or record.key)
        record_id = now.id if now is not None else None
        if each.record_id is not None and now is None:
            count["gone"] += 1
            draft.present[rule.name].pop(record.key, None)
            gone.append(replace(entry_of(record, each.record_id), standing=GONE))
            continue
        if _is_given_away(rule, each, now):
            count["without record"] += 1
            draft.present[rule.name].pop(record.key, None)
            continue
        if now is None and not rule.creates:
            count["without record"] += 1
            continue
        ids = {
            name: draft.present[p.object_name].get(p.key)
            for name, p in each.parents.items()
        }
        found = difference(
            rule, shape, record, now, parents=each.parents, parent_ids=ids
        )
        lacking = missing(rule, shape, found) if now is None else []
        if lacking:
            count["unfit"] += 1
            draft.foreseen.append(_lacks(rule, record, lacking[0]))
            continue
        draft.present[rule.name][record.key] = record_id
        if record_id is not None and not found:
            count["in step"] += 1
            settled.append(entry_of(record, record_id))
        else:
            count["to make" if record_id is None else "to change"] += 1
            draft.add(rule, record, record_id, found)
    settle(draft, rule, settled)
    if rule.is_customer:
        _book_vanished(draft, rule, gone)


def _is_given_away(rule: ObjectRule, due: _Due, now: Seen | None) -> bool:
    """Whether people stamped the customer's record a moment ago.

    The next look will say so.
    """
    if not rule.is_customer or due.seen is not None or now is None:
        return False
    return now.values.get(rule.external_id) not in (due.record.key, None, "")


def _book_vanished(draft: Draft, rule: ObjectRule, gone: list[Entry]) -> None:
    """A customer whose record was deleted for good, no look can tell, has none.

    Were it only out of sight, its stamp is found again. No such thing finds a child
    again: it is read anew each night.
    """
    if not gone:
        return
    draft.matches[Standing.ONE.value] -= len(gone)
    draft.matches[Standing.NONE.value] += len(gone)
    org_id = draft.crm.org.id
    entries = [replace(entry, record_hash="") for entry in gone]
    closed = [(entry.account_id, entry.customer_id, None) for entry in gone]
    with draft.state.write() as connection:
        memory.book(
            connection, org_id, rule.name, entries, run_id=draft.run_id, at=draft.now
        )
        memory.match(connection, org_id, rule.name, closed, at=draft.now)


def _by_parent(due: _Due) -> tuple[str, str]:
    """Children of one parent stand together: fewer locks on the parent."""
    return (next((p.key for p in due.parents.values()), ""), due.record.key)


def _read(draft: Draft, rule: ObjectRule, due: list[_Due]) -> dict[str, Seen]:
    """What the CRM holds of the records, by id, and of new ones by external id."""
    unseen = [each for each in due if each.seen is None]
    ids = sorted({each.record_id for each in unseen if each.record_id})
    new = {each.record.key: each.record for each in unseen if each.record_id is None}
    draft.reads.allow(len(ids) + len(new))
    found = {s.id: s for s in draft.crm.find(rule.name, "Id", ids, rule.names)}
    binned: list[Entry] = []
    taken_back = planned.undone(draft.state, draft.crm.org.id) if new else frozenset()
    for seen in draft.crm.find(
        rule.name, rule.external_id, list(new), rule.names, deleted=True
    ):
        key = str(seen.values.get(rule.external_id))
        if seen.is_deleted:
            if seen.id not in taken_back:
                binned.append(replace(entry_of(new[key], seen.id), standing=GONE))
            continue
        if key in found:
            raise ContractError(
                f"Several {rule.name} records hold one external id; make "
                f"{rule.external_id} unique in the org."
            )
        found[key] = seen
    _book_binned(draft, rule, [e for e in binned if e.record_key not in found], due)
    return found


def _book_binned(
    draft: Draft, rule: ObjectRule, binned: list[Entry], due: list[_Due]
) -> None:
    """What we made, unheard, and people deleted since: not to be made again."""
    if not binned:
        return
    keys = {entry.record_key for entry in binned}
    due[:] = [each for each in due if each.record.key not in keys]
    draft.counts[rule.name]["gone"] += len(keys)
    with draft.state.write() as connection:
        memory.book(
            connection,
            draft.crm.org.id,
            rule.name,
            binned,
            run_id=draft.run_id,
            at=draft.now,
        )


def _lacks(rule: ObjectRule, record: Record, name: str) -> Foreseen:
    return Foreseen(
        rule.name,
        record.key,
        record.account_id,
        name,
        "REQUIRED_FIELD_MISSING",
        f"The org makes no {rule.name} without {name}; map it or relax the field.",
    )
