"""The CRM's five jobs, one function each: check, plan, apply, undo, verify.

Each is called by a command and by a job of the orchestrator, and each comes back with
one paragraph, counts and the rows' file. No paragraph, count or fact holds a value of
anybody; the rows' file does, and only its owner reads it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import product

from journeyport import crm, delivery, gate, receipts, runs
from journeyport.crm import CrmConfig, rowsfile
from journeyport.crm.planfile import load
from journeyport.crm.protocol import Crm
from journeyport.crm.told import Told, listed, named, planned, planned_rows
from journeyport.deployment import Deployment
from journeyport.errors import ArgumentError, NotProvedError, SettingsError
from journeyport.night import Run, span
from journeyport.state.receipts import Receipt

__all__ = [
    "Told",
    "apply",
    "check",
    "named",
    "plan",
    "suppress",
    "target",
    "undo",
    "unsuppress",
    "verify",
]


def target(place: Deployment) -> str:
    """The org that the settings name, without asking it; for a job's description."""
    config = place.crm
    return "no CRM (none is set up)" if config is None else config.login.domain


def check(place: Deployment) -> Told:
    """Look whether the org fits the mapping. Writes nothing."""
    with signed_in(place) as (config, org):
        mapping = crm.load_mapping(config.mapping_path)
        report = crm.check(org, mapping, place.lake)
    rows = {
        level.lower(): sum(line.level == level for line in report.lines)
        for level in ("ERROR", "WARNING", "NOTE")
    }
    state = "ready" if report.ok else "not ready: each ERROR line names its remedy"
    paragraph = (
        f"Wrote nothing. {named(report.org)} is {state}; {listed(rows)} among the "
        "findings."
    )
    return Told(
        org=report.org,
        wrote=False,
        ok=report.ok,
        paragraph=paragraph,
        rows=rows,
        file=None,
        plan_id=None,
        details=report.text(),
        facts=report.facts,
    )


def plan(
    place: Deployment,
    run: Run,
    *,
    start: str | None = None,
    end: str | None = None,
    last_month: bool = False,
    reason: str = "",
) -> Told:
    """Plan what an apply would write, for some days or for all. Writes nothing.

    Args:
        place: the installation.
        run: the run.
        start: the first UTC day, YYYY-MM-DD; without any day, all that there is.
        end: the last UTC day, included; without it, the first day alone.
        last_month: the days of the calendar month that ended last, instead.
        reason: what for; kept with the plan.

    Raises:
        ArgumentError: the days make no sense, or lie in the future.
        NotProvedError: none of the chosen account-days may be delivered.
        SettingsError: no CRM is set up, or the mapping does not fit the org.
    """
    config = configured(place)
    wanted = _wanted(place, start, end, last_month=last_month)
    chosen = gate.check(run, wanted, shrink_limit=place.settings.shrink_limit).fit
    if wanted and not chosen:
        raise NotProvedError(
            "None of the chosen account-days is proved and sound, so there is nothing "
            "to plan; export them, or release them with a reason."
        )
    with crm.connect(config) as org:
        made = crm.make_plan(
            place.lake,
            place.state,
            org,
            crm.load_mapping(config.mapping_path),
            config,
            days=chosen,
            run_id=run.run_id,
            clock=place.clock,
            reason=reason,
            progress=run.progress,
        )
    held = len(wanted) - len(chosen)
    days = f"{len(chosen)} account-days"
    if held:
        days += f" ({held} more are not proved and are left out)"
    return Told(
        org=made.org,
        wrote=False,
        ok=not made.refusals,
        paragraph=planned(made, days),
        rows=planned_rows(made),
        file=rowsfile.path_of(made),
        plan_id=made.plan_id,
        details=made.text(),
        facts={**made.facts, "account_days": len(chosen), "left_out": held},
    )


def apply(
    place: Deployment, run: Run, *, plan_id: str, reason: str, confirm: bool = False
) -> Told:
    """WRITES TO THE ORG what a plan says; the first time 25 records, then it stops.

    Args:
        place: the installation.
        run: the run.
        plan_id: the plan.
        reason: why; kept with the approval.
        confirm: the first records were looked at in the org and are right.

    Raises:
        ArgumentError: no such plan, or no reason.
        StaleError: what was planned no longer holds.
        LeaseError: another run writes to this org.
        PermanentError: a guard forbids it.
        SettingsError: no CRM is set up.
    """
    config = configured(place)
    report = delivery.apply_crm(
        run,
        config,
        place.warehouse_url,
        plan_id=plan_id,
        reason=reason,
        confirm=confirm,
        shrink_limit=place.settings.shrink_limit,
    )
    rows: dict[str, int] = {}
    for what, counts in (("made", report.created), ("changed", report.updated)):
        rows |= {f"{name} {what}": many for name, many in counts.items() if many}
    rows["rejected"] = sum(many for *_, many in report.rejected)
    rows["kept back"] = report.suppressed
    rows["still to be sent"] = report.unsent
    told = f"Wrote to {named(report.org)}: {listed(rows)}"
    if not report.writes:
        told = f"Wrote nothing to {named(report.org)} this time: {listed(rows)}"
    tail = {
        "APPLIED": "The plan is applied.",
        "PARTIAL": "Not all of it is sent: apply the same plan again.",
        "AWAITING_CONFIRMATION": (
            "These are the first records in this org: look at them there, then apply "
            "the same plan again with the confirmation."
        ),
    }[report.status]
    return Told(
        org=report.org,
        wrote=bool(report.writes),
        ok=not report.red and report.status != "PARTIAL",
        paragraph=f"{told}, with {report.calls.writes} write calls. {tail}",
        rows=rows,
        file=rowsfile.path_of(load(config.plan_dir, plan_id)),
        plan_id=plan_id,
        details=report.text(),
        facts=report.facts,
    )


