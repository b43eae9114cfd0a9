"""Person accounts: an Account that is a person, and the Contact half that follows it.

An Account becomes a person by its record type, or by being created with a last name.
Its Contact half is written by the platform only; Salesforce Help, "Person Accounts".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from salesforce_sandbox.drafts import Draft
from salesforce_sandbox.errors import Rejection

if TYPE_CHECKING:
    from salesforce_sandbox.records import Writer
    from salesforce_sandbox.schema import SObject
    from salesforce_sandbox.store import Row

_HALVES = {
    "Salutation": "Salutation",
    "FirstName": "FirstName",
    "LastName": "LastName",
    "Phone": "Phone",
    "PersonEmail": "Email",
    "PersonMobilePhone": "MobilePhone",
    "PersonHomePhone": "HomePhone",
    "PersonBirthdate": "Birthdate",
}
"""The Contact's fields by the Account's fields that they follow."""
_PERSONAL = frozenset(_HALVES) - {"Phone"}


def prepare(
    writer: Writer, sobject: SObject, row: Row, given: set[str], before: Row | None
) -> None:
    """Decides whether an Account is a person, and refuses the other kind's fields.

    Raises:
        Rejection: INVALID_FIELD_FOR_INSERT_UPDATE or REQUIRED_FIELD_MISSING.
    """
    types = writer.store.schema.objects["RecordType"]
    kind = row["RecordTypeId"]
    if kind is None:
        kind = _default_type(writer, types, person=row["LastName"] is not None)
    found = writer.store.get(writer.connection, types, kind)
    person = bool(found and found["IsPersonType"])
    if before is not None and person != before["IsPersonAccount"]:
        raise Rejection(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Cannot specify any additional fields when marrying or separating a "
            "Person-Account",
        )
    row["RecordTypeId"], row["IsPersonAccount"] = kind, person
    wrong = sorted(given & ({"Name"} if person else _PERSONAL))
    if wrong:
        raise Rejection(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"{sobject.label}: bad field names on insert/update call: "
            f"{', '.join(wrong)}",
            tuple(wrong),
        )
    if person:
        if row["LastName"] is None:
            message = "Required fields are missing: [LastName]"
            raise Rejection("REQUIRED_FIELD_MISSING", message, ("LastName",))
        row["Name"] = " ".join(p for p in (row["FirstName"], row["LastName"]) if p)


def _default_type(writer: Writer, types: SObject, *, person: bool) -> str:
    wanted = {"SobjectType": "Account", "IsPersonType": person}
    return writer.store.find_ids(writer.connection, types, wanted)[0]


def follow(writer: Writer, sobject: SObject, row: Row) -> None:
    """Makes or changes the Contact half of a person's Account."""
    if not row["IsPersonAccount"]:
        return
    contacts = writer.store.schema.objects["Contact"]
    values = {theirs: row[ours] for ours, theirs in _HALVES.items()}
    system = writer.as_system()
    if row["PersonContactId"] is None:
        values |= {"AccountId": row["Id"], "IsPersonAccount": True}
        half = system.create(contacts, Draft(values)).id
        row["PersonContactId"] = half
        changes = {"PersonContactId": half}
        writer.store.update(writer.connection, sobject, row["Id"], changes)
    else:
        system.update(contacts, row["PersonContactId"], Draft(values))


def refuse_half(row: Row) -> None:
    """Refuses to write the Contact half of a person's Account.

    Raises:
        Rejection: INSUFFICIENT_ACCESS_OR_READONLY.
    """
    if row.get("PersonContactId") is None and row.get("IsPersonAccount"):
        message = "insufficient access rights on object id"
        raise Rejection("INSUFFICIENT_ACCESS_OR_READONLY", message)
