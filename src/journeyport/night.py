"""The steps of a night, each over all accounts: one failing account stops no other.

What goes wrong for an account is written into the state and carried on past; the last
step looks there and ends the run red. Each step is what one asset calls.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

from journeyport import extract, normalise
from journeyport.client import SourceClient
from journeyport.clock import Clock
from journeyport.errors import JourneyportError, LeaseError
from journeyport.extract import (
    ExtractOptions,
    IdentifierTypes,
    LandReport,
    NightReport,
)
from journeyport.extract.landing import lease_name
from journeyport.lake import Lake
from journeyport.normalise import AccountRules, DayReport
from journeyport.state import State, drift, failures, leases, pending, rejects, windows
from journeyport.state.failures import Failure
from journeyport.state.receipts import Actor
from journeyport.tables import AGENTS, IDENTIFIER_TYPES, QUEUES

DIRECTORY = (IDENTIFIER_TYPES, AGENTS, QUEUES)
"""Small tables over all days: what the account knows, not what happened."""

Progress = Callable[[str, int, int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """What every step of one run shares.

    Attributes:
        lake: the lake.
        state: the state.
        clock: the time.
        run_id: the run; a run that repeats a failed one goes on under its id.
        progress: told how far a step is.
        actor: who started it, for the receipts.
    """

    lake: Lake
    state: State
    clock: Clock
    run_id: str
    progress: Progress | None = None
    actor: Actor = field(default_factory=Actor)

    def each(
        self, stage: str, accounts: Iterable[str], work: Callable[[str], T]
    ) -> dict[str, T]:
        """Do the work for each account; those that fail are written down.

        Raises:
            JourneyportError: all accounts failed; the first one's error.
        """
        done: dict[str, T] = {}
        failed: list[Failure] = []
        first: JourneyportError | None = None
        for account in accounts:
            try:
                done[account] = work(account)
            except JourneyportError as error:
                first = first or error
                failed.append(Failure(stage, account, None, str(error)))
        self.fail(stage, failed)
        if first is not None and not done:
            raise first
        return done

    def fail(self, stage: str, failed: Sequence[Failure]) -> None:
        """Write down what went wrong in a stage, in place of what stood there."""
        failures.replace(self.state, self.run_id, stage, failed, now=self.clock.now())


def span(first: date, last: date) -> list[date]:
    """Every day from the first to the last, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def days(
    state: State, clock: Clock, accounts: Sequence[str], options: ExtractOptions
) -> list[date]:
    """The days of tonight, from the rearmost account's first to the one still open."""
    end = clock.now() - options.settle
    wanted = [
        day
        for account in accounts
        for day in extract.nightly_days(state, account, end, options)
    ]
    return span(min(wanted), max(wanted))


@dataclass
class Made:
    """What making the tables came to.

    Attributes:
        reports: one per account-day made.
    """

    reports: list[DayReport] = field(default_factory=list)

    @property
    def changed(self) -> set[date]:
        """The days of which some file changed."""
        return {report.day for report in self.reports if report.changed}

    def told(self) -> dict[str, Any]:
        """For the one line that a command ends with."""
        total: Counter[str] = Counter()
        drift: Counter[str] = Counter()
        stale: defaultdict[str, set[str]] = defaultdict(set)
        for report in self.reports:
            total.update(report.rows)
            drift.update(report.drift)
            for why in report.stale:
                stale[why].add(report.day.isoformat())
        return {
            "account_days": len(self.reports),
            "changed": sum(report.changed for report in self.reports),
            "rows": dict(total),
            "rejected": sum(len(report.rejects) for report in self.reports),
            "drift": dict(drift),
            "stale": {why: sorted(days) for why, days in sorted(stale.items())},
        }


