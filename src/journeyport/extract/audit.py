"""Which closed days differ from what is held, and which are due to be walked again.

One question of one row compares a day's total with the engagements held; a total
cannot see an erasure paired with an insert, which is what the rotation is for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from journeyport.clock import Clock
from journeyport.errors import JourneyportError
from journeyport.extract.documents import held_versions
from journeyport.extract.landing import is_frozen
from journeyport.extract.opening import channels_of, day_bounds
from journeyport.extract.report import ExtractOptions, Source
from journeyport.lake import Lake
from journeyport.state import State, windows
from journeyport.state.windows import WalkedDay
from journeyport.wire import MILLISECOND, Ask

_FRESH = timedelta(hours=20)
"""A day walked less than this ago is not due to be walked again."""


@dataclass
class AuditReport:
    """What an audit counted.

    Attributes:
        account: the account.
        audited: days whose totals were compared.
        differing: those that hold more or fewer engagements than the source counts.
        failure: what ended the audit early.
    """

    account: str
    audited: list[date] = field(default_factory=list)
    differing: list[date] = field(default_factory=list)
    failure: JourneyportError | None = None


def audit(
    source: Source,
    lake: Lake,
    state: State,
    *,
    account: str,
    clock: Clock,
    options: ExtractOptions | None = None,
    skip: Sequence[date] = (),
) -> AuditReport:
    """Compare totals of recent closed days, and of some older ones in rotation.

    Args:
        source: the source.
        lake: the lake.
        state: the state.
        account: the account.
        clock: the time.
        options: how many days, and how far back the source keeps them.
        skip: days not to ask for: they were walked in this run.
    """
    chosen = options or ExtractOptions()
    report = AuditReport(account)
    try:
        for walked in _due(state, account, clock.now(), chosen, skip):
            total = _total(source, walked)
            if total is None:
                continue
            held = _held(lake, account, walked.day)
            at = clock.now()
            windows.note_audit(
                state, account, walked.day, at=at, total=total, held=held
            )
            report.audited.append(walked.day)
            if total != held:
                report.differing.append(walked.day)
    except JourneyportError as error:
        report.failure = error
    return report


def rotation(
    state: State,
    account: str,
    now: datetime,
    options: ExtractOptions,
    skip: Sequence[date] = (),
) -> list[date]:
    """The closed days to walk again tonight: those walked longest ago."""
    closed = [
        walked
        for walked in windows.days_of(state, account)
        if walked.status in {windows.PROVED, windows.RELEASED}
        and not is_frozen(walked.day, now, options)
    ]
    tonight = math.ceil(len(closed) / options.rotation)
    stale = [
        walked
        for walked in sorted(closed, key=lambda one: (one.walked_at, one.day))
        if walked.day not in skip and now - walked.walked_at >= _FRESH
    ]
    return [walked.day for walked in stale[:tonight]]


def _due(
    state: State,
    account: str,
    now: datetime,
    options: ExtractOptions,
    skip: Sequence[date],
) -> list[WalkedDay]:
    closed = [
        walked
        for walked in windows.days_of(state, account)
        if walked.status == windows.PROVED and not is_frozen(walked.day, now, options)
    ]
    recent = closed[-options.audit_days :] if options.audit_days else []
    older = closed[: len(closed) - len(recent)]
    seen = windows.audited(state, account)
    long_ago = datetime.min.replace(tzinfo=now.tzinfo)
    older.sort(key=lambda walked: (seen.get(walked.day, long_ago), walked.day))
    chosen = recent + older[: math.ceil(len(older) / options.rotation)]
    return [walked for walked in chosen if walked.day not in skip]


def _total(source: Source, walked: WalkedDay) -> int | None:
    """The source's count of a day; None where it says none that can be compared."""
    channels = channels_of(walked.coverage)
    if len(channels) > 10:
        return None  # more than one search, whose totals overlap
    lo, following = day_bounds(walked.day)
    ask = Ask(lo, following - MILLISECOND, 1, 1, channels, "audit")
    answer = source.search(walked.account, ask)
    return None if answer.not_found else answer.total


def _held(lake: Lake, account: str, day: date) -> int:
    return sum(1 for held in held_versions(lake, account, day).values() if held.hashes)
