"""Deleting, undeleting and merging records, and what becomes of their children.

Lookups to a deleted record are emptied; undeleting fills those again that are still
empty. Emptying and re-pointing change a child's SystemModstamp only.
"""

from __future__ import annotations

import json

from salesforce_sandbox import drafts
from salesforce_sandbox.errors import Rejection
from salesforce_sandbox.records import Saved, Writer
from salesforce_sandbox.schema import Field, SObject
from salesforce_sandbox.store import Row


def delete(writer: Writer, sobject: SObject, key: str) -> Saved:
    """Puts a record into the recycle bin.

    Raises:
        Rejection: There is no such record, or it may not be deleted.
    """
    if not (sobject.deletable or writer.system):
        message = "insufficient access rights on object id"
        raise Rejection("INSUFFICIENT_ACCESS_OR_READONLY", message)
    if writer.before_row is not None:
        writer.before_row(sobject.name)
    row = writer.live(sobject, key)
    emptied = [
        (child.name, field.name, found["Id"])
        for child, field, found in _children(writer, sobject, row["Id"])
        if found["Id"] != row.get("PersonContactId")
    ]
    for child_name, field_name, child_id in emptied:
        child = writer.store.schema.objects[child_name]
        writer.touch(child, child_id, {field_name: None}, by_system=True)
    writer.touch(sobject, row["Id"], {"IsDeleted": True})
    if row.get("PersonContactId"):
        contacts = writer.store.schema.objects["Contact"]
        delete(writer.as_system(), contacts, row["PersonContactId"])
    fact = f"bin.{row['Id']}"
    writer.store.set_fact(writer.connection, fact, json.dumps(emptied))
    return Saved(row["Id"])


def undelete(writer: Writer, sobject: SObject, key: str) -> Saved:
    """Takes a record out of the recycle bin.

    Raises:
        Rejection: It is not in the bin, or its unique value was taken since.
    """
    row = writer.store.get(writer.connection, sobject, key)
    if row is None or not row["IsDeleted"]:
        raise Rejection("UNDELETE_FAILED", "Entity is not in the recycle bin")
    for field in sobject.fields.values():
        if field.unique and row[field.name] is not None:
            _refuse_taken(writer, sobject, field, row)
    changes: Row = {"IsDeleted": False}
    if sobject.mergeable:
        changes["MasterRecordId"] = None
    writer.touch(sobject, key, changes)
    if row.get("PersonContactId"):
        contacts = writer.store.schema.objects["Contact"]
        undelete(writer, contacts, row["PersonContactId"])
    emptied = writer.store.fact(writer.connection, f"bin.{key}") or "[]"
    for child_name, field_name, child_id in json.loads(emptied):
        child = writer.store.schema.objects[child_name]
        found = writer.store.get(writer.connection, child, child_id)
        if found is not None and found[field_name] is None:
            writer.touch(child, child_id, {field_name: key}, by_system=True)
    return Saved(key)


def merge(
    writer: Writer,
    sobject: SObject,
    master: str,
    losers: list[str],
    values: Row,
) -> Saved:
    """Merges up to two records into a third, as people do in the CRM.

    The losers end in the recycle bin with ``MasterRecordId``, their children under
    the master; the master takes the values chosen by the person who merges.

    Raises:
        Rejection: The object has no merge, or a record is not there.
    """
    if not sobject.mergeable or not 1 <= len(losers) <= 2 or master in losers:
        raise Rejection("INVALID_OPERATION", "Invalid merge request")
    kept = writer.live(sobject, master)
    for loser in losers:
        _absorb(writer, sobject, kept, writer.live(sobject, loser))
    return writer.update(
        sobject, kept["Id"], drafts.from_json(writer.store.schema, sobject, values)
    )


def _absorb(writer: Writer, sobject: SObject, kept: Row, gone: Row) -> None:
    """Bins a loser under its winner; of two persons the Contact halves too."""
    for child, field, found in _children(writer, sobject, gone["Id"]):
        if found["Id"] != gone.get("PersonContactId"):
            writer.touch(child, found["Id"], {field.name: kept["Id"]}, by_system=True)
    changes: Row = {"IsDeleted": True, "MasterRecordId": kept["Id"]}
    writer.touch(sobject, gone["Id"], changes)
    if gone.get("PersonContactId") and kept.get("PersonContactId"):
        contacts = writer.store.schema.objects["Contact"]
        halves = [writer.live(contacts, r["PersonContactId"]) for r in (kept, gone)]
        _absorb(writer, contacts, halves[0], halves[1])


def _children(
    writer: Writer, sobject: SObject, key: str
) -> list[tuple[SObject, Field, Row]]:
    return [
        (child, field, row)
        for child in writer.store.schema.objects.values()
        for field in child.fields.values()
        if sobject.name in field.reference_to
        for row in writer.store.find(writer.connection, child, {field.name: key})
    ]


def _refuse_taken(writer: Writer, sobject: SObject, field: Field, row: Row) -> None:
    others = writer.store.find(
        writer.connection, sobject, {field.name: row[field.name]}
    )
    if others:
        raise Rejection(
            "DUPLICATE_VALUE",
            f"duplicate value found: {field.name} duplicates value on record with "
            f"id: {others[0]['Id']}",
        )
