"""From what should be and what is to a plan; nothing is written to the CRM here.

The objects are gone through in order, parents first: customers are matched (`match`),
records sorted into what becomes of them (`due`), merged customers told (`merges`). The
guards are asked in `guards`, the values' file is `planfile`'s.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection
from datetime import date

from journeyport.clock import Clock
from journeyport.crm import guards, planfile, rowsfile
from journeyport.crm.config import CrmConfig
from journeyport.crm.draft import Draft, fitting
from journeyport.crm.due import sort_records
from journeyport.crm.leftovers import drop_refusals, keep_unread
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.match import Keys, Match, Standing, keys_of, match
from journeyport.crm.merges import say_farewells
from journeyport.crm.otherside import OtherSide, look
from journeyport.crm.planfile import Plan
from journeyport.crm.protocol import Crm
from journeyport.crm.push import refuse_while_jobs_run
from journeyport.crm.source import Record, Selection, Source
from journeyport.crm.suppression import names_of
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.state.crm import SENT
from journeyport.state.crm_plans import PlanRow

Progress = Callable[[str, int, int], None]


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
    reason: str = "",
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
        reason: what for; kept with the plan.
        progress: told the object and its place.

    Raises:
        SettingsError: the mapping does not fit the org.
        TransientError: a job of an earlier plan is still writing there.
        PermanentError: a guard forbids to read so much.
    """
    now = clock.now()
    refuse_while_jobs_run(crm, state, now)
    selection = Selection(
        now,
        None if days is None else frozenset(days),
        None if customers is None else frozenset(customers),
    )
    source = Source(lake, mapping, selection)
    keys = keys_of(source, mapping.customer)
    draft = Draft(
        crm,
        state,
        source,
        mapping,
        run_id,
        now,
        memory.suppressed(state),
        names_of(
            state,
            source,
            keys,
            memory.ledger(state, crm.org.id, mapping.customer.name),
            memory.matches(state, crm.org.id, mapping.customer.name),
        ),
        guards.Reads(crm, config.guards),
    )
    for place, rule in enumerate(mapping.objects):
        if progress is not None:
            progress(rule.name, place, len(mapping.objects))
        _object(draft, rule, keys)
    return _finish(draft, config, selection, reason)


def _object(draft: Draft, rule: ObjectRule, keys: Keys) -> None:
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
        found = _matched(draft, rule, wanted.records, keys, side)
        done = sort_records(draft, rule, shape, wanted.records, side=side, found=found)
        done |= say_farewells(draft, rule, keys, side)
    else:
        done = sort_records(draft, rule, shape, wanted.records, side=side, found=None)
    keep_unread(draft, rule, side, done)
    drop_refusals(draft, rule, wanted, side, keys)


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
        reads=draft.reads,
    )
    draft.names.meet((m.customer, m.record_id) for m in found if m.record_id)
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
    _let_go(draft, rule, found, side)
    return {m.key: m for m in found}


def _let_go(
    draft: Draft, rule: ObjectRule, found: Collection[Match], side: OtherSide
) -> None:
    """A customer that no longer meets its record has none, and is met afresh later.

    What people deleted or merged away stays known as such.
    """
    org_id = draft.crm.org.id
    lost = [m for m in found if m.standing is not Standing.ONE]
    open_ = memory.matches(draft.state, org_id, rule.name)
    closed = [(*m.customer, None) for m in lost if m.customer in open_]
    sent = {key for key, entry in side.ledger.items() if entry.standing == SENT}
    held = [m.key for m in lost if m.key in sent]
    if closed or held:
        with draft.state.write() as connection:
            memory.match(connection, org_id, rule.name, closed, at=draft.now)
            memory.unbook(connection, org_id, rule.name, held)
    for m in lost:
        draft.present[rule.name].pop(m.key, None)


def _finish(draft: Draft, config: CrmConfig, selection: Selection, reason: str) -> Plan:
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
        mapping=draft.mapping,
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
        reads=draft.reads.made,
    )
    planfile.save(plan)
    rowsfile.write(plan, draft.state)
    planfile.clear_out(config.plan_dir, draft.now - config.plan_keep)
    row = PlanRow(
        plan_id,
        org.id,
        draft.mapping.hash,
        "apply",
        "PLANNED",
        draft.now,
        expires,
        draft.run_id,
        reason or None,
        None,
    )
    with draft.state.write() as connection:
        planned.put_plan(connection, row)
        if not draft.actions:  # nothing waits for an apply: the reading is dealt with
            for object_name, frontier in draft.frontiers.items():
                memory.move_frontier(connection, org.id, object_name, frontier)
    return plan