def undo(place: Deployment, run: Run, *, plan_id: str, reason: str) -> Told:
    """WRITES TO THE ORG: restores what an apply changed and nobody changed since.

    Args:
        place: the installation.
        run: the run.
        plan_id: the applied plan.
        reason: why.

    Raises:
        ArgumentError: no such plan, or no reason.
        StaleError: it was not applied, or not in this org.
        LeaseError: another run writes to this org.
        SettingsError: no CRM is set up.
    """
    limit = place.settings.shrink_limit
    reports: list[crm.UndoReport] = []
    try:
        with signed_in(place) as (config, org):
            report = crm.undo(
                plan_id,
                reason,
                state=place.state,
                crm=org,
                config=config,
                run_id=run.run_id,
                clock=place.clock,
                ended=reports.append,
            )
    finally:  # one that broke off wrote too
        for one in reports:
            delivery.receipt_of_plan(run, "UNDO", one.facts, reason)
            delivery.publish_crm(run, place.warehouse_url, shrink_limit=limit)
    rows: dict[str, int] = {}
    for what, counts in (("restored", report.restored), ("deleted", report.deleted)):
        rows |= {f"{name} {what}": many for name, many in counts.items() if many}
    rows["left as they are"] = sum(report.kept.values())
    rows["fields left to people"] = report.edits
    rows["rejected"] = sum(report.rejected.values())
    return Told(
        org=report.org,
        wrote=bool(report.restored or report.deleted),
        ok=not report.rejected,
        paragraph=(
            f"Took plan {plan_id} back in {named(report.org)}: {listed(rows)}. The "
            "night only plans until an apply is approved again."
        ),
        rows=rows,
        file=rowsfile.path_of(load(config.plan_dir, plan_id)),
        plan_id=plan_id,
        details=report.text(),
        facts=report.facts,
    )


def verify(place: Deployment) -> Told:
    """Compare the org with what it accepted. Writes nothing."""
    with signed_in(place) as (config, org):
        mapping = crm.load_mapping(config.mapping_path)
        report = crm.verify(place.lake, place.state, org, mapping, clock=place.clock)
    file = None
    if report.findings:
        now = place.clock.now()
        file = rowsfile.write_findings(config.plan_dir, report.findings, now)
    rows = {
        f"{name} {what}": many
        for name, counts in report.counts.items()
        for what, many in counts.items()
        if many
    }
    state = "is in step" if report.ok else "drifted; the next plan mends what is ours"
    return Told(
        org=report.org,
        wrote=False,
        ok=report.ok,
        paragraph=(
            f"Wrote nothing. {named(report.org)} {state}: "
            f"{listed(rows, 'nothing was ever sent')}."
        ),
        rows=rows,
        file=file,
        plan_id=None,
        details="\n".join([report.text(), *([f"  records: {file}"] if file else [])]),
        facts=report.facts,
    )


def suppress(run: Run, subject: str, *, author: str, reason: str) -> bool:
    """Keep a customer or a record out of the CRM; see `crm.suppress`.

    Returns:
        Whether a customer, or a record that was sent, goes by the subject.
    """
    crm.suppress(run.state, subject, author=author, reason=reason, clock=run.clock)
    _kept(run, "SUPPRESS", reason)
    return crm.is_known(run.lake, run.state, subject)


def unsuppress(run: Run, subject: str, *, reason: str) -> None:
    """Let a customer or a record pass again.

    Raises:
        ArgumentError: it was not kept back, or no reason is given.
    """
    if not reason.strip():
        raise ArgumentError("Say in a few words why it may pass again.")
    crm.unsuppress(run.state, subject)
    _kept(run, "UNSUPPRESS", reason)


def _kept(run: Run, action: str, reason: str) -> None:
    """A receipt; it does not say about whom, for it is published in the lake."""
    receipts.write(
        run.lake,
        run.state,
        Receipt(action, run.clock.now(), run.actor, run.run_id, reason),
    )


def configured(place: Deployment) -> CrmConfig:
    """The CRM of the installation.

    Raises:
        SettingsError: none is set up.
    """
    config = place.crm
    if config is None:
        raise SettingsError(
            "No CRM is set up: set JOURNEYPORT_SALESFORCE_DOMAIN and the other "
            "JOURNEYPORT_SALESFORCE_ settings; .env.example says who knows them."
        )
    return config


@contextmanager
def signed_in(place: Deployment) -> Iterator[tuple[CrmConfig, Crm]]:
    """The CRM, signed in to."""
    config = configured(place)
    with crm.connect(config) as org:
        yield config, org


def last_month_of(today: date) -> tuple[date, date]:
    """The first and the last day of the calendar month before today's."""
    last = today.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


def _wanted(
    place: Deployment, start: str | None, end: str | None, *, last_month: bool
) -> list[tuple[str, date]]:
    """The account-days that were asked for; unasked, all that the lake holds.

    Raises:
        ArgumentError: the days make no sense.
    """
    if last_month and (start or end):
        raise ArgumentError("Choose days or the last month, not both.")
    if last_month:
        first, last = last_month_of(runs.today(place.clock))
    elif start:
        first, last = runs.days(place, start, end or start)
    elif end:
        raise ArgumentError(f"--to {end} needs a --from; name the first day, too.")
    else:
        lake = place.lake
        return [(one, day) for one in lake.accounts() for day in lake.days(one)]
    return [*product(place.accounts, span(first, last))]
