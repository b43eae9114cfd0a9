"""Asking a real account at most ten questions: which assumptions hold, what it costs.

Nothing is written. Every finding is one line; how they are shown is the caller's
matter.
"""

import math
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from journeyport.client import RefusedError, RoleError, SourceClient
from journeyport.errors import JourneyportError
from journeyport.extract.checks import ASSUMPTIONS, Breach, breaches
from journeyport.extract.opening import batches, day_bounds, searchable
from journeyport.extract.rules import ALL
from journeyport.wire import MILLISECOND, PAGE, Answer, Ask, Row, ceil_to

QUESTIONS = 10

_ROWS_A_CALL = 45
_REACH = timedelta(days=30)
_ROW_BYTES = 2_000
"""Bytes of a document where none came to be measured; a typical one."""

_KEPT = 0.51
_KEPT_DAY = 113_000
"""Bytes in the lake for a byte sent, and beside that for a day: raw documents and all
daily tables; a straight line through 28 account-days of 32 to 255 engagements."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: what was asked.
        holds: True, False, or None where it could not be told.
        told: what was seen, and what to do where it does not hold.
    """

    what: str
    holds: bool | None
    told: str

    @property
    def line(self) -> str:
        """As one line of text."""
        sign = {True: "ok  ", False: "NOT ", None: "?   "}[self.holds]
        return f"{sign} {self.what}: {self.told}"


@dataclass(frozen=True)
class Estimate:
    """What exporting a range of days takes.

    Attributes:
        first: the first day.
        last: the last day.
        engagements: as the source counts them.
        calls: questions, at 45 rows a call and one for each day.
        hours: at the rate a run starts with.
        bytes_sent: over the network, before compression.
        bytes_kept: in the lake.
        budget: calls a run may make; None: no limit.
    """

    first: date
    last: date
    engagements: int
    calls: int
    hours: float
    bytes_sent: int
    bytes_kept: int
    budget: int | None = None

    @property
    def nights(self) -> int | None:
        """Runs it takes within the budget of each; None: no limit."""
        return self.budget and math.ceil(self.calls / self.budget)

    @property
    def line(self) -> str:
        """As one line of text."""
        runs = (
            f"{self.nights:,} runs of JOURNEYPORT_CALL_BUDGET, "
            if self.budget is not None
            else ""
        )
        return (
            f"{self.first} to {self.last}: {self.engagements:,} engagements, about "
            f"{self.calls:,} calls, {runs}{self.hours:.1f} hours at the starting rate, "
            f"{self.bytes_sent / 1e6:,.0f} MB sent, {self.bytes_kept / 1e6:,.0f} MB "
            "kept"
        )


@dataclass
class Diagnosis:
    """What the doctor found of one account."""

    account: str
    findings: list[Finding] = field(default_factory=list)
    estimate: Estimate | None = None
    questions: int = 0

    @property
    def ok(self) -> bool:
        """Nothing that an export needs is missing."""
        return all(finding.holds is not False for finding in self.findings)

    @property
    def lines(self) -> list[str]:
        """All findings, then the estimate."""
        lines = [finding.line for finding in self.findings]
        return lines if self.estimate is None else [*lines, self.estimate.line]


def diagnose(
    source: SourceClient,
    account: str,
    *,
    first: date | None = None,
    last: date | None = None,
    channels: tuple[str, ...] = (),
) -> Diagnosis:
    """Ask at most ten questions and say which assumptions hold.

    Args:
        source: the source.
        account: the account.
        first: the first day to estimate an export for; None: no estimate.
        last: the last day; None: today.
        channels: to search by where dates alone are refused.
    """
    return _Doctor(source, account, channels).run(first, last)


