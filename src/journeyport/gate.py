"""Which account-days may be delivered: by their certificates, and by the guards.

What the guards look for is in `guards`; what a run does with the answer, in `delivery`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from journeyport import guards
from journeyport.checklist import RULES
from journeyport.guards import Verdict
from journeyport.night import Run
from journeyport.state import certificates, failures, windows
from journeyport.state.failures import Failure

DELIVERABLE = (windows.PROVED, windows.PARTIAL, windows.RELEASED)
"""The certificates under which an account-day may be delivered."""

OUTDATED = "OUTDATED"
"""The files are no longer those that the certificate names."""


@dataclass(frozen=True)
class Checked:
    """What may be delivered of some account-days, and what may not.

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
    def held(self) -> set[tuple[str, date]]:
        """The account-days that may not."""
        return {*self.statuses} - {*self.fit}

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
    run: Run, account_days: Iterable[tuple[str, date]] | None, *, shrink_limit: float
) -> Checked:
    """Look up the certificates of account-days and let the guards judge them.

    Args:
        run: the run.
        account_days: these; None: all that the lake holds.
        shrink_limit: see `guards`.
    """
    wanted = list(_all(run) if account_days is None else account_days)
    verdicts = guards.judge(
        run.lake,
        run.state,
        wanted,
        shrink_limit=shrink_limit,
        run_id=run.run_id,
        clock=run.clock,
    )
    return Checked({each: _status(run, *each) for each in wanted}, tuple(verdicts))


def guard(
    run: Run, account_days: Iterable[tuple[str, date]] | None, *, shrink_limit: float
) -> Checked:
    """Check account-days before delivery; what is held back counts as a failure.

    Args:
        run: the run.
        account_days: see `check`.
        shrink_limit: see `guards`.
    """
    checked = check(run, account_days, shrink_limit=shrink_limit)
    wrong = [
        Failure(
            "guards",
            verdict.account,
            verdict.day,
            f"{verdict.day} of account {verdict.account} is held back: "
            f"{finding.rows} row(s) of {finding.table} break the rule "
            f'"{RULES[finding.rule]}" Look at that table, then export the day '
            "again, or release it with a reason.",
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


def _all(run: Run) -> list[tuple[str, date]]:
    return [
        (account, day)
        for account in run.lake.accounts()
        for day in run.lake.days(account)
    ]


def _status(run: Run, account: str, day: date) -> str | None:
    held = certificates.latest(run.state, account, day)
    manifest = run.lake.manifest(account, day)
    if held is None or manifest is None:
        return None
    document = json.loads(held.document)
    named = {one["table"]: one["sha256"] for one in document["files"]}
    there = {name: facts.sha256 for name, facts in manifest.tables.items()}
    return document["status"] if named == there else OUTDATED


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
