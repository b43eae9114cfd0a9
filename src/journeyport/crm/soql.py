"""Queries: escaping, values in groups that fit an address, rows; pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from journeyport.crm.protocol import Seen

QUERY_CHARS = 9_000
"""Most characters of the values in one query, once encoded: a GET's address may have
16,384 bytes in all."""

QUERY_VALUES = 400

AUTOMATION = (
    (
        "trigger",
        "query",
        "Name",
        (
            "SELECT Name FROM ApexTrigger "
            "WHERE TableEnumOrId IN ({names}) AND Status = 'Active'"
        ),
    ),
    (
        "flow",
        "query",
        "ApiName",
        (
            "SELECT ApiName FROM FlowDefinitionView "
            "WHERE TriggerObjectOrEvent.QualifiedApiName = '{object}' "
            "AND IsActive = true"
        ),
    ),
    (
        "validation rule",
        "tooling/query",
        "ValidationName",
        (
            "SELECT ValidationName FROM ValidationRule "
            "WHERE EntityDefinition.QualifiedApiName = '{object}' AND Active = true"
        ),
    ),
    (
        "duplicate rule",
        "query",
        "DeveloperName",
        (
            "SELECT DeveloperName FROM DuplicateRule "
            "WHERE SobjectType = '{object}' AND IsActive = true"
        ),
    ),
)
"""Kind, path, name field and query of what acts on written records.

Each names the object so that it finds a custom one too: a trigger holds a standard
object's name and a custom object's id, of 15 or 18 characters.
https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_entitydefinition.htm
"""

ENTITY = "SELECT DurableId FROM EntityDefinition WHERE QualifiedApiName = '{object}'"
"""A custom object's id; a standard one's is its name."""

_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def seen_of(row: Mapping[str, Any], fields: Sequence[str]) -> Seen:
    """A row of a query."""
    return Seen(
        row["Id"],
        {name: row.get(name) for name in fields if name != "Id"},
        is_deleted=bool(row.get("IsDeleted")),
        master_id=row.get("MasterRecordId"),
    )


def instant_of(text: str) -> datetime:
    """An instant as the API writes it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


def escaped(value: str) -> str:
    """A text as it may stand between the quotes of a query."""
    return (
        value.replace("\\", "\\\\")
        .replace("'", "\\'")
        .replace("\n", "\\n")
        .replace("\r", "\\r")
    )


def parts(values: Sequence[str]) -> Iterator[list[str]]:
    """Values in groups that fit one query's address."""
    part: list[str] = []
    size = 0
    for value in values:
        cost = len(quote(escaped(value))) + 10
        if part and (size + cost > QUERY_CHARS or len(part) == QUERY_VALUES):
            yield part
            part, size = [], 0
        part.append(value)
        size += cost
    if part:
        yield part


def both_forms(record_id: str) -> tuple[str, ...]:
    """An id of 15 characters with its form of 18; anything else as it is.

    https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/field_types.htm
    """
    if len(record_id) not in {15, 18} or not record_id.isalnum():
        return (record_id,)
    short = record_id[:15]
    suffix = "".join(
        _SUFFIX[sum(1 << n for n in range(5) if short[start + n].isupper())]
        for start in (0, 5, 10)
    )
    return (short, short + suffix)
