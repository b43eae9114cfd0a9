"""Whether a plan still holds: org, mapping, age, rows, the CRM's values, the guards."""

from collections.abc import Collection, Mapping, Sequence

from journeyport.clock import Clock
from journeyport.crm import guards
from journeyport.crm.booking import Push, book
from journeyport.crm.draft import fitting
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.match import keys_of
from journeyport.crm.merges import farewells
from journeyport.crm.outcome import APPLIED
from journeyport.crm.planfile import Action, Plan
from journeyport.crm.protocol import Answer, Crm, Seen, Shape, Verdict
from journeyport.crm.push import subjects
from journeyport.crm.source import Source
from journeyport.crm.suppression import names_of
from journeyport.crm.values import same
from journeyport.errors import PermanentError, StaleError
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.state.crm_plans import PlanRow


def standing(
    plan: Plan, state: State, crm: Crm, mapping: CrmMapping, clock: Clock
) -> PlanRow:
    """Refuse a plan that is of another org or mapping, too old, or done."""
    row = planned.plan(state, plan.plan_id)
    if row is None or row.status in (APPLIED, "UNDONE"):
        what = "is unknown to this state" if row is None else "was applied already"
        raise StaleError(f"Plan {plan.plan_id} {what}; make a new one.")
    if plan.org.id != crm.org.id:
        raise StaleError(
            f"Plan {plan.plan_id} is for org {plan.org.id}, and this sign-in leads to "
            f"{crm.org.id}; make a plan here."
        )
    if plan.mapping_hash != mapping.hash:
        raise StaleError(
            f"Plan {plan.plan_id} was made under another mapping; make a new one."
        )
    if clock.now() > plan.expires_at:
        raise StaleError(
            f"Plan {plan.plan_id} expired at {plan.expires_at:%Y-%m-%d %H:%M} UTC; "
            "make a new one."
        )
    return row


def refuse_changed_rows(push: Push, lake: Lake, left: Sequence[Action]) -> None:
    """Refuse when a record should by now be another than the plan has."""
    if not left:
        return
    source = Source(lake, push.mapping, push.plan.selection)
    keys = keys_of(source, push.mapping.customer)
    names = names_of(push.state, source, keys)
    for rule in push.mapping.objects:
        due = [a for a in left if a.object_name == rule.name]
        if not due:
            continue
        shape = fitting(push.crm, rule)
        now = {r.key: r.hash for r in source.wanted(rule, shape).records}
        if rule.is_customer:
            ledger = memory.ledger(push.state, push.org_id, rule.name)
            said = farewells(push.mapping, rule, keys, ledger)
            now = {**now, **{record.key: record.hash for record, _ in said}}
        changed = sum(
            now.get(a.key) != a.hash
            or not names.of((a.account_id, a.customer_id)) <= subjects(a)
            for a in due
        )
        if changed:
            raise StaleError(
                f"{changed} of the plan's {rule.name} rows changed in the lake since "
                f"plan {push.plan.plan_id} was made; make a new one."
            )


def refuse_changed_values(push: Push, left: Sequence[Action]) -> list[Action]:
    """Refuse when the CRM's values moved on; book what is there already."""
    due, changed = book_landed(push, left)
    if changed:
        raise StaleError(
            f"{changed} records changed in the CRM since plan {push.plan.plan_id} was "
            "made; nothing of them was written: make a new plan."
        )
    return due


def book_landed(
    push: Push, left: Sequence[Action], foreign: Collection[str] = ()
) -> tuple[list[Action], int]:
    """Book what an earlier call wrote although its answer was lost.

    Args:
        push: the apply.
        left: actions that nobody heard of.
        foreign: records that somebody else wrote; they never count as landed.

    Returns:
        The actions that are still to be done, and how many no longer can be.
    """
    due: list[Action] = []
    changed = 0
    planned_ids = {  # a customer may have another record than the ledger knows of
        (a.object_name, a.key): a.record_id for a in push.plan.actions if a.record_id
    }
    for rule in push.mapping.objects:
        chosen = [a for a in left if a.object_name == rule.name]
        if not chosen:
            continue
        shape = fitting(push.crm, rule)
        seen = _read(push, rule, chosen)
        parents = {**parent_ids(push.state, push.org_id, rule), **planned_ids}
        landed: list[Action] = []
        for action in chosen:
            now = seen.get(action.record_id or action.key)
            is_ours = now is not None and now.id not in foreign
            if is_ours and _has_landed(rule, shape, action, now, parents=parents):
                landed.append(action)
            elif _is_as_planned(shape, action, now):
                due.append(action)
            else:
                changed += 1
        answers = [
            Answer(
                a.number,
                Verdict.ACCEPTED,
                record_id=seen[a.record_id or a.key].id,
                was_created=a.creates,
            )
            for a in landed
        ]
        if landed:
            book(push, landed, answers)
    return sorted(due, key=lambda a: a.number), changed


def _read(push: Push, rule: ObjectRule, actions: Sequence[Action]) -> dict[str, Seen]:
    ids = sorted({a.record_id for a in actions if a.record_id})
    keys = sorted(a.key for a in actions if a.record_id is None)
    found = {s.id: s for s in push.crm.find(rule.name, "Id", ids, rule.names)}
    for seen in push.crm.find(rule.name, rule.external_id, keys, rule.names):
        found[str(seen.values.get(rule.external_id))] = seen
    return found


def parent_ids(
    state: State, org_id: str, rule: ObjectRule
) -> dict[tuple[str, str], str]:
    """The ids that the ledger knows of the records that may be parents."""
    return {
        (parent.object_name, key): entry.record_id
        for parent in rule.parents
        for key, entry in memory.ledger(state, org_id, parent.object_name).items()
    }


def _has_landed(
    rule: ObjectRule,
    shape: Shape,
    action: Action,
    seen: Seen | None,
    *,
    parents: Mapping[tuple[str, str], str],
) -> bool:
    if seen is None or seen.values.get(rule.external_id) != action.key:
        return False
    if not all(
        same(shape.fields[name], seen.values.get(name), value)
        for name, value in action.after.items()
    ):
        return False
    return all(
        same(
            shape.fields[name],
            seen.values.get(name),
            parents.get((parent.object_name, parent.key), "?"),
        )
        for name, parent in action.parents.items()
    )


def _is_as_planned(shape: Shape, action: Action, seen: Seen | None) -> bool:
    if seen is None:
        return action.creates
    return not action.creates and all(
        same(shape.fields[name], seen.values.get(name), value)
        for name, value in action.before.items()
    )


def refuse_guarded(push: Push, left: Sequence[Action]) -> None:
    """Refuse what a guard forbids, before the first write."""
    needed = guards.cost(push.crm, push.config, left)
    refusals = guards.refusals(push.crm, push.config.guards, left, needed)
    if refusals:
        raise PermanentError(f"Nothing was written: {refusals[0]}")
