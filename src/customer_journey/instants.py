"""Instants as integer microseconds since 1970, and their RFC 3339 text.

Own arithmetic instead of ``datetime``: the contract's date-time allows the year 0, a
leap second and offsets that push an instant out of the years 1 to 9999, none of which
may become a server error. Clocks do not live here.
"""

import re

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?"
    r"(?:([Zz])|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
#: The hour and the minute of every minute of a day: looked up, not formatted again.
_MINUTES = [f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60)]
#: The same of every millisecond of a minute.
_SECONDS = [f"{one // 1000:02}.{one % 1000:03}" for one in range(60_000)]
_day_text: dict[int, str] = {}


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar.

    The formula is Howard Hinnant's ``days_from_civil``; it holds for any year.
    """
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


def civil_from_days(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day number: the inverse of ``days_from_civil``."""
    days += 719_468
    era = days // 146_097
    of_era = days - era * 146_097
    year_of_era = (
        of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096
    ) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + (3 if shifted < 10 else -9)
    day = of_year - (153 * shifted + 2) // 5 + 1
    return year_of_era + era * 400 + (month <= 2), month, day


def parse_instant(text: str) -> int | None:
    """Microseconds since 1970 of an RFC 3339 date-time, or None when it is not one.

    A leap second counts as the second after it; digits past the microsecond are cut.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, _, sign, off_hour, off_minute = match.groups()[6:]
    if not (1 <= month <= 12 and 1 <= day <= _days_in(year, month)):
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    instant = days_from_civil(year, month, day) * DAY
    instant += hour * HOUR + minute * MINUTE + second * SECOND
    if fraction:
        instant += int(fraction[:6].ljust(6, "0"))
    if sign:
        if int(off_hour) > 23 or int(off_minute) > 59:
            return None
        offset = int(off_hour) * HOUR + int(off_minute) * MINUTE
        instant += -offset if sign == "+" else offset
    return instant


def _days_in(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 28 if month == 2 and not leap else _DAYS_IN_MONTH[month - 1]


def format_instant(instant: int) -> str:
    """RFC 3339 text in UTC: milliseconds, or microseconds where there are any."""
    days, rest = divmod(instant, DAY)
    text = _day_text.get(days)
    if text is None:
        text = format_day(days)
        if len(_day_text) < 4096:
            _day_text[days] = text
    minute, rest = divmod(rest, MINUTE)
    milliseconds, micro = divmod(rest, 1000)
    if micro:
        return f"{text}{_MINUTES[minute]}{_SECONDS[milliseconds]}{micro:03}Z"
    return f"{text}{_MINUTES[minute]}{_SECONDS[milliseconds]}Z"


def format_day(days: int) -> str:
    """YYYY-MM-DD of a day number, held inside the years 0 to 9999."""
    year, month, day = civil_from_days(days)
    if year < 0:
        return "0000-01-01"
    if year > 9999:
        return "9999-12-31"
    return f"{year:04}-{month:02}-{day:02}"


def parse_day(text: str) -> int | None:
    """The day number of YYYY-MM-DD, or None when it is not a day."""
    instant = parse_instant(f"{text}T00:00:00Z")
    return None if instant is None else instant // DAY


def http_date(instant: int) -> str:
    """The form of the ``Date`` header (RFC 9110): whole seconds, GMT."""
    days, rest = divmod(instant, DAY)
    year, month, day = civil_from_days(days)
    seconds = rest // SECOND
    weekday = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][(days + 3) % 7]
    name = [
        "Jan",
        "Feb",
        "Mar",
        "Apr",
        "May",
        "Jun",
        "Jul",
        "Aug",
        "Sep",
        "Oct",
        "Nov",
        "Dec",
    ][month - 1]
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{weekday}, {day:02} {name} {year:04} {clock} GMT"
