"""Values made comparable: phones, e-mails, instants, local time.

Pure functions over one value, and columnar ones over distinct values. A value that
cannot be parsed becomes null here and is kept, as sent, in the column beside it or in
`extra`. Which values may link customers is said in `identity`.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from email_validator import (
    SPECIAL_USE_DOMAIN_NAMES,
    EmailNotValidError,
    validate_email,
)

NORMALISER_VERSION = 1
"""Raised by one when a rule of this module changes what a value becomes."""

INSTANT = pa.timestamp("us", "UTC")

_ASKED = 50_000
"""Values whose answer is remembered, of those that a library has to be asked about."""

_WITHHELD = {
    "anonymous",
    "blocked",
    "n/a",
    "none",
    "private",
    "restricted",
    "unavailable",
    "unknown",
    "withheld",
}
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,12}))?"
    r" ?([Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_SEPARATORS = str.maketrans("", "", " -().")
_PLAIN_LOCAL = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*")
_PLAIN_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
_SPECIAL = frozenset(SPECIAL_USE_DOMAIN_NAMES)
_QUARTER = 900_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST = len("2026-01-01T00:00:00Z")
"""A shorter text may have no minutes, and Arrow would take it all the same."""
_FIRST = -62_135_596_800_000_000  # 0001-01-01, the earliest instant a datetime holds


def phone(value: str, region: str) -> str | None:
    """E.164, an extension behind it as `;ext=`; None: no possible phone number.

    Short codes, withheld numbers and words are none. A number without country code
    is one of `region`.
    """
    text = value.strip()
    return _plain_phone(text, region) or _parsed_phone(text, region)


@lru_cache(maxsize=_ASKED)
def _parsed_phone(text: str, region: str) -> str | None:
    if text.lower().startswith("sip:"):
        text = text[4:].partition("@")[0]
    if text.lower() in _WITHHELD:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    if not number.national_number:
        return None
    made = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{made};ext={number.extension}" if number.extension else made


def _plain_phone(text: str, region: str) -> str | None:
    """What the library would say of a number with nothing odd about it; else None.

    Most numbers are of this kind, and asking costs a twentieth.
    """
    digits = text.translate(_SEPARATORS)
    if not digits.isascii() or not digits[1:].isdigit():
        return None
    if digits[0] != "+":
        if region != "US" or len(digits) != 10 or digits[0] in "01":
            return None
        return f"+1{digits}" if digits.isdigit() else None
    for length in (1, 2, 3):
        code, number = digits[1 : 1 + length], digits[1 + length :]
        known = _calling_code(int(code))
        if known is None:
            continue
        prefix, lengths = known
        plain = len(number) in lengths and number[0] not in {"0", prefix}
        return digits if plain else None
    return None


@lru_cache(maxsize=1000)
def _calling_code(code: int) -> tuple[str, frozenset[int]] | None:
    """The trunk prefix of a country and how long its numbers are.

    None: there is no such code, or numbers are written by more than a one-digit prefix.
    """
    region = phonenumbers.region_code_for_country_code(code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if metadata is None:
        return None
    prefix = metadata.national_prefix_for_parsing or ""
    general = metadata.general_desc
    if general is None or (prefix and not re.fullmatch(r"[0-9]", prefix)):
        return "", frozenset()
    return prefix, frozenset(general.possible_length)


def email(value: str) -> str | None:
    """Lower case, international parts in Unicode; None: no e-mail address.

    The syntax is looked at and nothing is asked of the network.
    """
    text = value.strip()
    return text.lower() if _is_plain_email(text) else _checked_email(text)


@lru_cache(maxsize=_ASKED)
def _checked_email(text: str) -> str | None:
    if text.lower().startswith("mailto:"):
        text = text[7:]
    try:
        checked = validate_email(
            text, check_deliverability=False, test_environment=True
        )
    except EmailNotValidError:
        return None
    return checked.normalized.lower()


def _is_plain_email(text: str) -> bool:
    """Whether the library has nothing to say about an address but to lower its case."""
    if len(text) > 254 or not text.isascii():
        return False
    local, _, domain = text.lower().rpartition("@")
    return (
        len(local) <= 64
        and _PLAIN_LOCAL.fullmatch(local) is not None
        and _is_plain_domain(domain)
    )


@lru_cache(maxsize=_ASKED)
def _is_plain_domain(domain: str) -> bool:
    labels = domain.split(".")
    return (
        _PLAIN_DOMAIN.fullmatch(domain) is not None
        and all(len(label) <= 63 and label[2:4] != "--" for label in labels)
        and labels[-1] not in _SPECIAL
        and ".".join(labels[-2:]) not in _SPECIAL
    )


def other(value: str) -> str | None:
    """Trimmed, case kept; None when nothing is left."""
    return value.strip() or None


def normalised(kind: str, value: str, region: str) -> str | None:
    """The comparable form of a value of an identifier type; None: it has none."""
    if kind == "phoneNumbers":
        return phone(value, region)
    if kind == "emailAddresses":
        return email(value)
    return other(value)


def normalised_column(kinds: pa.Array, values: pa.Array, region: str) -> pa.Array:
    """`normalised` over columns, worked out once per distinct type and value."""
    found = pa.array([], pa.string())
    places = []
    for kind in kinds.unique().to_pylist():
        mine = pc.indices_nonzero(pc.equal(kinds, kind))
        distinct = values.take(mine).dictionary_encode()
        texts = distinct.dictionary.to_pylist()
        cleaned = pa.array(
            [normalised(kind, text, region) for text in texts], pa.string()
        )
        found = pa.concat_arrays([found, cleaned.take(distinct.indices)])
        places.append(mine.to_numpy())
    order: Any = np.argsort(np.concatenate(places)) if places else []
    return found.take(pa.array(order, pa.int64()))


def instant(text: str) -> datetime | None:
    """ISO 8601 with date and time; a missing offset means UTC; None: no instant.

    Digits beyond microseconds are cut, so that an instant never moves into the next
    tick, hour or day.
    """
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        return None
    day, time, fraction, offset = match.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        parsed = datetime.fromisoformat(f"{day}T{time}{(offset or 'Z').upper()}")
        return (parsed + timedelta(microseconds=micros)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def canonical(moment: datetime) -> str:
    """The text of an instant that every parser here takes alike."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def instants(texts: pa.Array) -> pa.Array:
    """Texts to instants; what is none becomes null."""
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), INSTANT)
    shortest = pc.min(pc.binary_length(texts)).as_py()
    if shortest is None or shortest >= _SHORTEST:
        try:
            found = texts.cast(INSTANT)
        except pa.ArrowInvalid:
            pass
        else:
            lowest = pc.min(found.cast(pa.int64())).as_py()
            if lowest is None or lowest >= _FIRST:
                return found
    # One odd text spoils the fast way: each distinct one is read by itself.
    encoded = texts.dictionary_encode()
    parsed = [instant(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(parsed, INSTANT).take(encoded.indices)


def seconds_between(start: pa.Array, end: pa.Array) -> pa.Array:
    """Seconds from start to end; null where either is missing or it is negative."""
    micros = pc.subtract(end.cast(pa.int64()), start.cast(pa.int64()))
    kept = pc.if_else(pc.less(micros, 0), pa.scalar(None, pa.int64()), micros)
    return pc.divide(kept.cast(pa.float64(), safe=False), 1e6)


def local(moments: pa.Array, zone: str) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Local date, hour and weekday (1 Monday to 7 Sunday) of instants in a zone.

    Offsets are looked up once per quarter of an hour: every zone's clock changes at
    one.
    """
    micros = moments.cast(pa.int64()).to_numpy(zero_copy_only=False)
    quarters, places = np.unique(micros // _QUARTER, return_inverse=True)
    rules = ZoneInfo(zone)
    offsets = [_offset(int(quarter) * _QUARTER, rules) for quarter in quarters]
    shifted = micros + np.array(offsets, np.int64)[places]
    days = shifted // 86_400_000_000
    hours = shifted // 3_600_000_000 - days * 24
    weekdays = (days + 3) % 7 + 1  # 1970-01-01 was a Thursday
    return (
        pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32()),
        pa.array(hours, pa.int64()),
        pa.array(weekdays, pa.int64()),
    )


def _offset(micros: int, zone: ZoneInfo) -> int:
    try:
        moment = (_EPOCH + timedelta(microseconds=micros)).astimezone(zone)
    except OverflowError:
        return 0  # the first and the last day there are
    offset = moment.utcoffset()
    return 0 if offset is None else offset // timedelta(microseconds=1)
