"""Carrying out a plan: whether it still holds, the first 25, the confirmation.

A plan is refused when the org, the mapping, the rows or the CRM's own values are no
longer those it was made from. Sending is `push`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from journeyport.clock import Clock
from journeyport.crm import guards
from journeyport.crm.config import CrmConfig
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.match import keys_of
from journeyport.crm.merges import farewells
from journeyport.crm.plan import Progress, fitting
from journeyport.crm.planfile import Action, Plan, load
from journeyport.crm.protocol import Answer, Calls, Crm, Org, Seen, Shape, Verdict
from journeyport.crm.push import Outcome, Push, book, resume, send_all
from journeyport.crm.source import Foreseen, Source
from journeyport.crm.values import same
from journeyport.errors import ArgumentError, PermanentError, StaleError
from journeyport.lake import Lake
from journeyport.state import State, leases, rejects
from journeyport.state import crm as memory
from journeyport.state.crm import PlanRow
from journeyport.state.warehouse import record_delivery

APPLIED, AWAITING, PARTIAL = "APPLIED", "AWAITING_CONFIRMATION", "PARTIAL"


@dataclass(frozen=True)
class ApplyReport:
    """What an apply did.

    Attributes:
        plan_id: the plan.
        org: the org.
        status: APPLIED, AWAITING_CONFIRMATION (the first records are written: look at
            them, then confirm) or PARTIAL (some were not sent: apply again).
        created: records made, per object.
        updated: records changed, per object.
        rejected: refusals as (object, code, reason, how many).
        suppressed: records that the suppression list kept back.
        unsent: actions of the plan that are still to be sent.
        accepted: the numbers of the plan's actions that were accepted now.
        calls: requests made, reads and writes.
        red: more was rejected than the guard allows.
    """

    plan_id: str
    org: Org
    status: str
    created: Mapping[str, int]
    updated: Mapping[str, int]
    rejected: tuple[tuple[str, str, str, int], ...]
    suppressed: int
    unsent: int
    accepted: tuple[int, ...]
    calls: Calls
    red: bool

    @property
    def writes(self) -> int:
        """Records written."""
        return sum(self.created.values()) + sum(self.updated.values())

    @property
    def facts(self) -> dict[str, Any]:
        """The report without a single value, for logs and metadata."""
        return {
            "plan": self.plan_id,
            "org": self.org.id,
            "org_kind": self.org.kind,
            "status": self.status,
            "created": dict(self.created),
            "updated": dict(self.updated),
            "rejected": sum(many for *_, many in self.rejected),
            "rejected_by_reason": [list(item) for item in self.rejected],
            "suppressed": self.suppressed,
            "unsent": self.unsent,
            "read_calls": self.calls.reads,
            "write_calls": self.calls.writes,
        }

    def text(self) -> str:
        """The report for a person to read."""
        lines = [f"{self.status} plan {self.plan_id} in {self.org.name}"]
        for name in sorted({*self.created, *self.updated}):
            made, changed = self.created.get(name, 0), self.updated.get(name, 0)
            lines.append(f"  {name}: {made} made, {changed} changed")
        for object_name, code, reason, many in self.rejected:
            lines.append(f"  rejected {many} × {object_name} {code}: {reason}")
        if self.suppressed:
            lines.append(f"  {self.suppressed} kept back by the suppression list")
        if self.unsent:
            lines.append(f"  {self.unsent} still to be sent")
        lines.append(
            f"  {self.calls.writes} write calls, {self.calls.reads} read calls"
        )
        if self.status == AWAITING:
            lines.append(
                "  The first records are in the org: look at them there, then apply "
                "the same plan again with --confirm."
            )
        return "\n".join(lines)


def apply_plan(
    plan_id: str,
    reason: str,
    *,
    lake: Lake,
    state: State,
    crm: Crm,
    mapping: CrmMapping,
    config: CrmConfig,
    run_id: str,
    clock: Clock,
    confirm: bool = False,
    progress: Progress | None = None,
) -> ApplyReport:
    """Carry out a plan.

    The first apply in an org writes a few records and stops; the same call with
    `confirm` goes on. Broken off, the same call takes up where it was.

    Args:
        plan_id: the plan.
        reason: why; kept with the approval.
        lake: to see whether the rows still are what they were.
        state: the ledger.
        crm: the signed-in org.
        mapping: the mapping in use.
        config: guards, sizes, pauses.
        run_id: the run.
        clock: the time.
        confirm: the first records were looked at and are right.
        progress: told what is being done.

    Raises:
        ArgumentError: no such plan, or no reason.
        StaleError: what was planned no longer holds.
        PermanentError: a guard forbids it.
        LeaseError: another run writes to this org.
    """
    if not reason.strip():
        raise ArgumentError("An apply needs a reason; say why in a few words.")
    plan = load(config.plan_dir, plan_id)
    row = _standing(plan, state, crm, mapping, clock)
    names = [f"crm/{crm.org.id}/{rule.name}" for rule in mapping.objects]
    before = replace(crm.calls)
    with leases.held(state, names, run_id=run_id, clock=clock) as lease:
        push = Push(crm, state, config, mapping, plan, run_id, clock, lease, Outcome())
        resume(push)
        left = _still_due(push)
        _refuse_changed_rows(push, lake, left)
        left = _refuse_changed_values(push, left)
        _refuse_guarded(push, left)
        chosen = _chosen(push, left, confirm=confirm)
        if progress is not None:
            progress("apply", 0, len(chosen))
        send_all(push, chosen)
        status = _end(push, row, reason, is_trial=chosen is not left)
    return _report(push, status, before)


def _standing(
    plan: Plan, state: State, crm: Crm, mapping: CrmMapping, clock: Clock
) -> PlanRow:
    """Refuse a plan that is of another org or mapping, too old, or done."""
    row = memory.plan(state, plan.plan_id)
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


def _still_due(push: Push) -> list[Action]:
    """What of the plan was neither accepted nor refused by an earlier call."""
    done = memory.writes(push.state, push.plan.plan_id)
    left = [a for a in push.plan.actions if a.number not in done]
    due: list[Action] = []
    for rule in push.mapping.objects:
        rests = memory.rests(push.state, push.org_id, rule.name)
        for action in left:
            if action.object_name != rule.name:
                continue
            rest = rests.get(action.key)
            if rest is None or rest.next_at <= push.clock.now():
                due.append(action)
    return due


def _refuse_changed_rows(push: Push, lake: Lake, left: Sequence[Action]) -> None:
    """Refuse when a record should by now be another than the plan has."""
    if not left:
        return
    source = Source(lake, push.mapping, push.plan.selection)
    for rule in push.mapping.objects:
        due = [a for a in left if a.object_name == rule.name]
        if not due:
            continue
        shape = fitting(push.crm, rule)
        now = {r.key: r.hash for r in source.wanted(rule, shape).records}
        if rule.is_customer:
            keys = keys_of(source, rule)
            ledger = memory.ledger(push.state, push.org_id, rule.name)
            said = farewells(push.mapping, rule, keys, ledger)
            now = {**now, **{record.key: record.hash for record, _ in said}}
        changed = sum(now.get(a.key) != a.hash for a in due)
        if changed:
            raise StaleError(
                f"{changed} of the plan's {rule.name} rows changed in the lake since "
                f"plan {push.plan.plan_id} was made; make a new one."
            )


def _refuse_changed_values(push: Push, left: Sequence[Action]) -> list[Action]:
    """Refuse when the CRM's values moved on; book what is there already.

    What is there already was written by an earlier call whose answer was lost.
    """
    due: list[Action] = []
    changed = 0
    for rule in push.mapping.objects:
        chosen = [a for a in left if a.object_name == rule.name]
        if not chosen:
            continue
        shape = fitting(push.crm, rule)
        seen = _read(push, rule, chosen)
        parents = _parent_ids(push, rule)
        landed: list[Action] = []
        for action in chosen:
            now = seen.get(action.record_id or action.key)
            if _has_landed(shape, action, now, parents):
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
    if changed:
        raise StaleError(
            f"{changed} records changed in the CRM since plan {push.plan.plan_id} was "
            "made; nothing of them was written: make a new plan."
        )
    return sorted(due, key=lambda a: a.number)


def _read(push: Push, rule: ObjectRule, actions: Sequence[Action]) -> dict[str, Seen]:
    ids = sorted({a.record_id for a in actions if a.record_id})
    keys = sorted(a.key for a in actions if a.record_id is None)
    found = {s.id: s for s in push.crm.find(rule.name, "Id", ids, rule.names)}
    for seen in push.crm.find(rule.name, rule.external_id, keys, rule.names):
        found[str(seen.values.get(rule.external_id))] = seen
    return found


def _parent_ids(push: Push, rule: ObjectRule) -> dict[tuple[str, str], str]:
    return {
        (parent.object_name, key): entry.record_id
        for parent in rule.parents
        for key, entry in memory.ledger(
            push.state, push.org_id, parent.object_name
        ).items()
    }


def _has_landed(
    shape: Shape,
    action: Action,
    seen: Seen | None,
    parents: Mapping[tuple[str, str], str],
) -> bool:
    if seen is None:
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


def _refuse_guarded(push: Push, left: Sequence[Action]) -> None:
    needed = guards.cost(push.crm, push.config, left)
    refusals = guards.refusals(push.crm, push.config.guards, left, needed)
    if refusals:
        raise PermanentError(f"Nothing was written: {refusals[0]}")


def _chosen(push: Push, left: Sequence[Action], *, confirm: bool) -> Sequence[Action]:
    """All that is due; in an org not confirmed yet, the first few, then none."""
    if memory.is_confirmed(push.state, push.org_id):
        return left
    if memory.was_tried(push.state, push.org_id):
        return left if confirm else ()
    places = {rule.name: place for place, rule in enumerate(push.mapping.objects)}
    by_customer = sorted(
        left,
        key=lambda a: (
            a.account_id,
            a.customer_id,
            places[a.object_name],
            a.number,
        ),
    )
    return by_customer[: push.config.first_records]


def _end(push: Push, row: PlanRow, reason: str, *, is_trial: bool) -> str:
    """Write down how the apply ended."""
    left = _still_due(push)
    push.outcome.unsent = len(left) - push.outcome.suppressed
    now = push.clock.now()
    whole = PARTIAL if push.outcome.unsent > 0 else APPLIED
    status = AWAITING if is_trial else whole
    with push.state.write() as connection:
        memory.put_plan(
            connection, replace(row, status=status, reason=reason, applied_at=now)
        )
        if status == APPLIED:
            memory.approve(
                connection,
                push.org_id,
                push.plan.mapping_hash,
                plan_id=push.plan.plan_id,
                reason=reason,
                at=now,
            )
            for object_name, frontier in push.plan.frontiers.items():
                memory.move_frontier(connection, push.org_id, object_name, frontier)
    _record_foreseen(push)
    _record_delivery(push)
    return status


def _record_foreseen(push: Push) -> None:
    """Keep the records that were not sent because the CRM would refuse them."""
    by_account: dict[str, list[Any]] = {}
    for item in push.plan.foreseen:
        by_account.setdefault(item.account_id, []).append(_Kept(item))
    for account, found in by_account.items():
        rejects.record(
            push.state,
            account,
            "crm",
            found,
            day=None,
            run_id=push.run_id,
            now=push.clock.now(),
        )


class _Kept:
    """A foreseen refusal, as `rejected_records` keeps it."""

    def __init__(self, item: Foreseen) -> None:
        self.object_name = item.object_name
        self.record_key = item.key
        self.field = item.field
        self.code = item.code
        self.reason = item.reason
        self.payload: str | None = None


def _record_delivery(push: Push) -> None:
    """Tell the sink ledger what each object was given."""
    given: dict[str, dict[str, int]] = {}
    for rule in push.mapping.objects:
        count = push.plan.counts.get(rule.name, {})
        refused = push.outcome.rejected.items()
        given[rule.name] = {
            "inserted": push.outcome.created[rule.name],
            "updated": push.outcome.updated[rule.name],
            "unchanged": count.get("unchanged", 0) + count.get("in step", 0),
            "rejected": count.get("unfit", 0)
            + sum(many for (name, *_), many in refused if name == rule.name),
        }
    record_delivery(push.state, "crm", push.run_id, given, push.clock.now())


def _report(push: Push, status: str, before: Calls) -> ApplyReport:
    outcome = push.outcome
    rejected = sum(outcome.rejected.values())
    sent = len(outcome.accepted) + rejected
    return ApplyReport(
        plan_id=push.plan.plan_id,
        org=push.crm.org,
        status=status,
        created=dict(outcome.created),
        updated=dict(outcome.updated),
        rejected=tuple(
            (*what, many) for what, many in sorted(outcome.rejected.items())
        ),
        suppressed=outcome.suppressed,
        unsent=max(outcome.unsent, 0),
        accepted=tuple(sorted(outcome.accepted)),
        calls=Calls(
            push.crm.calls.sign_ins - before.sign_ins,
            push.crm.calls.reads - before.reads,
            push.crm.calls.writes - before.writes,
        ),
        red=bool(sent) and rejected / sent > push.config.guards.rejects_share,
    )
