"""Records and descriptions as Salesforce's REST API writes them; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from journeyport.crm.protocol import (
    Answer,
    Field,
    Operation,
    Shape,
    Verdict,
    Write,
)
from journeyport.errors import ContractError


def shape_of(found: Mapping[str, Any]) -> Shape:
    """An object from its describe."""
    return Shape(
        found["name"],
        {field["name"]: field_of(field) for field in found["fields"]},
        createable=bool(found.get("createable")),
        updateable=bool(found.get("updateable")),
        deletable=bool(found.get("deletable")),
        queryable=bool(found.get("queryable", True)),
    )


def field_of(found: Mapping[str, Any]) -> Field:
    """A field from its describe."""
    fillable = found.get("nillable") or found.get("defaultedOnCreate")
    choices = found.get("picklistValues") or ()
    return Field(
        found["name"],
        found["type"],
        label=found.get("label", ""),
        length=found.get("length") or 0,
        precision=found.get("precision") or 0,
        scale=found.get("scale") or 0,
        required=bool(found.get("createable")) and not fillable,
        createable=bool(found.get("createable")),
        updateable=bool(found.get("updateable")),
        is_external_id=bool(found.get("externalId")),
        is_unique=bool(found.get("unique")),
        relationship=found.get("relationshipName"),
        reference_to=tuple(found.get("referenceTo") or ()),
        choices=tuple(c["value"] for c in choices if c.get("active", True))
        if found.get("restrictedPicklist")
        else (),
    )


def body_of(
    object_name: str, key: str, operation: Operation, write: Write
) -> dict[str, Any]:
    """One record of a Collections request."""
    record: dict[str, Any] = {"attributes": {"type": object_name}, **write.values}
    if operation is Operation.UPSERT:
        record[key] = write.key
    else:
        record["id"] = write.record_id
    for parent in write.parents.values():
        record[parent.relationship] = {
            "attributes": {
                "type": parent.object_name
            },  # for lookups to several objects
            parent.field: parent.key,
        }
    return record


def answers_of(numbers: Sequence[int], answers: Any) -> list[Answer]:
    """The answers of a Collections request, in the order of its records."""
    if not isinstance(answers, list) or len(answers) != len(numbers):
        raise ContractError(
            "Salesforce did not answer one result a record; nothing of this call was "
            "written down, the next run looks at what is there."
        )
    return [
        answer_of(number, found) for number, found in zip(numbers, answers, strict=True)
    ]


def answer_of(number: int, found: Mapping[str, Any]) -> Answer:
    """One answer of a Collections request."""
    if found.get("success"):
        return Answer(
            number,
            Verdict.ACCEPTED,
            record_id=found.get("id") or "",
            was_created=bool(found.get("created")),
        )
    first = (found.get("errors") or [{}])[0]
    return Answer(
        number,
        Verdict.REJECTED,
        code=first.get("statusCode", "UNKNOWN"),
        fields=tuple(first.get("fields") or ()),
        message=first.get("message", ""),
    )
