"""From what should be and what is to a plan; nothing is written to the CRM here.

Only what changed since it was last accepted is looked at; what turns out to be in step
already is written down as accepted without a call. The guards are asked in `guards`,
the values' file is `planfile`'s.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from journeyport.clock import Clock
from journeyport.crm import guards, planfile
from journeyport.crm.compare import Difference, difference, missing
from journeyport.crm.config import CrmConfig
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.match import Keys, Match, Standing, keys_of, match
from journeyport.crm.merges import farewells
from journeyport.crm.otherside import OtherSide, look
from journeyport.crm.planfile import Action, Plan
from journeyport.crm.protocol import Crm, Operation, Parent, Seen, Shape
from journeyport.crm.source import Foreseen, Record, Selection, Source
from journeyport.errors import ContractError, SettingsError
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state.crm import GONE, MOVED, SENT, Entry, PlanRow

Progress = Callable[[str, int, int], None]


@dataclass
class Draft:
    """A plan in the making, shared by the objects in their order."""

    crm: Crm
    state: State
    source: Source
    mapping: CrmMapping
    run_id: str
    now: datetime
    suppressed: frozenset[str]
    actions: list[Action] = field(default_factory=list)
    foreseen: list[Foreseen] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    changes: dict[str, Counter[str]] = field(default_factory=dict)
    matches: Counter[str] = field(default_factory=Counter)
    unmatched: list[dict[str, Any]] = field(default_factory=list)
    frontiers: dict[str, datetime] = field(default_factory=dict)
    present: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """Per object, the external ids that are or will be there, with the record id."""

    def add(
        self,
        rule: ObjectRule,
        record: Record,
        record_id: str | None,
        found: Difference,
        *,
        is_farewell: bool = False,
    ) -> None:
        """Put one action into the plan."""
        self.actions.append(
            Action(
                number=len(self.actions),
                object_name=rule.name,
                operation=Operation.UPDATE if record_id else Operation.UPSERT,
                key=record.key,
                record_id=record_id,
                account_id=record.account_id,
                customer_id=record.customer_id,
                hash=record.hash,
                after=found.after,
                before=found.before,
                parents=found.parents,
                is_farewell=is_farewell,
            )
        )
        self.changes[rule.name].update([*found.after, *found.parents])


def make_plan(
    lake: Lake,
    state: State,
    crm: Crm,
    mapping: CrmMapping,
    config: CrmConfig,
    *,
    days: Collection[tuple[str, date]] | None = None,
    customers: Collection[tuple[str, str]] | None = None,
    run_id: str,
    clock: Clock,
    progress: Progress | None = None,
) -> Plan:
    """Plan what an apply would write.

    Args:
        lake: what should be.
        state: what was accepted.
        crm: what is; signed in.
        mapping: what becomes what.
        config: guards, where the plan's file goes, how long it may be applied.
        days: the (account, UTC day) to deliver; None: all the lake holds.
        customers: the (account, customer id) to deliver; None: all.
        run_id: the run.
        clock: the time.
        progress: told the object and its place.

    Raises:
        SettingsError: the mapping does not fit the org.
    """
    now = clock.now()
    selection = Selection(
        now,
        None if days is None else frozenset(days),
        None if customers is None else frozenset(customers),
    )
    source = Source(lake, mapping, selection)
    suppressed = memory.suppressed(state)
    draft = Draft(crm, state, source, mapping, run_id, now, suppressed)
    for place, rule in enumerate(mapping.objects):
        if progress is not None:
            progress(rule.name, place, len(mapping.objects))
        _object(draft, rule)
    return _finish(draft, config, selection)


def _object(draft: Draft, rule: ObjectRule) -> None:
    shape = fitting(draft.crm, rule)
    wanted = draft.source.wanted(rule, shape)
    draft.foreseen.extend(wanted.foreseen)
    draft.counts[rule.name] = Counter(
        wanted=len(wanted.records), unfit=len(wanted.foreseen)
    )
    draft.changes[rule.name] = Counter()
    side = look(draft.crm, draft.state, rule, run_id=draft.run_id, at=draft.now)
    draft.frontiers[rule.name] = side.frontier
    draft.present[rule.name] = {
        entry.record_key: entry.record_id
        for entry in side.ledger.values()
        if entry.standing == SENT
    }
    if rule.is_customer:
        keys = keys_of(draft.source, rule)
        found = _matched(draft, rule, wanted.records, keys, side)
        _records(draft, rule, shape, wanted.records, side=side, found=found)
        _farewells(draft, rule, keys, side)
    else:
        _records(draft, rule, shape, wanted.records, side=side, found=None)


def fitting(crm: Crm, rule: ObjectRule) -> Shape:
    """The object, with every field the mapping names.

    Raises:
        SettingsError: the object or a field is not there.
    """
    shape = crm.describe(rule.name)
    if shape is None:
        raise SettingsError(
            f"The org has no object {rule.name}, or this user may not see it; run "
            "`journeyport crm check`."
        )
    for name in (*rule.names, *(m.field for m in rule.matches)):
        if name not in shape.fields:
            raise SettingsError(
                f"The org has no field {rule.name}.{name}, or this user may not see "
                "it; run `journeyport crm check`."
            )
    return shape


def _matched(
    draft: Draft,
    rule: ObjectRule,
    records: Collection[Record],
    keys: Keys,
    side: OtherSide,
) -> dict[str, Match]:
    found = match(
        draft.crm,
        rule,
        tuple(records),
        source=draft.source,
        keys=keys,
        ledger=side.ledger,
        changed=side.changed,
    )
    for m in found:
        draft.matches[m.standing.value] += 1
        if m.candidates:
            draft.unmatched.append(
                {
                    "account_id": m.customer[0],
                    "customer_id": m.customer[1],
                    "standing": m.standing.value,
                    "by": m.by,
                    "candidates": list(m.candidates),
                }
            )
    _close_lost(draft, rule, found)
    return {m.key: m for m in found}


def _close_lost(draft: Draft, rule: ObjectRule, found: list[Match]) -> None:
    """A customer that no longer meets its record has none."""
    open_ = memory.matches(draft.state, draft.crm.org.id, rule.name)
    lost = [
        (*m.customer, None)
        for m in found
        if m.standing is not Standing.ONE and m.customer in open_
    ]
    if lost:
        with draft.state.write() as connection:
            memory.match(connection, draft.crm.org.id, rule.name, lost, at=draft.now)
    for m in found:
        if m.standing is not Standing.ONE:
            draft.present[rule.name].pop(m.key, None)


@dataclass(frozen=True)
class _Due:
    """A record to be compared with what the CRM holds."""

    record: Record
    record_id: str | None
    seen: Seen | None
    parents: Mapping[str, Parent]


def _records(
    draft: Draft,
    rule: ObjectRule,
    shape: Shape,
    records: Collection[Record],
    *,
    side: OtherSide,
    found: Mapping[str, Match] | None,
) -> None:
    """Sort the records of one object into what becomes of them."""
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
        if _is_suppressed(draft, record, record_id):
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


def _is_suppressed(draft: Draft, record: Record, record_id: str | None) -> bool:
    customer = f"{record.account_id}:{record.customer_id}"
    return not draft.suppressed.isdisjoint({record.key, customer, record_id})


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
    count = draft.counts[rule.name]
    for each in sorted(due, key=_by_parent):
        record = each.record
        now = each.seen or seen.get(each.record_id or record.key)
        record_id = now.id if now is not None else None
        if each.record_id is not None and now is None:
            count["gone"] += 1  # deleted a moment ago: the next look will say so
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
            settled.append(_entry(record, record_id))
        else:
            count["to make" if record_id is None else "to change"] += 1
            draft.add(rule, record, record_id, found)
    _settle(draft, rule, settled)


def _by_parent(due: _Due) -> tuple[str, str]:
    """Children of one parent stand together: fewer locks on the parent."""
    return (next((p.key for p in due.parents.values()), ""), due.record.key)


def _read(draft: Draft, rule: ObjectRule, due: list[_Due]) -> dict[str, Seen]:
    """What the CRM holds of the records, by id, and of new ones by external id."""
    unseen = [each for each in due if each.seen is None]
    ids = sorted({each.record_id for each in unseen if each.record_id})
    new = {each.record.key: each.record for each in unseen if each.record_id is None}
    found = {s.id: s for s in draft.crm.find(rule.name, "Id", ids, rule.names)}
    binned: list[Entry] = []
    taken_back = memory.undone(draft.state, draft.crm.org.id) if new else frozenset()
    for seen in draft.crm.find(
        rule.name, rule.external_id, list(new), rule.names, deleted=True
    ):
        key = str(seen.values.get(rule.external_id))
        if seen.is_deleted:
            if seen.id not in taken_back:
                binned.append(replace(_entry(new[key], seen.id), standing=GONE))
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


def _entry(record: Record, record_id: str) -> Entry:
    return Entry(
        record.key, record_id, record.hash, record.account_id, record.customer_id
    )


def _settle(
    draft: Draft, rule: ObjectRule, settled: list[Entry], *, is_farewell: bool = False
) -> None:
    if not settled:
        return
    org_id = draft.crm.org.id
    held = memory.ledger(draft.state, org_id, rule.name)
    kept = [
        replace(e, is_ours=held[e.record_key].is_ours) if e.record_key in held else e
        for e in settled
    ]
    keys = [entry.record_key for entry in kept]
    with draft.state.write() as connection:
        memory.book(
            connection, org_id, rule.name, kept, run_id=draft.run_id, at=draft.now
        )
        memory.wake(connection, org_id, rule.name, keys)
        memory.settle_rejects(connection, rule.name, keys)
        if rule.is_customer:
            found = [
                (e.account_id, e.customer_id, None if is_farewell else e.record_id)
                for e in kept
            ]
            memory.match(connection, org_id, rule.name, found, at=draft.now)


def _farewells(draft: Draft, rule: ObjectRule, keys: Keys, side: OtherSide) -> None:
    """Say on a merged customer's record which customer it has become."""
    if rule.merged_into is None:
        return
    here = draft.present[rule.name]
    taken = {a.record_id for a in draft.actions if a.object_name == rule.name}
    taken |= {here[key] for key in here if key in keys.living}
    due: list[tuple[Record, str]] = []
    for record, entry in farewells(draft.mapping, rule, keys, side.ledger):
        is_said = entry.record_hash == record.hash
        is_touched = entry.record_id in side.changed
        if entry.record_id in taken or (is_said and not is_touched):
            continue
        if not _is_suppressed(draft, record, entry.record_id):
            due.append((record, entry.record_id))
    ids = [record_id for _, record_id in due]
    seen = {s.id: s for s in draft.crm.find(rule.name, "Id", ids, rule.names)}
    settled: list[Entry] = []
    for record, record_id in due:
        now = seen.get(record_id)
        if now is None or now.values.get(rule.external_id) != record.key:
            continue  # deleted, or somebody else's by now
        before = {rule.merged_into: now.values.get(rule.merged_into)}
        if dict(record.values) == before:
            settled.append(_entry(record, record_id))
            continue
        draft.counts[rule.name]["merged away"] += 1
        found = Difference(dict(record.values), before)
        draft.add(rule, record, record_id, found, is_farewell=True)
    _settle(draft, rule, settled, is_farewell=True)


