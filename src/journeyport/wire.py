"""Requests and answers of the source as pure functions and values; no I/O.

An answer keeps each engagement as the bytes it came in (`Row.body`) beside the few
fields that extraction itself looks at. What an answer means for a walk is said in
`extract`; how it is fetched, and fetched again, in `client`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import orjson
import xxhash

from journeyport.errors import ArgumentError, ContractError
from journeyport.shape import decoder

PAGE = 50
"""The source's greatest page, and the most ids one call may name."""

MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
_ACCOUNT = re.compile(r"[a-zA-Z]{6}")
_FRACTION = re.compile(r"[.,](\d{6})(\d+)")
_HALF = re.compile("[\ud800-\udfff]")
_MILLISECONDS = len("2026-01-01T00:00:00.000Z")


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: the engagements dated in `[lo, hi]`, both ends included."""

    lo: datetime
    hi: datetime
    page_size: int = PAGE
    page_number: int = 1
    channels: tuple[str, ...] = ()
    purpose: str = "walk"


class Row(msgspec.Struct, frozen=True, gc=False):
    """One engagement as it stands in an answer.

    Nothing in it refers to anything else: the cyclic collector need not look at
    thousands of them, again and again.

    Attributes:
        id: the engagement; None where the answer has none.
        account: the tenant it says it belongs to; None where it does not say.
        start: its date, cut to microseconds; None where it has none to be read.
        upper: the date rounded up to microseconds; the same unless it is finer.
        update: when it last changed; None where it does not say.
        end: when it ended; None while open.
        status: as sent.
        body: the document's own bytes.
        fitting: the document read, where it fits the declared shape; else None.
    """

    id: str | None
    account: str | None
    start: datetime | None
    upper: datetime | None
    update: datetime | None
    end: datetime | None
    status: str | None
    body: bytes
    fitting: msgspec.Struct | None = None

    @property
    def key(self) -> str:
        """What tells it from others: the id, or the bytes where there is none."""
        return self.id if self.id is not None else xxhash.xxh3_128_hexdigest(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a search or a read by ids.

    Attributes:
        rows: in the order they came.
        total: what the source says it holds for the question; None: not said.
        not_found: the status was 404.
    """

    rows: tuple[Row, ...]
    total: int | None = None
    not_found: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """What a refusal says about itself; no value of a request is in it.

    Attributes:
        status: the HTTP status.
        detail: the problem's detail or title, shortened; empty where none came.
        fields: names of the fields that the violations complain of.
    """

    status: int
    detail: str = ""
    fields: tuple[str, ...] = ()


class _Page(msgspec.Struct):
    engagements: list[msgspec.Raw] | None = None
    pagination: Any = None


class _Linked(msgspec.Struct):
    identifiers: dict[str, list[str | None] | None] | None = None


class _Head(msgspec.Struct):
    id: Any = None
    accountId: Any = None  # noqa: N815 (the source's name)
    status: Any = None
    startDate: Any = None  # noqa: N815 (the source's name)
    updateDate: Any = None  # noqa: N815 (the source's name)
    endDate: Any = None  # noqa: N815 (the source's name)


_PAGES = msgspec.json.Decoder(_Page)
_HEADS = msgspec.json.Decoder(_Head)


def account_path(account: str) -> str:
    """The path all calls of one account start with.

    Raises:
        ArgumentError: the account is not six letters.
    """
    if not _ACCOUNT.fullmatch(account):
        raise ArgumentError(
            f"The account {account!r} is not six letters; see the account id in the "
            "administration pages of the source."
        )
    return f"/api/journey/v1/accounts/{account}"


def token_path(account: str) -> str:
    """Where an account's tokens come from."""
    account_path(account)
    return f"/api/auth/v1/{account}/protocol/openid-connect/token"


def search_request(account: str, ask: Ask) -> tuple[str, dict[str, int], bytes]:
    """Path, query and body of a search."""
    body: dict[str, Any] = {
        "startDate": format_instant(ask.lo),
        "endDate": format_instant(ask.hi),
    }
    if ask.channels:
        body["channelIds"] = list(ask.channels)
    query = {"pageSize": ask.page_size, "pageNumber": ask.page_number}
    return f"{account_path(account)}/journeys:search", query, orjson.dumps(body)


