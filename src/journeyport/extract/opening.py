"""Before the first walk of a run: the frozen end and the base filter of an account.

Both are found out by asking once; the walks themselves are in `landing`.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from journeyport.client import RefusedError
from journeyport.errors import SettingsError
from journeyport.extract.checks import Breach, breaches
from journeyport.extract.report import ALL_ENGAGEMENTS, ExtractOptions, Source
from journeyport.extract.window import Seen
from journeyport.lake import Lake
from journeyport.wire import SECOND, Ask, floor_to

_BATCH = 10
"""Channels one search may name."""

_LENGTHS = range(3, 21)
"""Characters of a channel's name in a search; elsewhere it may have up to 50."""

_QUOTE = '"'
_SPECIAL = re.compile(r'[,\r\n]|^[" ]')

_REACH = timedelta(days=30)
"""How far back the first question reaches, so that a quiet day has a known page."""


@dataclass(frozen=True)
class Opening:
    """What all walks of an account in one run share.

    Attributes:
        end: the frozen end: nothing later is asked for or claimed.
        source_clock: it was fixed by the source's clock, not by ours.
        filters: the base filters, each walked on its own; `((),)` is none.
        seen: what the walks learn for each other.
        breaches: assumptions that the first answer broke.
        unasked: channels that no search can name.
    """

    end: datetime
    source_clock: bool
    filters: tuple[tuple[str, ...], ...]
    seen: Seen
    breaches: frozenset[Breach] = frozenset()
    unasked: tuple[str, ...] = ()

    @property
    def coverage(self) -> str:
        """What the base filters cover, in words."""
        return coverage_of(tuple(name for batch in self.filters for name in batch))


def coverage_of(channels: Sequence[str]) -> str:
    """The coverage of a base filter, in words."""
    if not channels:
        return ALL_ENGAGEMENTS
    # as in CSV: a name that holds a comma or begins with a quote stands in quotes
    named = (
        f'"{name.replace(_QUOTE, 2 * _QUOTE)}"' if _SPECIAL.search(name) else name
        for name in sorted(channels)
    )
    return f"channels {', '.join(named)}"


def channels_of(coverage: str) -> tuple[str, ...]:
    """The base filter that `coverage_of` put into words."""
    if coverage == ALL_ENGAGEMENTS:
        return ()
    named = coverage.removeprefix("channels ")
    return tuple(next(csv.reader([named], skipinitialspace=True)))


def searchable(channels: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The channels that a search can name, and the others; both sorted."""
    known = sorted({name for name in channels if name})
    return (
        tuple(name for name in known if len(name) in _LENGTHS),
        tuple(name for name in known if len(name) not in _LENGTHS),
    )


def batches(channels: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The channels in as many base filters as one search each takes; none: one."""
    if not channels:
        return ((),)
    starts = range(0, len(channels), _BATCH)
    return tuple(tuple(channels[start : start + _BATCH]) for start in starts)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """A UTC day's first instant and the next day's: neighbours share that tick."""
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def open_account(
    source: Source,
    lake: Lake,
    account: str,
    days: Sequence[date],
    options: ExtractOptions,
) -> Opening:
    """Ask one question over all the days and a month before them.

    It shows whether a search by dates alone is allowed, what the source's clock says,
    how long a page may get, and gives a search that is known to have rows.

    Raises:
        SettingsError: a search needs channels, and none are known.
    """
    lo = day_bounds(min(days))[0] - _REACH
    ask = Ask(lo, day_bounds(max(days))[1], purpose="opening")
    seen = Seen()
    filters: tuple[tuple[str, ...], ...] = ((),)
    unasked: tuple[str, ...] = ()
    try:
        answer = source.search(account, ask)
    except RefusedError as error:
        if error.problem.status != 400:
            raise
        filters, unasked = _batches(lake, account, options, error)
        ask = Ask(ask.lo, ask.hi, channels=filters[0], purpose="opening")
        answer = source.search(account, ask)
    broken = breaches(account, ask, answer, options.rules)
    if answer.not_found:
        broken.clear()  # what that means is found out by the walks
    if answer.rows and not broken & {Breach.TENANT, Breach.BOUNDS}:
        seen.learn(Ask(ask.lo, ask.hi, channels=ask.channels, purpose="canary"), answer)
    now, source_clock = source.now()
    settle = options.settle if options.rules.frozen_end else timedelta()
    end = floor_to(now - settle, SECOND)
    return Opening(end, source_clock, filters, seen, frozenset(broken), unasked)


def _batches(
    lake: Lake, account: str, options: ExtractOptions, error: RefusedError
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    seen = lake.values("engagement_channels", "channel_id", account)
    channels, unasked = searchable({*options.channels, *seen})
    if not channels:
        raise SettingsError(
            f"Account {account} refuses a search by dates alone; name its channels in "
            "JOURNEYPORT_CHANNELS."
        ) from error
    return batches(channels), unasked
