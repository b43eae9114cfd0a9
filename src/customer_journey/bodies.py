"""What each operation takes from its body: raw JSON in, checked values out.

The limits themselves are in validation.py. Fields the contract does not name are
allowed on engagements and participants, and are kept unless the service answers with a
field of that name itself.
"""

from typing import Any

from customer_journey.documents import ENGAGEMENT_FIELDS, PARTICIPANT_FIELDS
from customer_journey.instants import format_instant
from customer_journey.problems import Problem
from customer_journey.search import Query
from customer_journey.validation import (
    ACCOUNT,
    NAME,
    REQUIRED,
    TOO_SHORT,
    UUID,
    WRONG_TYPE,
    Check,
    Values,
)

STRENGTHS = ("WEAK", "STRONG", "VERY_STRONG")
AUTOMATIONS = ("SELF_SERVICE", "TREATMENT", "CHATBOT")
_TOPIC = (3, 256)
_UPDATE_FIELDS = ENGAGEMENT_FIELDS | {"timestamp"}
_ADD_FIELDS = PARTICIPANT_FIELDS | {"timestamp"}


def _object(body: Any) -> Check:
    if not isinstance(body, dict):
        check = Check({})
        check.add("body", "must be a JSON object", WRONG_TYPE)
        check.done()
    return Check(body)


def journey_query(body: Any, account: str) -> Query:
    """Search Journey's filters."""
    check = _object(body)
    channels = check.strings("channelIds", (1, 10), (3, 20), unique=True)
    query = Query(
        account=account,
        identifiers=check.identifiers("identifiers"),
        start=_bound(check, "startDate"),
        end=_bound(check, "endDate"),
        conversation=check.string("conversation", *_TOPIC, nullable=True),
        agent=check.string("agentId", 3, 36),
        channels=tuple(channels or ()),
    )
    check.done()
    return query


def _bound(check: Check, name: str) -> int | None:
    """A bound of what is searched for: whole milliseconds, as startDates are."""
    instant = check.instant(name, nullable=True)
    return None if instant is None else instant // 1000 * 1000


def agents_query(body: Any) -> tuple[Values, str, int | None]:
    """List Agents' identifiers, channel and earliest instant."""
    check = _object(body)
    identifiers = check.identifiers("identifiers", required=True)
    channel = check.string("channelId", 3, 50, required=True)
    start = _bound(check, "startDate")
    check.done()
    return identifiers or {}, channel or "", start


