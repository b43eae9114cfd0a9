"""Salesforce as a `Crm`: sign-in, describe, queries, Collections; through one session.

Built on simple-salesforce, of which only sign-in, `restful` and queries are used here.
Bulk 2.0 is in `bulk`; what an error means for one record is in `reasons`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceError,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceRefusedRequest,
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
    Field,
    JobState,
    Operation,
    Org,
    Seen,
    Shape,
    Verdict,
    Write,
)
from journeyport.crm.session import open_session
from journeyport.errors import (
    AccessError,
    ContractError,
    JourneyportError,
    PermanentError,
    QuotaError,
    TransientError,
)

BATCH = 200
"""Most records of one Collections call."""

JOB_BATCH = 50_000
"""Most records of one job: well under 100 MB of CSV."""

QUERY_CHARS = 9_000
"""Most characters of the values in one query, once encoded: a GET's address may have
16,384 bytes in all."""

QUERY_VALUES = 400


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
            config.base_url, config.timeout, self.calls, is_local=config.is_local
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
                with translated(f"describing {object_name}"):
                    found = self._call(f"sobjects/{object_name}/describe")
                self._shapes[object_name] = _shape(found)
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
        extra = ("IsDeleted",) if deleted else ()
        names = ", ".join(dict.fromkeys(("Id", *extra, *fields)))
        found: list[Seen] = []
        for part in _parts(values):
            wanted = ", ".join(f"'{_escaped(value)}'" for value in part)
            soql = f"SELECT {names} FROM {object_name} WHERE {by} IN ({wanted})"  # noqa: S608 - SOQL, escaped
            rows = self._query(soql, deleted=deleted)
            found.extend(_seen(row, fields) for row in rows)
        return found

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
        return next((_instant(row["SystemModstamp"]) for row in rows), None)

    def changes(
        self, object_name: str, key: str, since: datetime, fields: Sequence[str]
    ) -> Iterator[Seen]:
        """Records with a `key`, changed since then, deleted ones included."""
        shape = self.describe(object_name)
        extra = ["Id", "IsDeleted", "SystemModstamp"]
        if shape is not None and "MasterRecordId" in shape.fields:
            extra.append("MasterRecordId")
        names = ", ".join(dict.fromkeys((*extra, *fields)))
        stamp = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = self._query(
            f"SELECT {names} FROM {object_name} "  # noqa: S608 - SOQL
            f"WHERE {key} != null AND SystemModstamp >= {stamp}",
            deleted=True,
        )
        for row in rows:
            yield _seen(row, fields)

    def send(
        self, object_name: str, key: str, operation: Operation, writes: Sequence[Write]
    ) -> list[Answer]:
        """Write up to 200 records by one Collections call."""
        path = "composite/sobjects"
        if operation is Operation.UPSERT:
            path = f"{path}/{object_name}/{key}"
        records = [_record(object_name, key, operation, write) for write in writes]
        body = {"allOrNone": False, "records": records}
        try:
            with translated(f"writing {object_name}"):
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
        return _answers([write.number for write in writes], answers)

    def delete(self, object_name: str, record_ids: Sequence[str]) -> list[Answer]:
        """Delete up to 200 records by one Collections call."""
        with translated(f"deleting {object_name}"):
            answers = self._call(
                "composite/sobjects",
                params={"ids": ",".join(record_ids), "allOrNone": "false"},
                method="DELETE",
            )
        return _answers(range(len(record_ids)), answers)

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
                translated(f"filling a job for {object_name}"),
            ):
                bulk.renewed(self.sf, object_name, call, job_id, *more)

    def job_state(self, job_id: str, object_name: str) -> JobState:
        """Where the job stands."""
        try:
            with translated(f"looking at a job for {object_name}"):
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
        for kind, path, name, query in AUTOMATION:
            try:
                with translated(f"reading the {kind}s"):
                    answer = self._call(
                        path, params={"q": query.format(object=_escaped(object_name))}
                    )
            except (JourneyportError, SalesforceError):
                unseen.append(kind)
                continue
            found.extend(
                Automation(kind, row[name], object_name) for row in answer["records"]
            )
        return Automations(tuple(found), tuple(unseen))

    def _call(self, path: str, **how: Any) -> Any:
        return self.sf.restful(path, **how)

    def _query(
        self, soql: str, *, deleted: bool = False
    ) -> Iterator[Mapping[str, Any]]:
        with translated("querying"):
            yield from self.sf.query_all_iter(soql, include_deleted=deleted)


AUTOMATION = (
    (
        "trigger",
        "query",
        "Name",
        (
            "SELECT Name FROM ApexTrigger "
            "WHERE TableEnumOrId = '{object}' AND Status = 'Active'"
        ),
    ),
    (
        "flow",
        "query",
        "ApiName",
        (
            "SELECT ApiName FROM FlowDefinitionView "
            "WHERE TriggerObjectOrEventId = '{object}' AND IsActive = true"
        ),
    ),
    (
        "validation rule",
        "tooling/query",
        "ValidationName",
        (
            "SELECT ValidationName FROM ValidationRule "
            "WHERE EntityDefinitionId = '{object}' AND Active = true"
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


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the library's errors into ours, without the values they carry.

    Malformed requests and missing resources pass: their callers know what they mean.
    """
    try:
        yield
    except SalesforceAuthenticationFailed as error:
        raise AccessError(
            f"Salesforce refused the sign-in ({error.code}); check domain, consumer "
            "key and secret, and that the connected app has its run-as user."
        ) from None
    except SalesforceExpiredSession:
        raise AccessError(
            f"Salesforce refused the session while {what}, even a new one; check that "
            "the integration user is active and may use the API."
        ) from None
    except SalesforceRefusedRequest as error:
        raise _refused(first_error(error)[0], what) from None
    except (SalesforceMalformedRequest, SalesforceResourceNotFound):
        raise
    except SalesforceError as error:
        code = first_error(error)[0]
        raise TransientError(
            f"Salesforce answered {error.status} {code} while {what}; try again later."
        ) from None
    except requests.exceptions.InvalidSchema:
        raise PermanentError(
            "A Salesforce address is plain http; only loopback may be."
        ) from None
    except requests.RequestException as error:
        raise TransientError(
            f"Salesforce cannot be reached while {what} ({type(error).__name__}); "
            "check network, proxy and base URL, and try again."
        ) from None


