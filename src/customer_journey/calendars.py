"""When engagements begin: business hours and weekdays of an account's own time zone."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from customer_journey.instants import DAY, SECOND

ZONES = {"DE": "Europe/Berlin", "US": "America/New_York"}
#: Share of a day's engagements by local hour.
_HOURS = {
    "Voice": (
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
        6,
        10,
        11,
        10,
        7,
        8,
        9,
        9,
        8,
        6,
        3,
        1,
        0,
        0,
        0,
        0,
    ),
    "Chat": (1, 0, 0, 0, 0, 0, 1, 2, 4, 6, 7, 7, 6, 6, 7, 7, 7, 7, 6, 6, 5, 4, 3, 2),
    "Email": (2, 1, 1, 1, 1, 2, 4, 6, 9, 9, 8, 7, 6, 6, 7, 7, 6, 5, 5, 5, 5, 4, 3, 3),
    "Messaging": (
        1,
        1,
        0,
        0,
        0,
        1,
        2,
        4,
        5,
        6,
        6,
        6,
        7,
        6,
        6,
        6,
        7,
        8,
        8,
        8,
        7,
        5,
        4,
        2,
    ),
}
#: Monday to Sunday.
_WEEKDAYS = (12, 11, 10, 10, 9, 4, 2)


class Calendar:
    """Draws the starts of engagements over some days.

    Args:
        start_day: the first day, as days since 1970.
        days: how many.
        region: DE or US, which gives the time zone.
    """

    def __init__(self, start_day: int, days: int, region: str) -> None:
        zone = ZoneInfo(ZONES[region])
        self._first, self._last = start_day * DAY, (start_day + days) * DAY
        # a local day more at each end: the edges of UTC days cut through them
        self._days: list[int] = []
        for day in range(start_day - 1, start_day + days + 1):
            noon = datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
            offset = noon.astimezone(zone).utcoffset() or timedelta()
            midnight = day * DAY - int(offset.total_seconds()) * SECOND
            self._days += [midnight] * _WEEKDAYS[(day + 3) % 7]
        self._hours = {
            channel: [hour for hour, share in enumerate(shares) for _ in range(share)]
            for channel, shares in _HOURS.items()
        }

    def draw(self, rng: Random, channel: str) -> int:
        """An instant, in whole milliseconds, inside the days."""
        hours = self._hours[channel]
        for _ in range(100):
            day = self._days[int(rng.random() * len(self._days))]
            hour = hours[int(rng.random() * len(hours))]
            second = (hour + rng.random()) * 3600
            at = day + int(second * 1000) * 1000
            if self._first <= at < self._last:
                return at
        return self._first + int(rng.random() * (self._last - self._first - 1))
