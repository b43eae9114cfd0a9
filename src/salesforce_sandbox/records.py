"""Writing records: everything that the platform checks before a row changes.

One ``Writer`` lives for one transaction. The checks run in the platform's order:
rights, the fields' own limits, required fields, parents, validation rules, duplicate
rules, unique values. A refused record has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from salesforce_sandbox import ids, persons, rules
from salesforce_sandbox.drafts import Draft, ParentKey
from salesforce_sandbox.errors import Rejection
from salesforce_sandbox.schema import Field, SObject
from salesforce_sandbox.store import Row, Store
from salesforce_sandbox.values import check, show_instant


@dataclass(frozen=True, slots=True)
class Saved:
    """A record that was written."""

    id: str
    created: bool = False


@dataclass(slots=True)
class Writer:
    """Writes records in one transaction.

    Args:
        store: The org's rows.
        connection: The writing transaction.
        now: The org's time.
        user: Who writes.
        allow_save: Whether alerting duplicate rules are passed.
        before_row: Called with an object's name before each write; may refuse the row.
        before_create: Called before each new row; may refuse it for want of storage.
        system: Whether rights on objects and fields are not asked (the sandbox itself).
    """

    store: Store
    connection: sa.Connection
    now: datetime
    user: str
    allow_save: bool = False
    before_row: Callable[[str], None] | None = None
    before_create: Callable[[], None] | None = None
    system: bool = False

    def create(
        self, sobject: SObject, draft: Draft, *, free: str | None = None
    ) -> Saved:
        """Creates a record.

        Args:
            sobject: Its object.
            draft: Its values.
            free: A field whose value is known to be no other record's.

        Raises:
            Rejection: The record breaks a rule.
        """
        if not (sobject.createable or self.system):
            raise _no_right(sobject, "inserted")
        if draft.values.get("Id") is not None:
            message = "cannot specify Id in an insert call"
            raise Rejection("INVALID_FIELD_FOR_INSERT_UPDATE", message, ("Id",))
        self._check_rights(sobject, draft, creating=True)
        row: Row = dict.fromkeys(sobject.fields)
        row |= {f.name: f.default for f in sobject.fields.values()}
        row |= self._resolve(sobject, draft)
        for field in sobject.fields.values():
            if field.type == "boolean":
                row[field.name] = bool(row[field.name])
        if sobject.person:
            persons.prepare(self, sobject, row, set(draft.values), None)
        if "OwnerId" in row and row["OwnerId"] is None:
            row["OwnerId"] = self.user
        self._check(sobject, row, set(row) - {free}, creating=True)
        if free is not None:
            check(sobject.fields[free], row[free])
        if self.before_create is not None:
            self.before_create()
        row["Id"] = self.store.new_id(sobject)
        stamp = show_instant(self.now)
        row |= dict.fromkeys(
            ("CreatedDate", "LastModifiedDate", "SystemModstamp"), stamp
        )
        row |= dict.fromkeys(("CreatedById", "LastModifiedById"), self.user)
        self._number(sobject, row)
        self.store.insert(self.connection, sobject, row)
        if sobject.person:
            persons.follow(self, sobject, row)
        return Saved(row["Id"], created=True)

    def update(self, sobject: SObject, key: str, draft: Draft) -> Saved:
        """Changes a record.

        Raises:
            Rejection: There is no such record, or it would break a rule.
        """
        return self._change(sobject, self.live(sobject, key), draft)

    def upsert(self, sobject: SObject, external: Field, draft: Draft) -> Saved:
        """Creates or changes the record with an external id.

        Raises:
            Rejection: Several records have the id, or the record breaks a rule.
        """
        value = draft.values.get(external.name)
        if external.name == "Id":
            others = {k: v for k, v in draft.values.items() if k != "Id"}
            given = Draft(others, draft.parents)
            if value is None:
                return self.create(sobject, given)
            return self.update(sobject, value, given)
        if value is None:
            raise Rejection("MISSING_ARGUMENT", f"{external.name} not specified")
        found = self.store.find(self.connection, sobject, {external.name: value})
        if len(found) > 1:
            several = ", ".join(r["Id"] for r in found)
            raise Rejection(
                "DUPLICATE_EXTERNAL_ID",
                f"{external.name}: more than one record found for external id field: "
                f"[{several}]",
                (external.name,),
            )
        if not found:
            return self.create(sobject, draft, free=external.name)
        # The key itself is not written again: it may differ in case only.
        rest = {k: v for k, v in draft.values.items() if k != external.name}
        return self._change(sobject, found[0], Draft(rest, draft.parents))

    def live(self, sobject: SObject, key: str) -> Row:
        """Returns the row with an id, which must exist outside the recycle bin.

        Raises:
            Rejection: MALFORMED_ID, INVALID_CROSS_REFERENCE_KEY, ENTITY_IS_DELETED.
        """
        full = ids.normalise(str(key))
        if full is None or full[:3] != sobject.prefix:
            message = f"{sobject.name} ID: id value of incorrect type: {key}"
            raise Rejection("MALFORMED_ID", message, ("Id",))
        row = self.store.get(self.connection, sobject, full)
        if row is None:
            message = "invalid cross reference id"
            raise Rejection("INVALID_CROSS_REFERENCE_KEY", message, status=404)
        if row["IsDeleted"]:
            raise Rejection("ENTITY_IS_DELETED", "entity is deleted", status=404)
        return row

    def _change(self, sobject: SObject, before: Row, draft: Draft) -> Saved:
        if not (sobject.updateable or self.system):
            raise _no_right(sobject, "updated")
        self._check_rights(sobject, draft, creating=False)
        if not self.system:
            persons.refuse_half(before)
        changes = self._resolve(sobject, draft)
        for name, value in changes.items():
            if sobject.fields[name].type == "boolean":
                changes[name] = bool(value)
        row = before | changes
        if sobject.person:
            persons.prepare(self, sobject, row, set(draft.values), before)
        changed = {n for n in changes if row[n] != before[n]}
        self._check(sobject, row, changed, creating=False)
        changes = {n: row[n] for n in changes}
        if "Name" in sobject.fields and sobject.fields["Name"].computed:
            changes["Name"] = row["Name"]
        if sobject.person:
            changes |= {"Name": row["Name"]}
        self.touch(sobject, before["Id"], changes)
        if sobject.person:
            persons.follow(self, sobject, row)
        return Saved(before["Id"])

    def as_system(self) -> Writer:
        """Returns a writer of the same transaction that asks for no rights."""
        return replace(self, system=True, before_row=None)

    def touch(
        self, sobject: SObject, key: str, changes: Row, *, by_system: bool = False
    ) -> None:
        """Writes columns of a row with their stamps, without any check."""
        stamp = show_instant(self.now)
        stamps: Row = {"SystemModstamp": stamp}
        if not by_system:
            stamps |= {"LastModifiedDate": stamp, "LastModifiedById": self.user}
        self.store.update(self.connection, sobject, key, changes | stamps)

    def _check_rights(self, sobject: SObject, draft: Draft, *, creating: bool) -> None:
        if self.system:
            return
        names = [*draft.values, *draft.parents]
        fields = [sobject.fields[n] for n in names if n != "Id"]
        closed = [
            f.name for f in fields if not (f.createable if creating else f.updateable)
        ]
        if closed:
            raise Rejection(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                f"Unable to create/update fields: {', '.join(closed)}. Please check "
                "the "
                "security settings of this field and verify that it is read/write for "
                "your profile or permission set.",
                tuple(closed),
            )

    def _resolve(self, sobject: SObject, draft: Draft) -> Row:
        row = {k: v for k, v in draft.values.items() if k != "Id"}
        for name, value in row.items():
            field = sobject.fields[name]
            if field.type == "reference" and value is not None:
                row[name] = self._reference(field, value)
        for name, key in draft.parents.items():
            row[name] = self._parent(key)
        return row

    def _reference(self, field: Field, value: str) -> str:
        full = ids.normalise(value)
        target = self.store.schema.by_prefix(full) if full else None
        if full is None or target is None or target.name not in field.reference_to:
            message = f"{field.label}: id value of incorrect type: {value}"
            raise Rejection("MALFORMED_ID", message, (field.name,))
        row = self.store.get(self.connection, target, full)
        if row is None:
            raise Rejection("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if row["IsDeleted"]:
            raise Rejection("ENTITY_IS_DELETED", "entity is deleted")
        return full

    def _parent(self, key: ParentKey) -> str:
        found = self.store.find_ids(
            self.connection, key.target, {key.field.name: key.value}
        )
        if len(found) == 1:
            return found[0]
        what = "not found" if not found else "matches more than one record"
        raise Rejection(
            "INVALID_FIELD",
            f"Foreign key external ID: {key.value} {what} for field {key.field.name} "
            "in "
            f"entity {key.target.name}",
        )

    def _check(
        self, sobject: SObject, row: Row, changed: set[str], *, creating: bool
    ) -> None:
        if self.before_row is not None:
            self.before_row(sobject.name)
        for name in changed:
            check(sobject.fields[name], row[name])
        _check_required(sobject, row, changed, creating=creating)
        _compute(sobject, row)
        if not self.system:
            rules.check_validation(sobject, row, self.now)
            rules.check_duplicates(
                self.store, self.connection, sobject, row, changed,
                allow_save=self.allow_save,
            )  # fmt: skip
        for name in changed:
            field = sobject.fields[name]
            if field.unique and row[name] is not None:
                self._check_unique(sobject, field, row)

    def _check_unique(self, sobject: SObject, field: Field, row: Row) -> None:
        others = self.store.find_ids(
            self.connection, sobject, {field.name: row[field.name]}
        )
        for other in others:
            if other != row.get("Id"):
                raise Rejection(
                    "DUPLICATE_VALUE",
                    f"duplicate value found: {field.name} duplicates value on record "
                    f"with id: {other}",
                )

    def _number(self, sobject: SObject, row: Row) -> None:
        for field in sobject.fields.values():
            if field.auto_number:
                number = self.store.last_number(sobject)
                row[field.name] = field.auto_number.format(number)


def _no_right(sobject: SObject, verb: str) -> Rejection:
    return Rejection(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        f"entity type cannot be {verb}: {sobject.label}",
    )


def _check_required(
    sobject: SObject, row: Row, changed: set[str], *, creating: bool
) -> None:
    missing = tuple(
        f.name
        for f in sobject.fields.values()
        if f.required
        and (f.createable or f.updateable)
        and row[f.name] is None
        and (creating or f.name in changed)
    )
    if missing:
        raise Rejection(
            "REQUIRED_FIELD_MISSING",
            f"Required fields are missing: [{', '.join(missing)}]",
            missing,
        )


def _compute(sobject: SObject, row: Row) -> None:
    for field in sobject.fields.values():
        if field.computed == "person_name":
            parts = (row.get("FirstName"), row.get("LastName"))
            row[field.name] = " ".join(p for p in parts if p) or None


def outcome(attempt: Callable[[], Saved]) -> Saved | Rejection:
    """Runs one write and returns what came of it."""
    try:
        return attempt()
    except Rejection as rejection:
        return rejection


def as_result(result: Saved | Rejection, *, upsert: bool = False) -> dict[str, Any]:
    """Returns a result as Collections answer it."""
    if isinstance(result, Rejection):
        return {"success": False, "errors": [result.entry()]}
    body: dict[str, Any] = {"id": result.id, "success": True, "errors": []}
    if upsert:
        body["created"] = result.created
    return body
