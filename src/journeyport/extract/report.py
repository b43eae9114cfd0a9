"""What extraction is told and what it reports: options, account-days, totals."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from journeyport.errors import JourneyportError, NotProvedError
from journeyport.extract.policy import FieldPolicy, load_policy
from journeyport.extract.rules import ALL, Rules
from journeyport.pacing import Tally
from journeyport.wire import Answer, Ask

Progress = Callable[[str, int, int], None]

ALL_ENGAGEMENTS = "all engagements"


class Source(Protocol):
    """What extraction needs of a source; `client.SourceClient` is it."""

    @property
    def tally(self) -> Tally:
        """The calls made."""

    def search(self, account: str, ask: Ask) -> Answer:
        """One page of a search by dates."""

    def by_ids(
        self, account: str, ids: Sequence[str], purpose: str = "watch"
    ) -> Answer:
        """Up to 50 engagements by id."""

    def now(self) -> tuple[datetime, bool]:
        """The time, and whether it is by the source's clock."""

    def identifier_types(self, account: str) -> list[dict[str, Any]]:
        """The configured identifier types."""


@dataclass(frozen=True)
class ExtractOptions:
    """How to extract.

    Attributes:
        settle: how far behind the source's clock an export stops.
        concurrency: windows walked side by side.
        channels: to ask for where a search by dates alone is refused.
        policy: what of each document is stored.
        window_rows: engagements a window should hold; a day has as many windows as
            that takes, at most `concurrency`.
        resume_within: how old a walk of a closed day may be to be gone on with.
        settling: how long a completed engagement is still watched.
        lookback_days: closed days that every night walks again.
        first_day: where an account's first night begins; None: the look-back.
        retention_days: how long the source keeps engagements; older days are frozen.
        watch_days: how long an engagement is watched before it is given up.
        audit_days: closed days, counted from the last, that every night audits.
        rotation: in how many nights all closed days are walked once.
        tombstone_share: share of an account's engagements one run may call deleted.
        tombstone_floor: how many it may call deleted in any case.
        purge_after: how long a deleted engagement's documents are kept.
        rules: all of them, outside tests.
    """

    settle: timedelta = timedelta(minutes=5)
    concurrency: int = 4
    channels: tuple[str, ...] = ()
    policy: FieldPolicy = field(default_factory=load_policy)
    window_rows: int = 1000
    resume_within: timedelta = timedelta(hours=6)
    settling: timedelta = timedelta(days=2)
    lookback_days: int = 3
    first_day: date | None = None
    retention_days: int | None = None
    watch_days: int = 90
    audit_days: int = 14
    rotation: int = 30
    tombstone_share: float = 0.01
    tombstone_floor: int = 10
    purge_after: timedelta = timedelta(days=7)
    rules: Rules = ALL


@dataclass(frozen=True)
class DayLanding:
    """How the walk of one account-day ended.

    Attributes:
        day: the UTC day.
        status: PROVED, PARTIAL (still open) or HELD (not proved).
        proof: the weakest window's.
        calls: questions asked.
        rows: engagements of the day that the source showed.
        new_versions: document versions that had not been held.
        windows: how many.
        breaches: assumptions broken, with how often.
        claim_to: the end of the claim, inclusive.
        missing: engagements held that the walk did not show.
        stands: not proved this time, and what was claimed of it before stands.
    """

    day: date
    status: str
    proof: str
    calls: int
    rows: int
    new_versions: int
    windows: int
    breaches: Mapping[str, int]
    claim_to: datetime
    missing: int = 0
    stands: bool = False

    @property
    def why(self) -> str:
        """Why it could not be proved, in a few words."""
        return ", ".join(self.breaches) or "no answer could be used"

    def unproved(self, account: str) -> str:
        """That the account's day could not be proved, and what follows."""
        day = f"{self.day} of account {account} could not be proved complete"
        if self.stands:
            return f"{day} again ({self.why}); what its certificate claims stands."
        return (
            f"{day} ({self.why}) and is held back; export it again, or release it with "
            "a reason."
        )


@dataclass(frozen=True)
class LandReport:
    """What walking some days of one account came to.

    Attributes:
        account: the account.
        days: each day asked for, in order.
        calls: calls made, by purpose; repeated ones and tokens included.
        coverage: "all engagements", or the channels asked for.
        end: the frozen end.
        source_clock: the end was fixed by the source's clock, not by ours.
        failure: what ended the walk before its last day; None: nothing did.
        opening_breaches: assumptions that the very first answer broke.
        unasked: channels that no search can name.
    """

    account: str
    days: tuple[DayLanding, ...]
    calls: Mapping[str, int]
    coverage: str
    end: datetime
    source_clock: bool
    failure: JourneyportError | None = None
    opening_breaches: frozenset[str] = frozenset()
    unasked: tuple[str, ...] = ()

    @property
    def breaches(self) -> dict[str, int]:
        """All assumptions broken, with in how many answers."""
        first = Counter(self.opening_breaches)
        found = first.copy()
        for landing in self.days:  # each of which counts the first answer, too
            found += Counter(landing.breaches) - first
        return dict(sorted(found.items()))

    @property
    def touched(self) -> list[tuple[str, date]]:
        """The account-days whose tables may have changed."""
        return [(self.account, landing.day) for landing in self.days]

    @property
    def wrong(self) -> list[str]:
        """What went wrong for the account as a whole, in sentences."""
        return [] if self.failure is None else [str(self.failure)]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look at though nothing failed."""
        if not self.unasked:
            return ()
        told = (
            f"Account {self.account} has channels whose names no search takes, being "
            f"shorter than 3 or longer than 20 characters: {', '.join(self.unasked)}; "
            "an engagement on no other channel is not exported."
        )
        return (told,)

    @property
    def held(self) -> tuple[DayLanding, ...]:
        """The days that could not be proved."""
        return tuple(landing for landing in self.days if landing.status == "HELD")

    def require_proved(self) -> None:
        """Do nothing if every day asked for is proved, or still open.

        Raises:
            NotProvedError: one is not; the sentence says which and why.
            JourneyportError: the walk was stopped; what stopped it.
        """
        if self.failure is not None:
            raise self.failure
        if self.held:
            first = self.held[0]
            raise NotProvedError(
                f"{len(self.held)} day(s) of account {self.account} could not be "
                f"proved, {first.day} first ({first.why}); walk them again, or release "
                "them with a reason."
            )
