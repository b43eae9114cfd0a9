"""What a night does once the tables are made: resolve, deliver, end.

Only account-days that are proved and sound are delivered (see `gate`); the others are
held back and named, and the run ends red by them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from journeyport import crm, extract, gate, identity, receipts, warehouse
from journeyport.crm import ApplyReport, CrmConfig
from journeyport.errors import NotProvedError
from journeyport.gate import Checked
from journeyport.identity import IdentityConfig, IdentityReport
from journeyport.night import Run
from journeyport.state import crm_plans, failures
from journeyport.state.receipts import Receipt
from journeyport.tables import CUSTOMER_CRM_IDS, OPERATIONS
from journeyport.warehouse import LoadReport


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
    tables: Sequence[str] | None = None,
    rewrite: bool = False,
) -> LoadReport:
    """Bring the warehouse to where the lake is, but for what is held back.

    Days that may not be delivered keep what the warehouse has of them, whichever days
    are asked for: the snapshots, which are loaded whole, hold rows of them all. Those
    that were asked for count as failures.

    Args:
        run: the run.
        url: the warehouse.
        account_days: those to load; None: all that the lake holds.
        shrink_limit: see `guards`.
        tables: their names; None: all.
        rewrite: write the rows anew, whatever hash they carry.

    Raises:
        NotProvedError: not one of the account-days may be delivered.
    """
    checked = _passed(run, account_days, shrink_limit, "loaded")
    if run.lake.snapshot_manifest(CUSTOMER_CRM_IDS.name) is None:  # as when restored
        crm.publish(run.lake, run.state, run_id=run.run_id)
    return warehouse.load(
        run.lake,
        url,
        # None lets the warehouse say itself which files it does not have yet.
        days=None if account_days is None else checked.fit,
        except_days=checked.held
        if account_days is None
        else gate.check(run, None, shrink_limit=shrink_limit).held,
        state=run.state,
        run_id=run.run_id,
        clock=run.clock,
        progress=run.progress,
        tables=tables,
        rewrite=rewrite,
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

    Raises:
        NotProvedError: not one of the account-days may be delivered.
    """
    if config is None:
        return {"skipped": "No CRM is set up: JOURNEYPORT_SALESFORCE_* is not set."}
    chosen = _passed(run, account_days, shrink_limit, "planned").fit
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
            ended=lambda applied: receipt_of_plan(
                run, "APPLY", applied.facts, "The night applied its plan."
            ),
        )
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


def _passed(
    run: Run,
    account_days: Iterable[tuple[str, date]] | None,
    shrink_limit: float,
    done: str,
) -> Checked:
    checked = gate.guard(run, account_days, shrink_limit=shrink_limit)
    if checked.statuses and not checked.fit:
        raise NotProvedError(
            "None of the chosen account-days is proved and sound, so nothing was "
            f"{done}; export them again, or release them with a reason."
        )
    return checked


def apply_crm(
    run: Run,
    config: CrmConfig,
    url: str,
    *,
    plan_id: str,
    reason: str,
    confirm: bool,
    shrink_limit: float,
) -> ApplyReport:
    """Apply a plan to the CRM, and tell lake and warehouse what was matched to what.

    Args:
        run: the run.
        config: the CRM.
        url: the warehouse.
        plan_id: the plan.
        reason: why; kept with the approval.
        confirm: the first records were looked at.
        shrink_limit: see `guards`.
    """
    mapping = crm.load_mapping(config.mapping_path)
    reports: list[ApplyReport] = []
    try:
        with crm.connect(config) as org:
            return crm.apply_plan(
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
                ended=reports.append,
            )
    finally:  # one that broke off wrote too
        for report in reports:
            receipt_of_plan(run, "APPLY", report.facts, reason)
            publish_crm(run, url, shrink_limit=shrink_limit)


def receipt_of_plan(
    run: Run, action: str, facts: Mapping[str, Any], reason: str
) -> None:
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
        Receipt(
            action,
            run.clock.now(),
            run.actor,
            run.run_id,
            reason,
            plan_id=facts["plan"],
            org_id=facts["org"],
            counts={k: v for k, v in facts.items() if k not in {"plan", "org"}},
            job_ids=crm_plans.job_ids(run.state, facts["plan"]),
        ),
    )


def publish_crm(run: Run, url: str, *, shrink_limit: float) -> None:
    """Tell lake and warehouse what was matched and what was refused."""
    crm.publish(run.lake, run.state, run_id=run.run_id)
    extract.publish(run.lake, run.state, run.run_id)
    warehouse.load(
        run.lake,
        url,
        days=[],
        except_days=gate.check(run, None, shrink_limit=shrink_limit).held,
        state=run.state,
        run_id=run.run_id,
        clock=run.clock,
    )


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
    crm.publish(run.lake, run.state, run_id=run.run_id)
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