def _refused(code: str, what: str) -> JourneyportError:
    if code == "REQUEST_LIMIT_EXCEEDED":
        return QuotaError(
            f"The org's API calls of the last 24 hours are used up (while {what}); "
            "go on with the same plan when there are calls again."
        )
    return AccessError(
        f"Salesforce refused {what} ({code}); give the integration user the "
        "permission set that `journeyport crm scaffold` writes."
    )


def first_error(error: SalesforceError) -> tuple[str, str]:
    """Code and message of an error; the message may hold values."""
    content = error.content
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return str(content[0].get("errorCode", "")), str(content[0].get("message", ""))
    return "", ""


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


def _shape(found: Mapping[str, Any]) -> Shape:
    return Shape(
        found["name"],
        {field["name"]: _field(field) for field in found["fields"]},
        createable=bool(found.get("createable")),
        updateable=bool(found.get("updateable")),
        deletable=bool(found.get("deletable")),
        queryable=bool(found.get("queryable", True)),
    )


def _field(found: Mapping[str, Any]) -> Field:
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


def _record(
    object_name: str, key: str, operation: Operation, write: Write
) -> dict[str, Any]:
    record: dict[str, Any] = {"attributes": {"type": object_name}, **write.values}
    if operation is Operation.UPSERT:
        record[key] = write.key
    else:
        record["id"] = write.record_id
    for parent in write.parents.values():
        record[parent.relationship] = {parent.field: parent.key}
    return record


def _answers(numbers: Sequence[int], answers: Any) -> list[Answer]:
    if not isinstance(answers, list) or len(answers) != len(numbers):
        raise ContractError(
            "Salesforce did not answer one result a record; nothing of this call was "
            "written down, the next run looks at what is there."
        )
    return [
        _answer(number, found) for number, found in zip(numbers, answers, strict=True)
    ]


def _answer(number: int, found: Mapping[str, Any]) -> Answer:
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


def _seen(row: Mapping[str, Any], fields: Sequence[str]) -> Seen:
    return Seen(
        row["Id"],
        {name: row.get(name) for name in fields if name != "Id"},
        is_deleted=bool(row.get("IsDeleted")),
        master_id=row.get("MasterRecordId"),
    )


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


def _escaped(value: str) -> str:
    return (
        value.replace("\\", "\\\\")
        .replace("'", "\\'")
        .replace("\n", "\\n")
        .replace("\r", "\\r")
    )


def _parts(values: Sequence[str]) -> Iterator[list[str]]:
    """Values in groups that fit one query's address."""
    part: list[str] = []
    size = 0
    for value in values:
        cost = len(quote(_escaped(value))) + 10
        if part and (size + cost > QUERY_CHARS or len(part) == QUERY_VALUES):
            yield part
            part, size = [], 0
        part.append(value)
        size += cost
    if part:
        yield part
