"""What a night does once the tables are made: guard, resolve, deliver, end.

Only account-days that are proved and sound are delivered; the others are held back and
named, and the run ends red by them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from journeyport import crm, extract, guards, identity, receipts, warehouse
from journeyport.checklist import RULES
from journeyport.crm import ApplyReport, CrmConfig
from journeyport.errors import NotProvedError
from journeyport.guards import Verdict
from journeyport.identity import IdentityConfig, IdentityReport
from journeyport.night import Landed, Run
from journeyport.state import certificates, crm_plans, failures, windows
from journeyport.state.failures import Failure
from journeyport.tables import OPERATIONS
from journeyport.warehouse import LoadReport

DELIVERABLE = (windows.PROVED, windows.PARTIAL, windows.RELEASED)
"""The certificates under which an account-day may be delivered."""


OUTDATED = "OUTDATED"
"""The files are no longer those that the certificate names."""


@dataclass(frozen=True)
class Checked:
    """What may be delivered of the account-days asked for, and what may not.

    Attributes:
        statuses: each account-day's certificate, or OUTDATED; None: it has none.
        verdicts: what the guards said.
    """

    statuses: dict[tuple[str, date], str | None]
    verdicts: tuple[Verdict, ...]

    @property
    def fit(self) -> list[tuple[str, date]]:
        """The account-days that may be delivered."""
        return [
            (one.account, one.day)
            for one in self.verdicts
            if one.sound and self.statuses[one.account, one.day] in DELIVERABLE
        ]

    @property
    def unproved(self) -> list[tuple[str, date]]:
        """The account-days without a certificate that lets them pass."""
        return [key for key, one in self.statuses.items() if one not in DELIVERABLE]

    def broken(self, rule: str, table: str) -> list[tuple[str, date, int]]:
        """Where a table breaks a rule, and in how many rows."""
        return [
            (verdict.account, verdict.day, finding.rows)
            for verdict in self.verdicts
            for finding in verdict.findings
            if (finding.rule, finding.table) == (rule, table)
        ]


def check(
    run: Run, account_days: Iterable[tuple[str, date]], *, shrink_limit: float
) -> Checked:
    """Look up the certificates of account-days and let the guards judge them."""
    wanted = list(account_days)
    statuses: dict[tuple[str, date], str | None] = {}
    for account, day in wanted:
        statuses[account, day] = _status(run, account, day)
    verdicts = guards.judge(
        run.lake,
        run.state,
        wanted,
        shrink_limit=shrink_limit,
        run_id=run.run_id,
        clock=run.clock,
    )
    return Checked(statuses, tuple(verdicts))


def fit(
    run: Run, account_days: Iterable[tuple[str, date]] | None, *, shrink_limit: float
) -> list[tuple[str, date]]:
    """The account-days that may be delivered, of these or of all that there are."""
    wanted = list(_all(run) if account_days is None else account_days)
    return check(run, wanted, shrink_limit=shrink_limit).fit


def guard(
    run: Run, *, account_days: Iterable[tuple[str, date]], shrink_limit: float
) -> Checked:
    """Check account-days before delivery; what is held back counts as a failure."""
    checked = check(run, account_days, shrink_limit=shrink_limit)
    wrong = [
        Failure(
            "guards",
            verdict.account,
            verdict.day,
            f"{verdict.day} of account {verdict.account} is held back: "
            f"{finding.rows} row(s) of {finding.table} break the rule "
            f'"{RULES[finding.rule]}" Look at that table, then export the day '
            "again.",
        )
        for verdict in checked.verdicts
        for finding in verdict.findings
    ]
    known = {
        (one.account, one.day)
        for one in failures.of_run(run.state, run.run_id)
        if one.stage != "guards"
    }
    wrong += [
        Failure("guards", account, day, _unproved(account, day, checked))
        for account, day in checked.unproved
        if not {(account, day), (account, None)} & known
    ]
    run.fail("guards", wrong)
    return checked


def resolve(
    run: Run, config: IdentityConfig, *, accounts: Sequence[str]
) -> IdentityReport:
    """Resolve the accounts and publish who is who."""
    return identity.resolve(
        run.lake,
        run.state,
        config,
        accounts=accounts,
        run_id=run.run_id,
        clock=run.clock,
        progress=run.progress,
    )


def load(
    run: Run,
    url: str,
    *,
    account_days: Iterable[tuple[str, date]] | None,
    shrink_limit: float,
) -> LoadReport:
    """Bring the warehouse to where the lake is, but for what is held back.

    Days that may not be delivered keep what the warehouse has of them, whichever days
    are asked for: the snapshots, which are loaded whole, hold rows of them all.

    Args:
        run: the run.
        url: the warehouse.
        account_days: those to load; None: all that the lake holds.
        shrink_limit: see `guards`.

    Raises:
        NotProvedError: not one of the account-days may be delivered.
    """
    wanted = list(_all(run) if account_days is None else account_days)
    passed = check(run, wanted, shrink_limit=shrink_limit).fit
    if wanted and not passed:
        raise NotProvedError(
            "None of the chosen account-days is proved and sound, so nothing was "
            "loaded; export them again, or release them with a reason."
        )
    return warehouse.load(
        run.lake,
        url,
        # None lets the warehouse say itself which files it does not have yet.
        days=None if account_days is None else passed,
        except_days={*wanted, *_unproved_days(run)} - {*passed},
        state=run.state,
        run_id=run.run_id,
        clock=run.clock,
        progress=run.progress,
    )


def plan_crm(
    run: Run,
    config: CrmConfig | None,
    *,
    account_days: Iterable[tuple[str, date]] | None,
    shrink_limit: float,
    may_apply: bool,
) -> dict[str, Any]:
    """Plan what the CRM would be given; apply it only in a night that was approved.

    Args:
        run: the run.
        config: the CRM; None: there is none.
        account_days: those to plan for; None: all that the lake holds.
        shrink_limit: see `guards`.
        may_apply: it is a night, and nobody started it by hand.

    Returns:
        What it came to, without a value of anybody; `skipped` where there is no CRM.
    """
    if config is None:
        return {"skipped": "No CRM is set up: JOURNEYPORT_SALESFORCE_* is not set."}
    chosen = fit(run, account_days, shrink_limit=shrink_limit)
    mapping = crm.load_mapping(config.mapping_path)
    _note_rules(run, {("CRM mapping", None): mapping.hash})
    if may_apply:
        report = crm.nightly(
            run.lake,
            run.state,
            config,
            days=chosen,
            run_id=run.run_id,
            clock=run.clock,
            progress=run.progress,
        )
        if report.applied is not None:
            receipt(run, "APPLY", report.applied.facts, "The night applied its plan.")
        return report.facts
    with crm.connect(config) as org:
        plan = crm.make_plan(
            run.lake,
            run.state,
            org,
            mapping,
            config,
            days=chosen,
            run_id=run.run_id,
            clock=run.clock,
            progress=run.progress,
        )
        return {"plan": plan.facts, "applied": None, "requests": org.calls.total}


def apply_crm(
    run: Run, config: CrmConfig, url: str, *, plan_id: str, reason: str, confirm: bool
) -> ApplyReport:
    """Apply a plan to the CRM, and tell lake and warehouse what was matched to what.

    Args:
        run: the run.
        config: the CRM.
        url: the warehouse.
        plan_id: the plan.
        reason: why; kept with the approval.
        confirm: the first records were looked at.
    """
    mapping = crm.load_mapping(config.mapping_path)
    with crm.connect(config) as org:
        report = crm.apply_plan(
            plan_id,
            reason,
            lake=run.lake,
            state=run.state,
            crm=org,
            mapping=mapping,
            config=config,
            run_id=run.run_id,
            clock=run.clock,
            confirm=confirm,
            progress=run.progress,
        )
    receipt(run, "APPLY", report.facts, reason)
    publish_crm(run, url)
    return report


def receipt(run: Run, action: str, facts: Mapping[str, Any], reason: str) -> None:
    """Keep who applied a plan, or took it back.

    Args:
        run: the run.
        action: APPLY or UNDO.
        facts: the report's: the plan, the org, and what came of it in counts.
        reason: why.
    """
    receipts.write(
        run.lake,
        run.state,
        run.clock,
        action=action,
        actor=run.actor,
        run_id=run.run_id,
        reason=reason,
        plan_id=facts["plan"],
        org_id=facts["org"],
        counts={k: v for k, v in facts.items() if k not in {"plan", "org"}},
        job_ids=crm_plans.job_ids(run.state, facts["plan"]),
    )


def publish_crm(run: Run, url: str) -> None:
    """Tell lake and warehouse what was matched and what was refused."""
    crm.publish(run.lake, run.state, run_id=run.run_id)
    extract.publish(run.lake, run.state, run.run_id)
    warehouse.load(
        run.lake,
        url,
        days=[],
        except_days=_unproved_days(run),
        state=run.state,
        run_id=run.run_id,
        clock=run.clock,
    )


def asked(
    landed: Landed | None,
    accounts: Sequence[str],
    days: Sequence[date],
    *,
    is_night: bool,
) -> list[tuple[str, date]]:
    """The account-days that a run is about.

    A night is about those it came across; whoever chose days, about exactly these.
    """
    if is_night and landed is not None:
        return landed.touched
    return [(account, day) for account in accounts for day in days]


def publish(
    run: Run, catalogue: Path, rules: Mapping[tuple[str, str | None], str]
) -> dict[str, int]:
    """Publish what the runs did, and the analysts' catalogue; rows per table.

    Args:
        run: the run.
        catalogue: the file of views over the lake.
        rules: see `receipts.note_rules`; those that the run went by.
    """
    extract.publish(run.lake, run.state, run.run_id)
    _note_rules(run, rules)
    receipts.publish(run.lake, run.state, run.run_id)
    warehouse.publish_ledger(run.lake, run.state, run_id=run.run_id)
    run.lake.write_catalogue(catalogue)
    rows = {}
    for table in OPERATIONS:
        manifest = run.lake.snapshot_manifest(table.name)
        rows[table.name] = manifest.tables[table.name].rows if manifest else 0
    return rows


def end(run: Run, others: Iterable[str] = ()) -> None:
    """End a run.

    Args:
        run: the run.
        others: the runs that it is the last one of.

    Raises:
        NotProvedError: something went wrong for an account; the others were served.
    """
    ids = dict.fromkeys((run.run_id, *others))
    wrong = [one for run_id in ids for one in failures.of_run(run.state, run_id)]
    if not wrong:
        return
    more = f" ({len(wrong) - 1} more below)" if len(wrong) > 1 else ""
    raise NotProvedError(
        f"The other accounts and days were served, but: {wrong[0].reason}{more}"
    )


def told(report: IdentityReport) -> dict[str, Any]:
    """What identity came to, for the one line that a command ends with."""
    return {
        name: {
            "engagements": dict(one.engagements),
            "customers": dict(one.customers),
            "refusals": dict(one.refusals),
            "version": one.version,
            "changed": one.changed,
        }
        for name, one in report.accounts.items()
    }


def _note_rules(run: Run, rules: Mapping[tuple[str, str | None], str]) -> None:
    receipts.note_rules(
        run.lake,
        run.state,
        run.clock,
        rules=rules,
        actor=run.actor,
        run_id=run.run_id,
    )


def _status(run: Run, account: str, day: date) -> str | None:
    held = certificates.latest(run.state, account, day)
    manifest = run.lake.manifest(account, day)
    if held is None or manifest is None:
        return None
    named = {one["table"]: one["sha256"] for one in json.loads(held.document)["files"]}
    there = {name: facts.sha256 for name, facts in manifest.tables.items()}
    return held.status if named == there else OUTDATED


def _unproved(account: str, day: date, checked: Checked) -> str:
    if checked.statuses[account, day] is None:
        return (
            f"{day} of account {account} was never proved complete, so it is held "
            "back; export it from the source."
        )
    if checked.statuses[account, day] == OUTDATED:
        return (
            f"{day} of account {account} is held back: its files are not those that "
            "its certificate names; export it again."
        )
    return (
        f"{day} of account {account} is held back: it could not be proved complete; "
        "export it again, or release it with a reason."
    )


def _unproved_days(run: Run) -> list[tuple[str, date]]:
    """The account-days of the lake without a certificate that lets them pass."""
    return [key for key in _all(run) if _status(run, *key) not in DELIVERABLE]


def _all(run: Run) -> list[tuple[str, date]]:
    return [
        (account, day)
        for account in run.lake.accounts()
        for day in run.lake.days(account)
    ]
