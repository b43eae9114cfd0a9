"""Which closed days differ from what is held, and which are due to be walked again.

One question of one row compares a day's total with the engagements held; a total
cannot see an erasure paired with an insert, which is what the rotation is for.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from journeyport.clock import Clock
from journeyport.errors import JourneyportError
from journeyport.extract.documents import held_versions
from journeyport.extract.landing import is_frozen
from journeyport.extract.opening import batches, channels_of, day_bounds
from journeyport.extract.report import ExtractOptions, Source
from journeyport.lake import Lake
from journeyport.state import State, windows
from journeyport.state.windows import WalkedDay
from journeyport.wire import MILLISECOND, Ask

_CLOSED = {windows.PROVED, windows.RELEASED}

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
            counts = list(_counts(source, lake, walked))
            if any(total is None for total, _ in counts):
                continue
            windows.note_audit(
                state,
                account,
                walked.day,
                at=clock.now(),
                total=sum(total or 0 for total, _ in counts),
                held=sum(held for _, held in counts),
            )
            report.audited.append(walked.day)
            if any(total != held for total, held in counts):
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
        if walked.status in _CLOSED and not is_frozen(walked.day, now, options)
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
        if walked.status in _CLOSED and not is_frozen(walked.day, now, options)
    ]
    recent = closed[-options.audit_days :] if options.audit_days else []
    older = closed[: len(closed) - len(recent)]
    seen = windows.audited(state, account)
    long_ago = datetime.min.replace(tzinfo=now.tzinfo)
    older.sort(key=lambda walked: (seen.get(walked.day, long_ago), walked.day))
    chosen = recent + older[: math.ceil(len(older) / options.rotation)]
    return [walked for walked in chosen if walked.day not in skip]


def _counts(
    source: Source, lake: Lake, walked: WalkedDay
) -> Iterator[tuple[int | None, int]]:
    """What the source counts of a day and what is held of it, by base filter.

    The first is None where the source says nothing that can be compared: it names no
    total, or answers 404 for what is held. Channels that need more than one search are
    counted search by search: an engagement that two of them find is held twice, too.
    """
    filters = batches(channels_of(walked.coverage))
    lo, following = day_bounds(walked.day)
    for channels in filters:
        ask = Ask(lo, following - MILLISECOND, 1, 1, channels, "audit")
        answer = source.search(walked.account, ask)
        held = (
            _held(lake, walked)
            if len(filters) == 1
            else _held_of(lake, walked, {channel.casefold() for channel in channels})
        )
        yield 0 if answer.not_found and not held else answer.total, held


def _held(lake: Lake, walked: WalkedDay) -> int:
    held = held_versions(lake, walked.account, walked.day)
    return sum(1 for versions in held.values() if versions.last)


def _held_of(lake: Lake, walked: WalkedDay, channels: set[str]) -> int:
    """Engagements on one of the channels, by the tables: raw has no column for it."""
    columns = ["engagement_id", "channel_id", "channel_type"]
    rows = lake.read_day("engagement_channels", walked.account, walked.day, columns)
    names = zip(*(rows.column(name).to_pylist() for name in columns), strict=True)
    return len(
        {key for key, *found in names if {str(n).casefold() for n in found} & channels}
    )