def _finish(draft: Draft, config: CrmConfig, selection: Selection) -> Plan:
    org = draft.crm.org
    expires = draft.now + config.plan_life
    seed = json.dumps([org.id, draft.mapping.hash, draft.run_id, draft.now.isoformat()])
    name = hashlib.sha256(seed.encode()).hexdigest()[:8]
    plan_id = f"{draft.now:%Y%m%dT%H%M%SZ}-{name}"
    cost = guards.cost(draft.crm, config, draft.actions)
    plan = Plan(
        plan_id=plan_id,
        org=org,
        mapping_hash=draft.mapping.hash,
        run_id=draft.run_id,
        made_at=draft.now,
        expires_at=expires,
        selection=selection,
        actions=tuple(draft.actions),
        foreseen=tuple(draft.foreseen),
        counts={name: dict(count) for name, count in draft.counts.items()},
        matches={s.value: draft.matches[s.value] for s in Standing},
        unmatched=tuple(draft.unmatched),
        changes={name: dict(count) for name, count in draft.changes.items()},
        calls=cost.calls,
        storage_mb=cost.storage_mb,
        refusals=guards.refusals(draft.crm, config.guards, draft.actions, cost),
        frontiers=draft.frontiers,
        path=config.plan_dir / f"{plan_id}.json",
    )
    planfile.save(plan)
    row = PlanRow(
        plan_id,
        org.id,
        draft.mapping.hash,
        "apply",
        "PLANNED",
        draft.now,
        expires,
        draft.run_id,
        None,
        None,
    )
    with draft.state.write() as connection:
        memory.put_plan(connection, row)
        if not draft.actions:  # nothing waits for an apply: the reading is dealt with
            for object_name, frontier in draft.frontiers.items():
                memory.move_frontier(connection, org.id, object_name, frontier)
    return plan
