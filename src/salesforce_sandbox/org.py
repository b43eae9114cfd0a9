"""One org: its rows, users, clock, limits, faults, sessions and open query cursors.

Everything that the doors (``rest``, ``collections``, ``bulk``, ``admin``) share is made
here once, and handed to them.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from salesforce_sandbox import drafts, ids
from salesforce_sandbox.auth import Sessions
from salesforce_sandbox.clock import Clock
from salesforce_sandbox.errors import ApiError, Rejection
from salesforce_sandbox.faults import Faults
from salesforce_sandbox.limits import Limits
from salesforce_sandbox.records import Saved, Writer
from salesforce_sandbox.schema import Schema, SObject
from salesforce_sandbox.store import Row, Store

API_VERSION = "v66.0"
OPEN_CURSORS = 50
PAGE_SIZE = 2_000
UPLOAD_BYTES = 150 * 1024 * 1024


@dataclass(slots=True)
class Extract:
    """One Bulk 2.0 query job with the sheet that it found, header first."""

    info: dict[str, Any]
    sheet: list[list[str]]


class Org:
    """An org on one SQLite file.

    Args:
        database: The file; made with a new org when it does not exist.
        schema: What the org declares.
        public_key: PEM of the key that checks JWT assertions.
        production: Whether a new org says that it is none of the sandboxes.
    """

    def __init__(
        self,
        database: Path,
        schema: Schema,
        *,
        public_key: str | None = None,
        production: bool = False,
    ) -> None:
        self.schema = schema
        self.store = Store(database, schema)
        self.clock = Clock()
        self.limits = Limits()
        self.faults = Faults()
        self.page_size, self.upload_bytes = PAGE_SIZE, UPLOAD_BYTES
        self.extracts: dict[str, Extract] = {}
        self._cursors: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
        self._cursor_lock = threading.Lock()
        with self.store.writing() as connection:
            known = self.store.fact(connection, "org.id")
            if known is None:
                self._found(connection, production=production)
            self._seed_fixed(connection)
            facts = {
                name: str(self.store.fact(connection, name))
                for name in (
                    "org.id",
                    "org.key",
                    "org.secret",
                    "org.user",
                    "org.person",
                )
            }
        self.id = facts["org.id"]
        self.user, self.person = facts["org.user"], facts["org.person"]
        self.sessions = Sessions(
            facts["org.key"],
            facts["org.secret"],
            "integration@sandbox.example",
            public_key,
        )

    def close(self) -> None:
        """Closes the database."""
        self.store.close()

    def _found(self, connection: sa.Connection, *, production: bool) -> None:
        writer = Writer(self.store, connection, self.clock.now(), "", system=True)
        users = self.schema.objects["User"]
        made = [self._row(writer, users, row) for row in users.rows]
        # Another org must have another id, even where all else is equal.
        short = f"00D{ids.POD}{secrets.token_hex(5)[:9]}"
        org_id = ids.long_form(short)
        organization = self.schema.objects["Organization"]
        first = self._row(
            writer,
            organization,
            {
                "Name": "Acme Contact Centre" if production else "Sandbox",
                "IsSandbox": not production,
                "OrganizationType": "Enterprise Edition",
                "InstanceName": "SBX1",
                "TimeZoneSidKey": "Europe/Berlin",
                "LanguageLocaleKey": "en_US",
                "DefaultLocaleSidKey": "en_US",
            },
        )
        self.store.update(connection, organization, first.id, {"Id": org_id})
        for name, value in {
            "org.id": org_id,
            "org.key": f"3MVG9{secrets.token_urlsafe(30)}",
            "org.secret": secrets.token_hex(32).upper(),
            "org.user": made[0].id,
            "org.person": made[1].id,
        }.items():
            self.store.set_fact(connection, name, value)

    def _seed_fixed(self, connection: sa.Connection) -> None:
        """Writes the rows that the schema fixes, rules' own rows among them."""
        writer = Writer(self.store, connection, self.clock.now(), "", system=True)
        durable = _durable_ids(self.schema)
        rows: dict[str, list[Mapping[str, Any]]] = {
            o.name: [_by_durable_id(row, durable) for row in o.rows]
            for o in self.schema.objects.values()
            if not o.createable and o.name not in {"User", "Organization"}
        }
        for sobject in self.schema.objects.values():
            own = durable[sobject.name]
            definition = {"QualifiedApiName": sobject.name, "DurableId": own}
            rows["EntityDefinition"].append(definition)
            rows["DuplicateRule"] += [
                {
                    "DeveloperName": r.name,
                    "MasterLabel": r.name,
                    "SobjectType": sobject.name,
                    "IsActive": r.active,
                }
                for r in sobject.duplicate_rules
            ]
            rows["ValidationRule"] += [
                {
                    "ValidationName": r.name,
                    "EntityDefinitionId": own,
                    "ErrorDisplayField": r.field,
                    "ErrorMessage": r.message,
                    "Active": r.active,
                }
                for r in sobject.validation_rules
            ]
        for name, wanted in rows.items():
            sobject, table = self.schema.objects[name], self.store.tables[name]
            found = [self.store.find_ids(connection, sobject, row) for row in wanted]
            kept = [keys[0] if keys else None for keys in found]
            present = [key for key in kept if key is not None]
            connection.execute(table.delete().where(table.c.Id.not_in(present)))
            for key, row in zip(kept, wanted, strict=True):
                if key is None:
                    made = self._row(writer, sobject, row).id
                    changes = {"Id": row.get("DurableId", made)}
                    self.store.update(connection, sobject, made, changes)

    def _row(self, writer: Writer, sobject: SObject, row: Mapping[str, Any]) -> Saved:
        return writer.create(sobject, drafts.from_json(self.schema, sobject, row))

    def reset(self) -> None:
        """Forgets records, jobs, faults, sessions, counters and the clock's moves.

        The org itself, its users and its connected app stay.
        """
        with self.store.writing() as connection:
            for sobject in self.schema.objects.values():
                if sobject.createable:
                    connection.execute(self.store.tables[sobject.name].delete())
            connection.execute(self.store.jobs.delete())
            connection.execute(self.store.results.delete())
        self.faults.clear()
        self.clock.reset()
        self.limits.reset()
        self.sessions.end_all()
        self.page_size, self.upload_bytes = PAGE_SIZE, UPLOAD_BYTES
        self.extracts.clear()
        with self._cursor_lock:
            self._cursors.clear()

    def sobject(self, name: str) -> SObject:
        """Returns an object by name.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        found = self.schema.find(name)
        if found is None or found.tooling:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return found

    @contextmanager
    def writer(
        self,
        *,
        user: str | None = None,
        allow_save: bool = False,
        system: bool = False,
    ) -> Iterator[Writer]:
        """Gives a writer in a transaction of its own."""
        with self.store.writing() as connection:
            room = _Room(self, connection)
            yield Writer(
                self.store,
                connection,
                self.clock.now(),
                user or self.user,
                allow_save=allow_save,
                before_row=None if system else self._may_lock,
                before_create=room.take,
                system=system,
            )

    def _may_lock(self, sobject: str) -> None:
        if self.faults.on("row_lock", sobject) is not None:
            raise Rejection(
                "UNABLE_TO_LOCK_ROW",
                "unable to obtain exclusive access to this record or 1 records",
            )

    def page(self, records: list[dict[str, Any]], size: int) -> dict[str, Any]:
        """Returns the first page of an answer and keeps the rest for later."""
        locator = ids.make("0r8", secrets.randbelow(62**8))
        with self._cursor_lock:
            if len(records) > size:
                self._cursors[locator] = records
                while len(self._cursors) > OPEN_CURSORS:
                    self._cursors.popitem(last=False)
        return self._slice(locator, records, 0, size)

    def next_page(self, locator: str, size: int) -> dict[str, Any]:
        """Returns a later page, named by ``<cursor>-<offset>``.

        Raises:
            ApiError: INVALID_QUERY_LOCATOR, for a cursor that is not open.
        """
        cursor, _, offset = locator.partition("-")
        with self._cursor_lock:
            records = self._cursors.get(cursor)
        if records is None or not offset.isdigit():
            raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._slice(cursor, records, int(offset), size)

    @staticmethod
    def _slice(
        cursor: str, records: list[dict[str, Any]], start: int, size: int
    ) -> dict[str, Any]:
        end = start + size
        body: dict[str, Any] = {"totalSize": len(records), "done": end >= len(records)}
        if end < len(records):
            body["nextRecordsUrl"] = f"{cursor}-{end}"
        return body | {"records": records[start:end]}


class _Room:
    """The storage left, counted once a transaction and then row by row."""

    def __init__(self, org: Org, connection: sa.Connection) -> None:
        self._org, self._connection = org, connection
        self._records: int | None = None

    def take(self) -> None:
        """Takes the room of one more record.

        Raises:
            Rejection: STORAGE_LIMIT_EXCEEDED.
        """
        if self._records is None:
            self._records = self._org.store.count(self._connection)
        if self._org.limits.storage_full(self._records):
            raise Rejection("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded")
        self._records += 1


def _durable_ids(schema: Schema) -> dict[str, str]:
    """Each object's id: a standard one's is its name, a custom one's begins 01I."""
    custom = sorted(name for name in schema.objects if name.endswith("__c"))
    return {name: name for name in schema.objects} | {
        name: ids.make("01I", number)[:15] for number, name in enumerate(custom, 1)
    }


def _by_durable_id(row: Mapping[str, Any], durable: Mapping[str, str]) -> Row:
    """A row that names an object, as the platform keeps it: by the object's id."""
    named = {"TableEnumOrId", "TriggerObjectOrEventId"}
    return {k: durable.get(v, v) if k in named else v for k, v in row.items()}