def engagement(body: Any) -> dict[str, Any]:
    """A new engagement."""
    check = _object(body)
    start = check.instant("startDate", required=True)
    found: dict[str, Any] = {
        "id": check.string("id", 36, 36, required=True, pattern=UUID),
        "identifiers": check.identifiers("identifiers", required=True),
        "startDate": None if start is None else format_instant(start // 1000 * 1000),
        "conversations": check.strings("conversations", (0, 10), _TOPIC) or [],
        "data": check.data("data") or {},
        "extras": _extras(check.fields, ENGAGEMENT_FIELDS),
    }
    if check.fields.get("direction") in ("INBOUND", "OUTBOUND"):
        found["extras"]["direction"] = check.fields["direction"]
    check.done()
    return found


def engagement_update(body: Any) -> dict[str, Any]:
    """What Update Engagement adds."""
    check = _object(body)
    check.instant("timestamp", required=True)
    found = {
        "identifiers": check.identifiers("identifiers") or {},
        "conversations": check.strings("conversations", (0, 10), _TOPIC) or [],
        "data": check.data("data") or {},
        "extras": _extras(check.fields, _UPDATE_FIELDS),
    }
    check.done()
    return found


def append(body: Any) -> Values:
    """Append Identifiers' values; none is fine and changes nothing."""
    check = _object(body)
    identifiers = check.identifiers("identifiers")
    check.done()
    return identifiers or {}


def journey(body: Any) -> Values:
    """Create Journey's identifiers."""
    check = _object(body)
    identifiers = check.identifiers("identifiers", required=True)
    check.done()
    return identifiers or {}


def unlink(body: Any) -> tuple[Values, str, str]:
    """Unlink's identifiers and the one to take out: its name and value.

    The published schema nests ``identifiers`` twice and its examples do not: both are
    taken.
    """
    check = _object(body)
    nested = check.fields.get("identifiers")
    if isinstance(nested, dict) and isinstance(nested.get("identifiers"), dict):
        check = Check({**check.fields, "identifiers": nested["identifiers"]})
    identifiers = check.identifiers("identifiers", required=True)
    one: Any = check.fields.get("unlinkIdentifier")
    name: str = ""
    value: str = ""
    if not check.has("unlinkIdentifier"):
        check.add("unlinkIdentifier", "is required", REQUIRED)
    elif not isinstance(one, dict):
        check.add("unlinkIdentifier", "must be an object", WRONG_TYPE)
    elif len(one) != 1:
        check.add("unlinkIdentifier", "must hold exactly one name", TOO_SHORT)
    else:
        ((name, given),) = one.items()
        value = check.text("unlinkIdentifier.*", given, 1, 256) or ""
    check.done()
    return identifiers or {}, name, value


def participant(body: Any) -> dict[str, Any]:
    """A participant that joins, in the form a document holds it."""
    check = _object(body)
    kind = check.one_of("type", ("EXTERNAL", "AGENT", "TREATMENT"), required=True)
    check.string("id", 0, 36)
    joined = check.instant("timestamp", required=True)
    found: dict[str, Any] = {
        "type": kind,
        "dialogId": check.string("dialogId", 36, 36, required=True, pattern=UUID),
        "channelId": check.string("channelId", 3, 50, required=True),
        "channelType": check.string("channelType", 3, 50, required=True),
        "joinedAt": None if joined is None else format_instant(joined // 1000 * 1000),
    }
    if kind == "EXTERNAL":
        for name in ("callingNumber", "dialledNumber"):
            found[name] = check.string(name, 3, 256, required=True)
    elif kind == "AGENT":
        found["extension"] = check.string("extension", 3, 256, required=True)
    elif kind == "TREATMENT":
        found["automationType"] = check.one_of(
            "automationType", AUTOMATIONS, required=True
        )
    shown = check.fields.get("agentDisplayName")
    if kind == "AGENT" and isinstance(shown, str):
        found["agentDisplayName"] = shown
    check.done()
    return {**_extras(check.fields, _ADD_FIELDS), **found}


def note(body: Any) -> str:
    """An agent note's text."""
    check = _object(body)
    text = check.string("note", 1, 512, required=True)
    check.done()
    return text or ""


def identifier_type(body: Any) -> dict[str, str | None]:
    """An identifier type's name, strength and display name."""
    check = _object(body)
    found = {
        "name": check.string("name", 3, 50, required=True, pattern=NAME),
        "strength": check.one_of("identifierStrength", STRENGTHS, required=True),
        "display_name": check.string("displayName", 3, 50),
    }
    check.done()
    return found


def names(body: Any) -> list[str]:
    """The names or ids of identifier types to delete."""
    check = Check({})
    found = check.texts("body", body, (1, 50), (3, 50))
    check.done()
    return found


def uuid(field: str, value: str) -> str:
    """A path's UUID, or a refusal."""
    check = Check({})
    text = check.text(field, value, 36, 36, pattern=UUID)
    check.done()
    return text or ""


def text(field: str, value: str, least: int, most: int) -> str:
    """A path's text of a given length, or a refusal."""
    check = Check({})
    found = check.text(field, value, least, most)
    check.done()
    return found or ""


def uuids(raw: str | None) -> list[str]:
    """The comma-separated ids of List Engagements."""
    check = Check({})
    if raw is None:
        check.add("engagementIds", "is required", REQUIRED)
        check.done()
        raise Problem(400, "The engagementIds are missing.")
    found = check.texts("engagementIds", raw.split(","), (1, 50), (36, 36), unique=True)
    for place, one in enumerate(found):
        check.text(f"engagementIds[{place}]", one, 36, 36, pattern=UUID)
    check.done()
    return found


def paging(query: dict[str, str]) -> tuple[int, int]:
    """The page's number and size."""
    check = Check(query)
    number = check.integer("pageNumber", 1, 2**31 - 1, 1)
    size = check.integer("pageSize", 1, 50, 50)
    check.done()
    return number, size


def _extras(fields: Any, known: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in known}


def agents_paging(query: dict[str, str]) -> tuple[int, bool]:
    """How many agents List Agents gives, and whether the latest come first."""
    check = Check(query)
    size = check.integer("pageSize", 1, 10, 1)
    order = check.one_of("orderBy", ("asc", "desc"))
    check.done()
    return size, order != "asc"


def account(value: str) -> None:
    """Refuse an account id that is not six letters."""
    check = Check({})
    check.text("accountId", value, 6, 6, pattern=ACCOUNT)
    check.done()
