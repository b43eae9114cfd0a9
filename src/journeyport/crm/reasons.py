"""Why a record was refused, in words that name the remedy and hold no value.

The CRM's own sentence often quotes the value it refuses, of this record or of another;
it is passed on only for rules that administrators wrote, and scrubbed even then.
Codes: https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm
"""

import re
from collections.abc import Mapping

from journeyport.crm.protocol import Answer, Value

LOCKED = frozenset({"UNABLE_TO_LOCK_ROW"})
"""Passes by itself: tried again in the same run, one record a call."""

WORDS: Mapping[str, str] = {
    "DUPLICATE_VALUE": (
        "Another record holds this value in a unique field; find it in the CRM and "
        "merge or correct one of the two."
    ),
    "DUPLICATE_EXTERNAL_ID": (
        "Several records hold this external id; make the field unique and keep one."
    ),
    "DUPLICATES_DETECTED": (
        "A duplicate rule of the org refuses it; merge the duplicates or let the "
        "integration user bypass the rule."
    ),
    "ENTITY_IS_DELETED": "The record was deleted in the CRM; it is not brought back.",
    "FIELD_INTEGRITY_EXCEPTION": "A field's value does not fit the org's set-up.",
    "INSUFFICIENT_ACCESS_OR_READONLY": (
        "The integration user may not write this record; share it with that user or "
        "give the permission set."
    ),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": (
        "The integration user may not see the parent record; share it with that user."
    ),
    "INVALID_CROSS_REFERENCE_KEY": (
        "The record, or one it points to, is not there or not visible to this user."
    ),
    "INVALID_EMAIL_ADDRESS": "The CRM does not take this as an e-mail address.",
    "INVALID_FIELD": (
        "The parent with that external id, or the field, is not there; run "
        "`journeyport crm check`."
    ),
    "INVALID_FIELD_FOR_INSERT_UPDATE": (
        "The integration user may not write this field; give the permission set."
    ),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": (
        "The value is none of the picklist's; add it there or map it."
    ),
    "INVALID_TYPE_ON_FIELD_IN_RECORD": "The value's type is not the field's.",
    "LIMIT_EXCEEDED": "A limit of the org is reached.",
    "MALFORMED_ID": "A record id is malformed.",
    "NUMBER_OUTSIDE_VALID_RANGE": "The number has more digits than the field takes.",
    "REQUIRED_FIELD_MISSING": (
        "The org requires a field that is not mapped; map it or relax the field."
    ),
    "STORAGE_LIMIT_EXCEEDED": "The org's data storage is full; free some or buy more.",
    "STRING_TOO_LONG": (
        "The text is longer than the field; lengthen the field or set `cut: true` in "
        "the mapping."
    ),
    "UNABLE_TO_LOCK_ROW": (
        "Somebody else held the record or its parent, several times in a row."
    ),
}

RULES = frozenset(
    {"FIELD_CUSTOM_VALIDATION_EXCEPTION", "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"}
)
"""Administrators wrote what these say."""

_LIKE_VALUES = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # an e-mail address
    r"|\b[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?\b"  # a record id
    r"|\+?\d[\d ()/-]{5,}\d"  # a phone number
)


def in_words(answer: Answer, values: Mapping[str, Value]) -> str:
    """Why the CRM refused the record.

    Args:
        answer: the refusal.
        values: what was sent, to be scrubbed from the CRM's own sentence.
    """
    words = WORDS.get(answer.code)
    if words is not None:
        return words
    if answer.code in RULES:
        said = scrubbed(answer.message, values)
        return f"A rule or trigger of the org refuses it: {said}"
    return (
        "The CRM refuses it for a reason that journeyport does not know; look the code "
        "up in Salesforce's list of status codes."
    )


def scrubbed(message: str, values: Mapping[str, Value]) -> str:
    """The sentence without the record's values, and without what looks like one."""
    for value in values.values():
        text = str(value)
        if not isinstance(value, bool) and value is not None and len(text) >= 3:
            message = message.replace(text, "…")
    return _LIKE_VALUES.sub("…", message)[:500]
