"""Carrying out a plan: whether it still holds, the first 25, the confirmation.

A plan is refused when the org, the mapping, the rows or the CRM's own values are no
longer those it was made from. Sending is `push`'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from journeyport.clock import Clock
from journeyport.crm import rowsfile
from journeyport.crm.booking import Outcome, Push, Refusal
from journeyport.crm.config import CrmConfig
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.outcome import APPLIED, AWAITING, PARTIAL, ApplyReport
from journeyport.crm.plan import Progress
from journeyport.crm.planfile import Action, load
from journeyport.crm.protocol import Calls, Crm
from journeyport.crm.push import refuse_while_jobs_run, resume, send_all
from journeyport.crm.stale import (
    refuse_changed_rows,
    refuse_changed_values,
    refuse_guarded,
    standing,
)
from journeyport.errors import ArgumentError
from journeyport.lake import Lake
from journeyport.state import State, leases, rejects
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.state.crm_plans import PlanRow
from journeyport.state.warehouse import record_delivery


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
    ended: Callable[[ApplyReport], None] | None = None,
) -> ApplyReport:
    """Carry out a plan.

    The first apply in an org writes a few records and stops; the same call with
    `confirm` goes on. Broken off, the same call takes up where it was. One that went
    through lets the nights apply by themselves, unless too much was refused.

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
        ended: given the report, also of an apply that breaks off on its way.

    Raises:
        ArgumentError: no such plan, or no reason.
        StaleError: what was planned no longer holds.
        PermanentError: a guard forbids it.
        TransientError: a job of another plan is still writing there.
        LeaseError: another run writes to this org.
    """
    if not reason.strip():
        raise ArgumentError("An apply needs a reason; say why in a few words.")
    plan = load(config.plan_dir, plan_id)
    row = standing(plan, state, crm, mapping, clock)
    names = [f"crm/{crm.org.id}/{rule.name}" for rule in mapping.objects]
    before = replace(crm.calls)
    with leases.held(state, names, run_id=run_id, clock=clock) as lease:
        refuse_while_jobs_run(crm, state, clock.now(), but=plan_id)
        push = Push(crm, state, config, mapping, plan, run_id, clock, lease, Outcome())
        status: str | None = None
        try:
            resume(push)
            left = _still_due(push)
            refuse_changed_rows(push, lake, left)
            left = refuse_changed_values(push, left)
            refuse_guarded(push, left)
            chosen = _chosen(push, left, confirm=confirm)
            if progress is not None:
                progress("apply", 0, len(chosen))
            send_all(push, chosen)
            status = APPLIED if chosen is left else AWAITING
        finally:  # broken off, what was written must be told all the same
            if status or push.outcome.accepted or crm.calls.writes > before.writes:
                report = _end(push, row, reason, status or PARTIAL, before)
                if ended is not None:
                    ended(report)
                rowsfile.write(plan, state)
    return report


def _still_due(push: Push) -> list[Action]:
    """What of the plan was neither accepted nor refused by an earlier call."""
    done = planned.writes(push.state, push.plan.plan_id)
    left = [a for a in push.plan.actions if a.number not in done]
    due: list[Action] = []
    for rule in push.mapping.objects:
        rests = memory.rests(push.state, push.org_id, rule.name)
        for action in left:
            if action.object_name != rule.name:
                continue
            rest = rests.get(action.key)
            is_resting = (
                rest is not None
                and rest.record_hash == action.hash
                and rest.next_at > push.clock.now()
            )
            if not is_resting:
                due.append(action)
    return due


def _chosen(push: Push, left: Sequence[Action], *, confirm: bool) -> Sequence[Action]:
    """All that is due; in an org not confirmed yet, the first few, then none."""
    if planned.is_confirmed(push.state, push.org_id):
        return left
    if planned.was_tried(push.state, push.org_id):
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


def _end(
    push: Push, row: PlanRow, reason: str, status: str, before: Calls
) -> ApplyReport:
    """Write down how the apply ended."""
    left = len(_still_due(push))
    push.outcome.unsent = left - push.outcome.suppressed
    is_red = _is_red(push, left)
    now = push.clock.now()
    if status == APPLIED and push.outcome.unsent > 0:
        status = PARTIAL
    with push.state.write() as connection:
        planned.put_plan(
            connection, replace(row, status=status, reason=reason, applied_at=now)
        )
        if status == APPLIED:
            if not is_red:
                planned.approve(
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
    return _report(push, status, before, is_red=is_red)


def _record_foreseen(push: Push) -> None:
    """Keep the records that were not sent because the CRM would refuse them."""
    by_account: dict[str, list[Refusal]] = {}
    for item in push.plan.foreseen:
        by_account.setdefault(item.account_id, []).append(
            Refusal(item.object_name, item.key, item.field, item.code, item.reason)
        )
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


def _report(push: Push, status: str, before: Calls, *, is_red: bool) -> ApplyReport:
    outcome = push.outcome
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
        red=is_red,
    )


def _is_red(push: Push, left: int) -> bool:
    """Whether more was refused than the guard allows, over all calls for this plan.

    What the CRM refused counts against what it was sent; what was foreseen as refused
    comes again each night, and counts against all that the plan looked at.
    """
    accepted = len(planned.writes(push.state, push.plan.plan_id))
    sent = len(push.plan.actions) - left
    looked_at = sum(
        count.get("wanted", 0) + count.get("unfit", 0)
        for count in push.plan.counts.values()
    )
    shares = [(sent - accepted, sent), (len(push.plan.foreseen), looked_at)]
    most = push.config.guards.rejects_share
    return any(many / of > most for many, of in shares if of)
