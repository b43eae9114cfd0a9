"""Numbers to look at: counts for charts and for checks, never a value of anybody.

What is drawn of them, and what is said to be wrong, is decided above.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any

import pyarrow as pa

from journeyport.lake import Lake
from journeyport.session import open_session
from journeyport.state import State, drift, rejects, windows

HOURS = 24

LAGS = {
    "within a minute": 60,
    "within an hour": 3_600,
    "within a day": 86_400,
    "within a week": 604_800,
}
"""Upper bounds in seconds; what is above the last one is `later`."""

_WEEKS = 4
_FEW = 20
"""Engagements below which a day's volume says nothing."""


@dataclass(frozen=True)
class Volume:
    """An account-day whose volume is unlike that of the same weekday before.

    Attributes:
        account: the account.
        day: the UTC day.
        engagements: how many it has.
        usual: the median of the same weekday in the weeks before.
    """

    account: str
    day: date
    engagements: int
    usual: float


def by_channel_and_hour(
    lake: Lake, account_days: Iterable[tuple[str, date]]
) -> dict[str, list[int]]:
    """Engagements per first channel and local hour; the busiest channel first."""
    counted: dict[str, list[int]] = {}
    data = _days(lake, account_days, "engagements", ["engagement_id", "local_hour"])
    channels = _days(
        lake, account_days, "engagement_channels", ["engagement_id", "channel_id"]
    )
    for channel, hour, many in _ask(
        "SELECT coalesce(c.channel, 'none'), e.local_hour, count(*) FROM e LEFT JOIN "
        "(SELECT engagement_id, min(channel_id) AS channel FROM c GROUP BY ALL) c "
        "USING (engagement_id) WHERE e.local_hour IS NOT NULL GROUP BY ALL",
        e=data,
        c=channels,
    ):
        counted.setdefault(str(channel), [0] * HOURS)[hour] = many
    return dict(sorted(counted.items(), key=lambda one: (-sum(one[1]), one[0])))


def update_lag(lake: Lake, account_days: Iterable[tuple[str, date]]) -> dict[str, int]:
    """Engagements by how long after their start they were last updated."""
    found = dict.fromkeys((*LAGS, "later"), 0)
    data = _days(lake, account_days, "engagements", ["start_date", "update_date"])
    for (seconds,) in _ask(
        "SELECT date_diff('second', start_date, update_date) FROM e "
        "WHERE update_date IS NOT NULL",
        e=data,
    ):
        name = next((word for word, most in LAGS.items() if seconds <= most), "later")
        found[name] += 1
    return found


def rejects_by_reason(state: State) -> dict[str, int]:
    """What stands refused, by stage and code; the most frequent first."""
    counted = Counter(
        f"{row['stage']}: {row['code']}" for row in rejects.all_rows(state)
    )
    return dict(counted.most_common())


def unlike_before(
    lake: Lake, account_days: Iterable[tuple[str, date]], *, share: float
) -> list[Volume]:
    """The account-days whose volume is far from that of the same weekday before.

    Args:
        lake: the lake.
        account_days: those to look at; a day still open is not to be among them.
        share: by how much of the usual a day may differ.

    Returns:
        Those that differ by more, where at least two earlier weeks are there to
        compare with and a usual day has enough engagements to say anything.
    """
    found = []
    for account, day in account_days:
        now = _engagements(lake, account, day)
        weeks = (day - timedelta(weeks=n) for n in range(1, _WEEKS + 1))
        before = [
            many
            for many in (_engagements(lake, account, one) for one in weeks)
            if many is not None
        ]
        if now is None or len(before) < 2:
            continue
        usual = median(before)
        if usual >= _FEW and abs(now - usual) > share * usual:
            found.append(Volume(account, day, now, usual))
    return found


def new_at_the_source(state: State, run_id: str) -> list[str]:
    """Fields and values that this run saw for the first time ever, by name."""
    return sorted({one.name for one in drift.all_seen(state, run_id)})


def day_facts(state: State, accounts: Iterable[str], day: date) -> dict[str, Any]:
    """What is known of a day from walking it, over all accounts; no values."""
    walked = [windows.day_of(state, account, day) for account in accounts]
    there = [one for one in walked if one is not None]
    facts: dict[str, Any] = {
        "rows": sum(one.found for one in there),
        "calls": sum(one.calls for one in there),
    }
    for one in there:
        facts[f"status {one.account}"] = one.status
        facts[f"proof {one.account}"] = str(one.proof)
        facts[f"walked {one.account}"] = one.walked_at.isoformat(timespec="seconds")
    return facts


def _engagements(lake: Lake, account: str, day: date) -> int | None:
    manifest = lake.manifest(account, day)
    return None if manifest is None else manifest.tables["engagements"].rows


def _days(
    lake: Lake,
    account_days: Iterable[tuple[str, date]],
    table: str,
    columns: Sequence[str],
) -> pa.Table:
    there = [
        lake.read_day(table, account, day, list(columns))
        for account, day in account_days
        if lake.manifest(account, day) is not None
    ]
    if not there:
        return lake.read(table, accounts=[], columns=list(columns))
    return pa.concat_tables(there)


def _ask(sql: str, **tables: pa.Table) -> list[tuple[Any, ...]]:
    views: Mapping[str, pa.Table] = tables
    with open_session() as connection:
        for name, data in views.items():
            connection.register(name, data)
        return connection.execute(sql).fetchall()