def ids_request(account: str, ids: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Path and query of a read by ids, at most 50.

    Raises:
        ArgumentError: more ids than one call may name, or none.
    """
    if not 0 < len(ids) <= PAGE:
        raise ArgumentError(f"One call reads 1 to {PAGE} ids, not {len(ids)}.")
    query = {"engagementIds": ",".join(ids), "pageSize": str(PAGE)}
    return f"{account_path(account)}/engagements", query


def linked_request(
    account: str, kind: str, value: str
) -> tuple[str, dict[str, int], bytes]:
    """Path, query and body of a search for all that is linked with an identifier."""
    path = f"{account_path(account)}/journeys:search"
    body = orjson.dumps({"identifiers": {kind: [value]}})
    return path, {"pageSize": 1, "pageNumber": 1}, body


def identifiers_path(account: str) -> str:
    """Where an account's identifier types are listed."""
    return f"{account_path(account)}/identifiers"


def read_answer(content: bytes) -> Answer:
    """Split an answer into documents without parsing what is inside them.

    Raises:
        ContractError: the body is no JSON object of the expected shape.
    """
    try:
        content.decode()  # what is split off unparsed must be text, too
        page = _page(content)
        fits = decoder().decode
        rows = tuple(_row(bytes(raw), fits) for raw in page.engagements or ())
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ContractError(
            "An answer of the source is no engagement list; a proxy may have changed "
            "it."
        ) from error
    total = page.pagination.get("total") if isinstance(page.pagination, dict) else None
    whole = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    return Answer(rows, total if whole else None)


def read_linked(content: bytes) -> dict[str, list[str]]:
    """The identifiers of an answer, by type; what the search was linked with.

    Raises:
        ContractError: the body is no JSON object of the expected shape.
    """
    try:
        found = msgspec.json.decode(content, type=_Linked).identifiers or {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Not the decoder's own words: they may quote the answer.
        raise ContractError(
            "An answer of the source does not say what an identifier is linked with."
        ) from error
    return {
        kind: [value for value in listed or () if value]
        for kind, listed in found.items()
    }


def _page(content: bytes) -> _Page:
    try:
        return _PAGES.decode(content)
    except msgspec.DecodeError:
        # Half a surrogate pair is legal JSON and refused all the same: one document
        # that holds one must not take the others with it.
        sent = json.loads(content)
        listed = sent.get("engagements") if isinstance(sent, dict) else None
        if not isinstance(listed, list):
            raise
        documents = [msgspec.Raw(json.dumps(one).encode()) for one in listed]
        return _Page(documents, sent.get("pagination"))


def _head(body: bytes) -> _Head:
    try:
        return _HEADS.decode(body)
    except msgspec.DecodeError:
        sent = json.loads(body)
        if not isinstance(sent, dict):
            raise
        sent = {name: sent.get(name) for name in _Head.__struct_fields__}
        return _Head(**{name: one for name, one in sent.items() if _is_whole(one)})


def _is_whole(value: Any) -> bool:
    """Whether a text has no half characters in it."""
    return not isinstance(value, str) or not _HALF.search(value)


def _row(body: bytes, fits: Callable[[bytes], Any]) -> Row:
    try:
        head = fitting = fits(body)
    except msgspec.DecodeError:
        head, fitting = _head(body), None
    start = parse_instant(head.startDate)
    return Row(
        head.id if isinstance(head.id, str) and head.id else None,
        head.accountId if isinstance(head.accountId, str) else None,
        start,
        start and _rounded_up(start, head.startDate),
        parse_instant(head.updateDate),
        parse_instant(head.endDate),
        head.status if isinstance(head.status, str) else None,
        body,
        fitting,
    )


def read_identifier_types(content: bytes) -> list[dict[str, Any]]:
    """The identifier types of an answer.

    Raises:
        ContractError: the body is no list of objects.
    """
    try:
        return msgspec.json.decode(content, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError(
            "The source's identifier types are no list of objects."
        ) from error


def read_problem(status: int, content: bytes) -> Problem:
    """What can be said about a refusal, whatever kind of body it came with."""
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem(status)
    if not isinstance(body, dict):
        return Problem(status)
    detail = body.get("detail") or body.get("title") or ""
    violations = body.get("violations") or ()
    fields = tuple(
        str(item["field"])[:60]
        for item in violations
        if isinstance(item, dict) and item.get("field")
    )
    return Problem(status, str(detail)[:200], fields)


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """The instant of a Date header, in UTC; None where there is none to be read."""
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError):
        return None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by Retry-After or the RateLimit headers; None: not said.

    Retry-After is RFC 9110 section 10.2.3 (seconds or a date); RateLimit-Remaining
    and RateLimit-Reset are the fields of draft-ietf-httpapi-ratelimit-headers, of
    which only "nothing left until" is used.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    if text:
        try:
            return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
        except (ValueError, TypeError):
            return None
    remaining, reset = (
        headers.get(f"ratelimit-{name}", "").strip() for name in ("remaining", "reset")
    )
    if remaining == "0" and reset.isdigit():
        return float(reset)
    return None


def parse_instant(text: object) -> datetime | None:
    """An instant, cut to microseconds, in UTC; None where it cannot be read.

    A time without an offset is taken for UTC, which is what the source documents. The
    years 1 and 9999 stand for no time at all, and cannot be reckoned with.
    """
    try:
        instant = datetime.fromisoformat(text)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None
    if not 1 < instant.year < 9999:
        return None
    if instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC)


def _rounded_up(start: datetime, text: str) -> datetime:
    if len(text) == _MILLISECONDS and text[19] == ".":
        return start  # as nearly every date comes
    finer = _FRACTION.search(text)
    return start + _MICROSECOND if finer and finer[2].strip("0") else start


def format_instant(instant: datetime) -> str:
    """An instant as the source writes it: UTC, milliseconds."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def floor_to(instant: datetime, tick: timedelta) -> datetime:
    """The last whole tick at or before `instant`."""
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (instant - midnight) // tick * tick


def ceil_to(instant: datetime, tick: timedelta) -> datetime:
    """The first whole tick at or after `instant`."""
    floor = floor_to(instant, tick)
    return floor if floor == instant else floor + tick
