"""Documents as a source might send them without warning: nulls, new fields, new words.

Which documents look odd depends on the seed and the engagement's id alone, so that a
document looks the same whenever it is read.
"""

from collections.abc import Callable, Sequence
from zlib import crc32

import orjson

from customer_journey.documents import ENGAGEMENT_FIELDS, Document
from customer_journey.faults import Faults
from customer_journey.instants import MINUTE, format_instant, parse_instant


def odd(faults: Faults, request: int, documents: Sequence[str]) -> Sequence[str]:
    """The documents' texts as the profiles in force make them look."""
    active = [name for name in _ODDITIES if faults.has(name)]
    if not active:
        return documents
    shown = []
    for text in documents:
        document = orjson.loads(text)
        for name in active:
            chance = crc32(f"{faults.seed}/{name}/{document['id']}".encode()) / 2**32
            if chance < _SHARES[name] and _ODDITIES[name](document):
                faults.note(name, request)
        shown.append(orjson.dumps(document).decode())
    return shown


def _nulls(document: Document) -> bool:
    absent = sorted(ENGAGEMENT_FIELDS - document.keys())
    document.update(dict.fromkeys(absent))
    for name in ("queues", "transfers", "agentNotes"):
        if document.get(name) == []:
            document[name] = None
    for participant in document.get("participants") or ():
        participant.setdefault("leftAt", None)
    return True


def _unknown_fields(document: Document) -> bool:
    document["sentiment"] = {"score": 0.4, "labels": ["calm", "brief"]}
    document["region"] = "north"
    for participant in document.get("participants") or ():
        participant["deviceType"] = "desk"
    return True


def _unknown_enums(document: Document) -> bool:
    word = crc32(document["id"].encode()) % 3
    if word == 0:
        document["status"] = "ARCHIVED"
    elif word == 1:
        document["direction"] = "INTERNAL"
    elif document.get("participants"):
        document["participants"][-1]["type"] = "OBSERVER"
    return True


def _missing_update_date(document: Document) -> bool:
    return document.pop("updateDate", None) is not None


def _late_leavers(document: Document) -> bool:
    end = parse_instant(document.get("endDate") or "")
    if end is None or not document.get("participants"):
        return False
    document["participants"][-1]["leftAt"] = format_instant(end + 3 * MINUTE)
    return True


_ODDITIES: dict[str, Callable[[Document], bool]] = {
    "unknown-fields": _unknown_fields,
    "unknown-enums": _unknown_enums,
    "missing-update-date": _missing_update_date,
    "late-leavers": _late_leavers,
    "nulls": _nulls,
}
_SHARES = {
    "unknown-fields": 0.5,
    "unknown-enums": 0.06,
    "missing-update-date": 0.3,
    "late-leavers": 0.2,
    "nulls": 0.5,
}
