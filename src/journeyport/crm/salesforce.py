"""Salesforce as a `Crm`: sign-in, describe, queries, Collections; through one session.

Built on simple-salesforce, of which only sign-in, `restful` and queries are used here.
Bulk 2.0 is in `bulk`; what an error means for one record is in `reasons`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self

import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceError,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

from journeyport.crm import bulk
from journeyport.crm.config import CrmConfig
from journeyport.crm.protocol import (
    Answer,
    Automation,
    Automations,
    Budget,
    Calls,
    JobState,
    Operation,
    Org,
    Seen,
    Shape,
    Verdict,
    Write,
)
from journeyport.crm.session import open_session
from journeyport.crm.sobjects import answers_of, body_of, shape_of
from journeyport.crm.soql import (
    AUTOMATION,
    ENTITY,
    QUERY_CHARS,
    both_forms,
    escaped,
    instant_of,
    parts,
    seen_of,
)
from journeyport.crm.translate import first_error, translated
from journeyport.errors import (
    AccessError,
    ContractError,
    JourneyportError,
)

BATCH = 200
"""Most records of one Collections call."""

JOB_BATCH = 50_000
"""Most records of one job: well under 100 MB of CSV."""

_MALFORMED = (SalesforceMalformedRequest,)

_ABSENT = (SalesforceResourceNotFound,)


class SalesforceCrm:
    """A signed-in Salesforce org.

    Args:
        config: how to sign in and where.

    Raises:
        AccessError: the sign-in was refused.
        TransientError: Salesforce cannot be reached now.
    """

    batch = BATCH
    job_batch = JOB_BATCH

    def __init__(self, config: CrmConfig) -> None:
        self.calls = Calls()
        self._config = config
        self._session = open_session(
            config.base_url,
            config.timeout,
            self.calls,
            is_local=config.is_local,
            pause=config.retry_pause,
        )
        self._shapes: dict[str, Shape | None] = {}
        try:
            with translated("signing in"):
                self.sf = _signed_in(config, self._session)
            self.org = self._organization()
        except JourneyportError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _organization(self) -> Org:
        rows = list(self._query("SELECT Id, Name, IsSandbox FROM Organization"))
        if len(rows) != 1:
            raise ContractError("Salesforce did not say which org this is.")
        return Org(rows[0]["Id"], rows[0]["Name"], bool(rows[0]["IsSandbox"]))

    def describe(self, object_name: str) -> Shape | None:
        """The object; None when it is not there or not to be seen."""
        if object_name not in self._shapes:
            try:
                with translated(f"describing {object_name}", passing=_ABSENT):
                    found = self._call(f"sobjects/{object_name}/describe")
                self._shapes[object_name] = shape_of(found)
            except SalesforceResourceNotFound:
                self._shapes[object_name] = None
        return self._shapes[object_name]

    def budget(self) -> Budget:
        """Calls and storage left."""
        with translated("reading the limits"):
            limits = self.sf.limits()
        calls = limits.get("DailyApiRequests", {})
        storage = limits.get("DataStorageMB", {})
        return Budget(
            calls.get("Remaining"),
            calls.get("Max"),
            storage.get("Remaining"),
            storage.get("Max"),
        )

    def find(
        self,
        object_name: str,
        by: str,
        values: Sequence[str],
        fields: Sequence[str],
        *,
        deleted: bool = False,
    ) -> list[Seen]:
        """The records whose field `by` is one of the values; binned ones if asked."""
        extra = self._bin_fields(object_name) if deleted else ()
        names = ", ".join(dict.fromkeys(("Id", *extra, *fields)))
        found: list[Seen] = []
        for part in parts(values):
            wanted = ", ".join(f"'{escaped(value)}'" for value in part)
            soql = f"SELECT {names} FROM {object_name} WHERE {by} IN ({wanted})"  # noqa: S608 - SOQL, escaped
            rows = self._query(soql, deleted=deleted)
            found.extend(seen_of(row, fields) for row in rows)
        return found

    def _bin_fields(self, object_name: str) -> tuple[str, ...]:
        """What says that a record was deleted, and into which one it was merged."""
        shape = self.describe(object_name)
        if shape is not None and "MasterRecordId" in shape.fields:
            return ("IsDeleted", "MasterRecordId")
        return ("IsDeleted",)

    def find_calls(self, values: int) -> int:
        """How many calls `find` makes for so many values of 50 characters."""
        return -(-values // (QUERY_CHARS // 60))

    def newest(self, object_name: str) -> datetime | None:
        """When a record of the object last changed, by the org's clock."""
        rows = self._query(
            f"SELECT SystemModstamp FROM {object_name} "  # noqa: S608 - SOQL
            "ORDER BY SystemModstamp DESC LIMIT 1",
            deleted=True,
        )
        return next((instant_of(row["SystemModstamp"]) for row in rows), None)

    def changes(
        self,
        object_name: str,
        marks: Sequence[str],
        since: datetime,
        fields: Sequence[str],
    ) -> Iterator[Seen]:
        """Records with one of the `marks`, changed since then; deleted ones too."""
        extra = self._bin_fields(object_name)
        names = ", ".join(dict.fromkeys(("Id", "SystemModstamp", *extra, *fields)))
        stamp = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        marked = " OR ".join(f"{name} != null" for name in marks)
        rows = self._query(
            f"SELECT {names} FROM {object_name} "  # noqa: S608 - SOQL
            f"WHERE ({marked}) AND SystemModstamp >= {stamp}",
            deleted=True,
        )
        for row in rows:
            yield seen_of(row, fields)

    def send(
        self, object_name: str, key: str, operation: Operation, writes: Sequence[Write]
    ) -> list[Answer]:
        """Write up to 200 records by one Collections call."""
        path = "composite/sobjects"
        if operation is Operation.UPSERT:
            path = f"{path}/{object_name}/{key}"
        records = [body_of(object_name, key, operation, write) for write in writes]
        body = {"allOrNone": False, "records": records}
        try:
            with translated(f"writing {object_name}", passing=_MALFORMED):
                answers = self._call(path, method="PATCH", json=body)
        except SalesforceMalformedRequest as error:
            if len(writes) > 1:  # one unreadable record spoils its whole call
                half = len(writes) // 2
                return [
                    *self.send(object_name, key, operation, writes[:half]),
                    *self.send(object_name, key, operation, writes[half:]),
                ]
            code, message = first_error(error)
            return [
                Answer(writes[0].number, Verdict.REJECTED, code=code, message=message)
            ]
        return answers_of([write.number for write in writes], answers)

    def delete(self, object_name: str, record_ids: Sequence[str]) -> list[Answer]:
        """Delete up to 200 records by one Collections call."""
        with translated(f"deleting {object_name}"):
            answers = self._call(
                "composite/sobjects",
                params={"ids": ",".join(record_ids), "allOrNone": "false"},
                method="DELETE",
            )
        return answers_of(range(len(record_ids)), answers)

    def open_job(self, object_name: str, key: str, operation: Operation) -> str:
        """Open a Bulk 2.0 job and return its id, before any row is sent."""
        with translated(f"opening a job for {object_name}"):
            return bulk.open_job(self.sf, object_name, key, operation)

    def fill_job(
        self,
        job_id: str,
        object_name: str,
        key: str,
        operation: Operation,
        writes: Sequence[Write],
    ) -> None:
        """Upload the rows and close the job, so that it runs.

        A refused second upload or closing means that the first one got through and
        its answer was lost; rows that did not get through show up as unsent.
        """
        rows = bulk.sheet(key, operation, writes)
        for call, *more in (("upload_job_data", rows), ("close_job",)):
            with (
                suppress(SalesforceMalformedRequest),
                translated(f"filling a job for {object_name}", passing=_MALFORMED),
            ):
                bulk.renewed(self.sf, object_name, call, job_id, *more)

    def job_state(self, job_id: str, object_name: str) -> JobState:
        """Where the job stands."""
        try:
            with translated(f"looking at a job for {object_name}", passing=_ABSENT):
                job = bulk.renewed(self.sf, object_name, "get_job", job_id, False)
        except SalesforceResourceNotFound:
            return JobState.LOST
        return bulk.STATES.get(job["state"], JobState.RUNNING)

    def drop_job(self, job_id: str, object_name: str) -> None:
        """Abort a job that was not filled."""
        with translated(f"aborting a job for {object_name}"):
            bulk.renewed(self.sf, object_name, "abort_job", job_id, False)

    def job_answers(
        self,
        job_id: str,
        object_name: str,
        key: str,
        operation: Operation,
        writes: Sequence[Write],
    ) -> list[Answer]:
        """One answer a record of a job that ended."""
        files = {}
        for which in ("successfulResults", "failedResults", "unprocessedrecords"):
            with translated(f"reading a job's results for {object_name}"):
                files[which] = bulk.results(self.sf, job_id, object_name, which)
        return bulk.answers(key, operation, writes, files)

    def job_calls(self) -> int:
        """How many calls a job makes."""
        return bulk.CALLS

    def automations(self, object_name: str) -> Automations:
        """Active triggers, flows, validation and duplicate rules of the object."""
        found: list[Automation] = []
        unseen: list[str] = []
        names = self._names_of(object_name)
        listed = ", ".join(f"'{escaped(name)}'" for name in names or ())
        for kind, path, name, query in AUTOMATION:
            if names is None and "{names}" in query:
                unseen.append(kind)
                continue
            soql = query.format(object=escaped(object_name), names=listed)
            try:
                with translated(f"reading the {kind}s"):
                    answer = self._call(path, params={"q": soql})
            except (JourneyportError, SalesforceError):
                unseen.append(kind)
                continue
            found.extend(
                Automation(kind, row[name], object_name) for row in answer["records"]
            )
        return Automations(tuple(found), tuple(unseen))

    def _names_of(self, object_name: str) -> tuple[str, ...] | None:
        """What stands for the object in other records; None: it may not be seen."""
        if not object_name.endswith("__c"):
            return (object_name,)
        soql = ENTITY.format(object=escaped(object_name))
        try:
            with translated("reading the object's id"):
                answer = self._call("query", params={"q": soql})
        except (JourneyportError, SalesforceError):
            return None
        durable = [row["DurableId"] for row in answer["records"]]
        return (object_name, *both_forms(durable[0])) if durable else None

    def _call(self, path: str, **how: Any) -> Any:
        return self.sf.restful(path, **how)

    def _query(
        self, soql: str, *, deleted: bool = False
    ) -> Iterator[Mapping[str, Any]]:
        with translated("querying"):
            yield from self.sf.query_all_iter(soql, include_deleted=deleted)


def _signed_in(config: CrmConfig, session: requests.Session) -> Salesforce:
    try:
        return Salesforce(**_sign_in(config), session=session)
    except (AttributeError, OSError, ValueError) as error:
        # The library takes any answer for the one it expects, and the key file for
        # readable; requests' own errors are OSErrors and go on as they are.
        if isinstance(error, requests.RequestException):
            raise
        raise AccessError(
            "The Salesforce sign-in failed: the answer was none of a token endpoint, "
            "or the private key file cannot be used; check domain, base URL and key."
        ) from None


def _sign_in(config: CrmConfig) -> dict[str, Any]:
    login = config.login
    common = {"version": config.api_version, "consumer_key": login.consumer_key}
    if login.private_key_file:
        return {
            **common,
            "username": login.username,
            "privatekey_file": login.private_key_file,
            "domain": login.audience,
            "instance_url": login.domain,
        }
    return {**common, "consumer_secret": login.consumer_secret, "domain": login.domain}
