"""Salesforce's Bulk API 2.0: our CSV, its jobs, its three result files.

Driven through simple-salesforce's own job client, which is not public there: the
release is pinned and a test fails when the client moves. Its `upsert` is not used: it
loses results, hides refusals and cannot take up a job again.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.bulk2 import Operation as BulkOperation
from simple_salesforce.exceptions import SalesforceExpiredSession

from journeyport.crm.protocol import (
    Answer,
    JobState,
    Operation,
    Value,
    Verdict,
    Write,
)

STATES = {
    "Open": JobState.OPEN,
    "UploadComplete": JobState.RUNNING,
    "InProgress": JobState.RUNNING,
    "JobComplete": JobState.ENDED,
    "Failed": JobState.ENDED,
    "Aborted": JobState.ENDED,
}

CALLS = 12
"""Of one job: open, fill, close, three result files, half a dozen looks."""

_CODE = re.compile(r"[A-Z0-9_]+")

_ERROR = re.compile(
    r"^(?P<code>[A-Z0-9_]+):(?P<message>.*?)(?::(?P<fields>[^:]*?))?--$", re.DOTALL
)


def client_of(sf: Salesforce, object_name: str) -> Any:
    """The library's job client, made anew so that it holds the session in force."""
    return getattr(sf.bulk2, object_name)._client  # noqa: SLF001 - see the module


def renewed(sf: Salesforce, object_name: str, call: str, *args: Any) -> Any:
    """Call the job client; once more after a new sign-in when the session ended."""
    try:
        return getattr(client_of(sf, object_name), call)(*args)
    except SalesforceExpiredSession:
        sf._refresh_session()  # noqa: SLF001 - the library offers no other way
        return getattr(client_of(sf, object_name), call)(*args)


def open_job(sf: Salesforce, object_name: str, key: str, operation: Operation) -> str:
    """Open a job and return its id.

    It may be asked for twice: a job that nobody fills never runs.
    """
    try:
        return _opened(sf, object_name, key, operation)
    except SalesforceExpiredSession:
        sf._refresh_session()  # noqa: SLF001 - the library offers no other way
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        pass  # a connection that the other side had closed, or an answer torn off
    return _opened(sf, object_name, key, operation)


def _opened(sf: Salesforce, object_name: str, key: str, operation: Operation) -> str:
    is_upsert = operation is Operation.UPSERT
    job = client_of(sf, object_name).create_job(
        BulkOperation.upsert if is_upsert else BulkOperation.update,
        external_id_field=key if is_upsert else None,
    )
    return str(job["id"])


def results(sf: Salesforce, job_id: str, object_name: str, which: str) -> list[Any]:
    """One of a job's result files as rows; bytes are UTF-8 whatever the header says."""
    client = client_of(sf, object_name)
    address = f"{client.bulk2_url}ingest/{job_id}/{which}/"
    answer = None
    for _ in range(2):
        client = client_of(sf, object_name)
        answer = client.session.get(address, headers=client.headers)
        if answer.status_code != 401:
            break
        sf._refresh_session()  # noqa: SLF001 - the library offers no other way
    if answer is None:  # pragma: no cover - the loop runs
        return []
    answer.raise_for_status()
    text = io.StringIO(answer.content.decode("utf-8"), newline="")
    return list(csv.DictReader(text))


def sheet(key: str, operation: Operation, writes: Sequence[Write]) -> str:
    """The writes as CSV: an empty cell leaves a field, `#N/A` blanks it."""
    names = sorted({name for write in writes for name in write.values} - {key})
    parents = sorted(
        {
            f"{parent.relationship}.{parent.field}"
            for write in writes
            for parent in write.parents.values()
        }
    )
    first = key if operation is Operation.UPSERT else "Id"
    stamp = [] if operation is Operation.UPSERT else [key]
    header = [first, *stamp, *names, *parents]
    used = [
        h
        for h in header
        if h != key or operation is Operation.UPSERT or _stamps(writes, key)
    ]
    out = io.StringIO(newline="")
    sink = csv.DictWriter(out, used, restval="", lineterminator="\n")
    sink.writeheader()
    for write in writes:
        row = {name: cell(value) for name, value in write.values.items()}
        for parent in write.parents.values():
            row[f"{parent.relationship}.{parent.field}"] = parent.key
        row[first] = (
            write.key if operation is Operation.UPSERT else write.record_id or ""
        )
        sink.writerow(row)
    return out.getvalue()


def _stamps(writes: Sequence[Write], key: str) -> bool:
    return any(key in write.values for write in writes)


def cell(value: Value) -> str:
    """One value in a CSV's cell."""
    if value is None:
        return "#N/A"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def answers(
    key: str,
    operation: Operation,
    writes: Sequence[Write],
    files: Mapping[str, Sequence[Mapping[str, str]]],
) -> list[Answer]:
    """One answer a write, found by its key and never by its place.

    Args:
        key: the external id field.
        operation: how the job wrote.
        writes: what was sent.
        files: the rows of `successfulResults`, `failedResults`,
            `unprocessedrecords`.
    """
    by_id = operation is Operation.UPDATE
    accepted = {
        row["sf__Id" if by_id else key][: 15 if by_id else None]: row
        for row in files["successfulResults"]
    }
    failed = {
        row["Id" if by_id else key][: 15 if by_id else None]: row
        for row in files["failedResults"]
    }
    found: list[Answer] = []
    for write in writes:
        name = (write.record_id or "")[:15] if by_id else write.key
        if name in accepted:
            row = accepted[name]
            found.append(
                Answer(
                    write.number,
                    Verdict.ACCEPTED,
                    record_id=row["sf__Id"],
                    was_created=row.get("sf__Created") == "true",
                )
            )
        elif name in failed:
            found.append(_refusal(write.number, failed[name]["sf__Error"]))
        else:
            found.append(Answer(write.number, Verdict.UNSENT))
    return found


def _refusal(number: int, error: str) -> Answer:
    parsed = _ERROR.match(error.strip())
    if parsed is None:
        code, _, message = error.partition(":")
        code = code.strip() if _CODE.fullmatch(code.strip()) else "UNKNOWN"
        return Answer(number, Verdict.REJECTED, code=code, message=message)
    fields = tuple((parsed["fields"] or "").replace(",", " ").split())
    return Answer(
        number,
        Verdict.REJECTED,
        code=parsed["code"],
        fields=fields,
        message=parsed["message"],
    )