@dataclass
class _Doctor:
    source: SourceClient
    account: str
    channels: tuple[str, ...]
    diagnosis: Diagnosis = field(init=False)

    def __post_init__(self) -> None:
        self.diagnosis = Diagnosis(self.account)

    def run(self, first: date | None, last: date | None) -> Diagnosis:
        """Question after question; the first that is refused ends it."""
        before = self.source.tally.total
        try:
            self._examine(first, last)
        except JourneyportError as error:
            self._find("the source answers", False, str(error))
        self.diagnosis.questions = self.source.tally.total - before
        return self.diagnosis

    def _examine(self, first: date | None, last: date | None) -> None:
        now = self.source.now()[0]
        answer = self._search(Ask(now - _REACH, now, purpose="doctor"))
        self._find(
            "sign-in, proxy, TLS and role Agent",
            True,
            f"account {self.account} answers",
        )
        now, by_source = self.source.now()
        self._find(
            "Date header",
            by_source or None,
            "the frozen end is fixed by the source's clock"
            if by_source
            else "none is sent: the frozen end is fixed by this machine's clock",
        )
        self._assumptions(Ask(now - _REACH, now), answer)
        self._roles()
        if answer.rows:
            self._pages(answer)
            self._bounds(answer.rows[-1])
            self._known(answer.rows[0])
        self._empty(now)
        if first is not None:
            self._estimate(first, last or now.date(), answer)

    def _search(self, ask: Ask) -> Answer:
        what = "search by dates alone"
        try:
            answer = self.source.search(self.account, ask)
        except RefusedError as error:
            if error.problem.status != 400:
                raise
            named, unasked = searchable(self.channels)
            self._find(
                what,
                bool(named) or None,
                "refused: engagements are exported by channel, and a channel not in "
                "JOURNEYPORT_CHANNELS is not exported",
            )
            if not named:
                raise
            self._channels(named, unasked)
            ask = Ask(ask.lo, ask.hi, channels=self.channels, purpose=ask.purpose)
            return self.source.search(self.account, ask)
        self.channels = ()
        self._find(what, True, "allowed: all engagements are exported")
        return answer

    def _channels(self, named: tuple[str, ...], unasked: tuple[str, ...]) -> None:
        if unasked:
            told = (
                "no search takes names shorter than 3 or longer than 20 characters; "
                f"take out of JOURNEYPORT_CHANNELS: {', '.join(unasked)}"
            )
            self._find("channel names", False, told)
        self.channels = batches(named)[0]
        if named != self.channels:
            told = (
                f"one search names {len(self.channels)} of the {len(named)} channels; "
                "all that follows, the estimate too, is of these alone"
            )
            self._find("channels of this diagnosis", None, told)

    def _assumptions(self, ask: Ask, answer: Answer) -> None:
        broken = breaches(self.account, ask, answer, ALL)
        for breach in (Breach.TENANT, Breach.ORDER, Breach.BOUNDS, Breach.TOTAL):
            told = f"{len(answer.rows)} rows of {answer.total} looked at"
            holds = breach not in broken if answer.rows else None
            self._find(ASSUMPTIONS[breach], holds, told)

    def _roles(self) -> None:
        what = "role Account Administrator (identifier types)"
        try:
            types = self.source.identifier_types(self.account)
        except RoleError:
            self._find(what, None, "not given: the configured strengths are used")
        else:
            self._find(what, True, f"{len(types)} identifier types")

    def _pages(self, answer: Answer) -> None:
        rows, total = len(answer.rows), answer.total or 0
        if rows == PAGE:
            self._find("pages of 50", True, "a page holds 50 rows")
        elif rows < total:
            self._find("pages of 50", None, f"pages end at {rows}: more calls, no loss")
        else:
            self._find("pages of 50", None, f"only {rows} engagements in 30 days")

    def _bounds(self, row: Row) -> None:
        """Whether a bound at a row's own tick finds the row."""
        if row.start is None or row.upper is None:
            return
        hi = ceil_to(row.upper, MILLISECOND)
        ask = Ask(hi - MILLISECOND, hi, channels=self.channels, purpose="doctor")
        answer = self.source.search(self.account, ask)
        exact = any(one.key == row.key for one in answer.rows)
        finer = "finer than" if row.upper.microsecond % 1000 else "whole"
        self._find(
            ASSUMPTIONS[Breach.RESOLUTION],
            exact or None,
            f"dates are {finer} milliseconds; "
            + (
                "a bound finds its own row"
                if exact
                else "bounds are coarser and are rounded up to the second"
            ),
        )

    def _known(self, row: Row) -> None:
        if row.id is None:
            return
        answer = self.source.by_ids(self.account, [row.id], "doctor")
        came = any(one.id == row.id for one in answer.rows)
        self._find(
            "reading by id",
            came,
            "an engagement of a search is found by its id"
            if came
            else "an engagement of a search is not found by its id: updates of open "
            "engagements and deletions cannot be followed",
        )

    def _empty(self, now: datetime) -> None:
        ahead = now + timedelta(days=365)
        ask = Ask(ahead, ahead + MILLISECOND, 1, 1, self.channels, "doctor")
        answer = self.source.search(self.account, ask)
        self._find(
            "an empty search",
            True if not answer.not_found else None,
            "answers an empty list"
            if not answer.not_found
            else "answers 404: it counts as empty only beside a search that has rows",
        )

    def _estimate(self, first: date, last: date, answer: Answer) -> None:
        lo, hi = day_bounds(first)[0], day_bounds(last)[1]
        ask = Ask(lo, hi, 1, 1, self.channels, "doctor")
        total = self.source.search(self.account, ask).total or 0
        sizes = [len(row.body) for row in answer.rows]
        size = sum(sizes) / len(sizes) if sizes else _ROW_BYTES
        days = (last - first).days + 1
        calls = math.ceil(total / _ROWS_A_CALL) + days
        rate = self.source.pace.rate or 100.0
        self.diagnosis.estimate = Estimate(
            first=first,
            last=last,
            engagements=total,
            calls=calls,
            hours=calls / rate / 3600,
            bytes_sent=int(total * size),
            bytes_kept=int(total * size * _KEPT) + days * _KEPT_DAY,
            budget=self.source.config.budget,
        )

    def _find(self, what: str, holds: bool | None, told: str) -> None:
        self.diagnosis.findings.append(Finding(what, holds, told))
