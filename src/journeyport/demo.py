"""`journeyport demo`: the main job against local servers, and what came of it.

The servers are set up in `rehearsal`; the night is the real one, through Dagster; the
CRM plan is applied as an administrator would: a first few, a look, then the rest.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from journeyport import delivery, environment, rehearsal, runs
from journeyport.console import Bars, note, shown
from journeyport.crm import ApplyReport
from journeyport.deployment import Deployment
from journeyport.errors import PermanentError
from journeyport.night import Run, day_rows
from journeyport.processes import end_on_signals
from journeyport.rehearsal import Plan, Stage
from journeyport.tables import DAILY

_REASON = "journeyport demo"


@dataclass
class Written:
    """What the CRM was given, over all applies of one demo.

    Attributes:
        created: records made, per object.
        updated: records changed, per object.
        rejected: records refused, foreseen ones included.
        first: how many the first, trial apply wrote.
    """

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    first: int = 0

    @property
    def writes(self) -> int:
        """Records written."""
        return self.created.total() + self.updated.total()

    def add(self, report: ApplyReport) -> None:
        """Count an apply."""
        self.created.update(report.created)
        self.updated.update(report.updated)
        self.rejected += sum(many for *_, many in report.rejected)


def run(plan: Plan, *, fresh: bool = False) -> int:
    """Run the demo and print its summary.

    Returns:
        0 when all was proved and delivered, else 1.

    Raises:
        ArgumentError: other data was asked for than is there.
        PermanentError: a server did not start, or a part failed.
    """
    end_on_signals()
    started = time.monotonic()
    home = rehearsal.folder()
    if fresh:
        rehearsal.forget(home)
    plan = rehearsal.settled(home, plan)
    note("Starting a Customer Journey service and a Salesforce sandbox …")
    with rehearsal.servers(home, plan) as (stage, _children):
        note(f"They listen on {stage.source_url} and {stage.org_url}, loopback only.")
        site = Deployment(lambda: environment.read(stage.environ))
        try:
            report = _night(site, stage)
            written = _apply(site, report["crm"])
            rows = _rows_held(site)
        finally:
            site.close()
    _summary(stage, report, rows, written, time.monotonic() - started)
    return 0


def _night(site: Deployment, stage: Stage) -> dict[str, Any]:
    outcome = runs.run(site, ["nightly"], environ=stage.environ, folder=stage.home)
    if outcome.code:
        report = outcome.report
        reasons = [str(one["reason"]) for one in report.get("failures", ())]
        why = (reasons or [report.get("error", "it does not say why.")])[0]
        raise PermanentError(
            f"The night failed: {why} Its words are in {stage.home / 'logs'}."
        )
    return outcome.report


def _apply(site: Deployment, told: dict[str, Any]) -> Written:
    """Apply tonight's plan as an administrator would: 25 records, a look, the rest."""
    written = Written(rejected=told["plan"]["rejects_foreseen"])
    planned = told["plan"]["creates"] + told["plan"]["updates"]
    if told.get("applied"):
        written.created.update(told["applied"]["created"])
        written.updated.update(told["applied"]["updated"])
        written.rejected += told["applied"]["rejected"]
        return written
    if not planned or site.crm is None:
        return written
    plan_id = str(told["plan"]["plan"])
    with Bars() as bars:
        work = Run(site.lake, site.state, site.clock, f"apply-{plan_id}", bars)
        for confirm in (False, True):
            report = delivery.apply_crm(
                work,
                site.crm,
                site.warehouse_url,
                plan_id=plan_id,
                reason=_REASON,
                confirm=confirm,
                shrink_limit=site.settings.shrink_limit,
            )
            written.add(report)
            if report.status != "AWAITING_CONFIRMATION":
                break
            written.first = report.writes
    return written


def _summary(
    stage: Stage,
    report: dict[str, Any],
    rows: Counter[str],
    written: Written,
    seconds: float,
) -> None:
    landing = report["landing"]
    data, plan = report["warehouse"]["data"], report["crm"]["plan"]
    changed = data["inserted"] + data["updated"] + data["deleted"]
    _rows(rows)
    proved = landing["account_days"]
    shown.print()
    facts = Table.grid(padding=(0, 2))
    facts.add_row(
        "source",
        f"{landing['calls']:,} calls, {landing['rows']:,} engagements, "
        f"{landing['new_versions']:,} new versions",
    )
    facts.add_row(
        "completeness",
        ", ".join(f"{proved[name]} account-days {name}" for name in sorted(proved)),
    )
    facts.add_row("customers", _customers(report["identity"]))
    facts.add_row(
        "warehouse",
        f"{data['inserted']:,} rows inserted, {data['updated']:,} updated, "
        f"{data['deleted']:,} deleted, {data['unchanged']:,} unchanged",
    )
    facts.add_row("CRM", _crm(plan, written))
    facts.add_row("files", str(stage.home))
    facts.add_row("took", f"{seconds:.0f} s")
    shown.print(facts)
    shown.print()
    if not stage.is_new:
        verdict = (
            "Nothing changed since the last run"
            if changed == 0 and written.writes == 0
            else "Something changed since the last run"
        )
        shown.print(
            f"[bold]{verdict}: {changed} changed rows in the warehouse, "
            f"{written.writes} writes to the CRM.[/bold]"
        )
    shown.print(
        "Next: [bold]journeyport up[/bold] shows all this in the Dagster UI; "
        "[bold]journeyport demo[/bold] again changes nothing."
    )


def _rows_held(site: Deployment) -> Counter[str]:
    """Rows per daily table, over everything that the lake holds."""
    rows: Counter[str] = Counter()
    for account in site.lake.accounts():
        for day in site.lake.days(account):
            rows += day_rows(site.lake, [account], day)
    return rows


def _rows(rows: Counter[str]) -> None:
    table = Table("table", "rows", title="The lake", title_justify="left")
    table.columns[1].justify = "right"
    for one in DAILY:
        table.add_row(one.name, f"{rows[one.name]:,}")
    shown.print(table)


def _customers(accounts: dict[str, Any]) -> str:
    customers: Counter[str] = Counter()
    engagements: Counter[str] = Counter()
    for one in accounts.values():
        customers.update(one["customers"])
        engagements.update(one["engagements"])
    return (
        f"{customers['RESOLVED']:,} resolved, "
        f"{customers['PROVISIONAL']:,} provisional; "
        f"{engagements['AMBIGUOUS']:,} engagements ambiguous, "
        f"{engagements['NONE']:,} without an identifier"
    )


def _crm(plan: dict[str, Any], written: Written) -> str:
    matches = ", ".join(f"{many:,} {name}" for name, many in plan["matches"].items())
    trial = f" ({written.first} first, then confirmed)" if written.first else ""
    return (
        f"customers matched: {matches or 'none'}; {written.created.total():,} records "
        f"created, {written.updated.total():,} updated{trial}, "
        f"{written.rejected:,} rejected; {plan['org_name']} ({plan['org_kind']})"
    )