@dataclass(frozen=True)
class Landed:
    """What came from the source.

    Attributes:
        reports: each account's walk.
        types: each account's identifier types.
    """

    reports: Mapping[str, LandReport | NightReport] = field(default_factory=dict)
    types: Mapping[str, IdentifierTypes] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What a person should know though nothing failed."""
        found = [one.warning for one in self.types.values() if one.warning]
        return [
            *found,
            *(text for one in self.reports.values() for text in one.warnings),
        ]

    @property
    def touched(self) -> list[tuple[str, date]]:
        """The account-days that were walked, or for which something else came."""
        return sorted(
            pair for report in self.reports.values() for pair in report.touched
        )

    def told(self) -> dict[str, Any]:
        """For the one line that a command ends with."""
        landings = [one for report in self.reports.values() for one in report.days]
        loads = {
            account: asdict(report.backlog)
            for account, report in self.reports.items()
            if isinstance(report, NightReport) and report.backlog.left
        }
        return {
            "calls": sum(sum(one.calls.values()) for one in self.reports.values()),
            "rows": sum(one.rows for one in landings),
            "new_versions": sum(one.new_versions for one in landings),
            "windows": sum(one.windows for one in landings),
            "account_days": dict(Counter(one.status for one in landings)),
            **({"load": loads} if loads else {}),
        }


def land(
    run: Run,
    source: SourceClient,
    *,
    accounts: Sequence[str],
    days: Sequence[date] | None,
    options: ExtractOptions,
    strengths: Mapping[str, str],
) -> Landed:
    """Ask the source for every account and land what is new.

    A day that could not be proved, and a walk that was stopped, count as failures.

    Args:
        run: the run.
        source: the source.
        accounts: the accounts.
        days: exactly these days, those not proved yet first, so that a load repeated
            within a budget goes on where it stopped; None: what a night asks for,
            which is the look-back and then the cheaper reads.
        options: how to extract.
        strengths: our identifier strengths, by type.
    """
    types: dict[str, IdentifierTypes] = {}
    progress = _named(run.progress, "landing")

    def one(account: str) -> LandReport | NightReport:
        types[account] = extract.identifier_types(source, account, strengths)
        report: LandReport | NightReport
        if days is None:
            report = extract.nightly(
                source,
                run.lake,
                run.state,
                account=account,
                run_id=run.run_id,
                clock=run.clock,
                options=options,
                progress=progress,
            )
        else:
            report = extract.land(
                source,
                run.lake,
                run.state,
                account=account,
                days=_unproved_first(run.state, account, days),
                run_id=run.run_id,
                clock=run.clock,
                options=options,
                progress=progress,
            )
        pending.note(run.state, report.touched)
        return report

    turns = extract.in_turn(source, run.state, accounts, run.clock, options)
    reports = run.each("landing", turns, one)
    wrong = [
        Failure("proof", account, landing.day, landing.unproved(account))
        for account, report in reports.items()
        for landing in report.days
        if landing.status == windows.HELD
    ]
    wrong += [
        Failure("proof", account, None, sentence)
        for account, report in reports.items()
        for sentence in report.wrong
    ]
    run.fail("proof", wrong)
    return Landed(reports, types)


def _unproved_first(state: State, account: str, days: Sequence[date]) -> list[date]:
    done = {
        walked.day
        for walked in windows.days_of(state, account)
        if walked.status in {windows.PROVED, windows.RELEASED}
    }
    return sorted(days, key=lambda day: day in done)


def conform(
    run: Run,
    *,
    rules: Sequence[AccountRules],
    days: Sequence[date] | None,
    strengths: Mapping[str, str],
    policy: str,
    landed: Landed | None,
) -> Made:
    """Make the tables of these days, of those that have none, and where something came.

    Each day's certificate is issued as soon as its files are there to be named in it.

    Args:
        run: the run.
        rules: how each account's documents are read.
        days: these days; None: those that were written under other rules than now.
        strengths: our identifier strengths, by type.
        policy: the field policy in force.
        landed: what came from the source in this run.
    """
    made = Made()

    def one(account: AccountRules) -> None:
        name = account.account_id
        raw = set(run.lake.raw_days(name))
        there = raw | {walked.day for walked in windows.days_of(run.state, name)}
        used = _strengths(run.lake, name, strengths, landed)
        chosen = set(pending.of(run.state, name)) | raw - set(run.lake.days(name))
        if days is None:
            chosen |= set(normalise.stale_days(run.lake, account, used))
        else:
            chosen |= set(days) & there
        wanted = sorted(chosen)
        reports = normalise.conform_days(
            run.lake,
            account,
            _leased(run, name, wanted),
            run_id=run.run_id,
            strengths=used,
            policy=policy,
        )
        for number, report in enumerate(reports, start=1):
            rejects.replace_day(
                run.state,
                name,
                "normalise",
                report.day,
                report.rejects,
                run_id=run.run_id,
                now=run.clock.now(),
            )
            _note_drift(run, report)
            extract.certify(
                run.lake,
                run.state,
                name,
                [report.day],
                run_id=run.run_id,
                clock=run.clock,
            )
            pending.done(run.state, name, [report.day])
            made.reports.append(report)
            if run.progress:
                run.progress(f"tables {name}", number, len(wanted))

    by_name = {account.account_id: account for account in rules}
    run.each("tables", by_name, lambda name: one(by_name[name]))
    extract.publish(run.lake, run.state, run.run_id)
    return made


def _note_drift(run: Run, made: DayReport) -> None:
    now, names = run.clock.now(), made.drift
    drift.note(run.state, made.account, made.day, names, run_id=run.run_id, now=now)


def _leased(run: Run, account: str, wanted: Iterable[date]) -> Iterator[date]:
    """Each day, held for as long as its tables are being made.

    A day that another run holds is left to that run, which makes its tables too.
    """
    for day in wanted:
        name = lease_name(account, day)
        lease = leases.held(run.state, [name], run_id=run.run_id, clock=run.clock)
        with ExitStack() as stack:
            try:
                stack.enter_context(lease)
            except LeaseError:
                continue
            yield day


def day_rows(lake: Lake, accounts: Iterable[str], day: date) -> Counter[str]:
    """Rows per daily table of one day, over all accounts."""
    rows: Counter[str] = Counter()
    for account in accounts:
        manifest = lake.manifest(account, day)
        if manifest is not None:
            rows.update({name: one.rows for name, one in manifest.tables.items()})
    return rows


def directory(
    run: Run, landed: Landed | None, *, accounts: Sequence[str]
) -> dict[str, int]:
    """Write the tables of identifier types, agents and queues; rows per table."""
    if landed is not None and landed.types:
        found = list(landed.types.values())
        extract.write_identifier_types(run.lake, found, run_id=run.run_id)
    normalise.conform_snapshots(run.lake, accounts, run_id=run.run_id)
    rows = {}
    for table in DIRECTORY:
        manifest = run.lake.snapshot_manifest(table.name)
        rows[table.name] = manifest.tables[table.name].rows if manifest else 0
    return rows


def _strengths(
    lake: Lake, account: str, configured: Mapping[str, str], landed: Landed | None
) -> dict[str, str]:
    """The strengths in use: as read in this run, else as last used, else configured."""
    found = landed.types.get(account) if landed is not None else None
    if found is not None and not found.warning:  # what was refused says nothing new
        return found.strengths
    last = max(lake.days(account), default=None)
    manifest = lake.manifest(account, last) if last is not None else None
    used = manifest.facts.get("strengths", {}) if manifest is not None else {}
    return {**used, **configured}


def _named(progress: Progress | None, what: str) -> Progress | None:
    if progress is None:
        return None
    return lambda name, done, total: progress(f"{what} {name}", done, total)
