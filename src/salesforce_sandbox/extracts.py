"""Bulk 2.0 query jobs: a query whose answer is fetched as CSV, part by part.

A job's answer is found when the job is made and kept until the sandbox ends.
"""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from salesforce_sandbox import ids, query, sheets, soql
from salesforce_sandbox.errors import ApiError, not_found
from salesforce_sandbox.ingest import check_format
from salesforce_sandbox.org import Extract
from salesforce_sandbox.rest import DATA
from salesforce_sandbox.values import show_instant
from salesforce_sandbox.web import Call, Wired, answer

router = APIRouter()
JOBS = DATA + "/jobs/query"
MAXIMUM_RECORDS = 50_000


@router.get(JOBS)
def list_jobs(version: str, call: Wired) -> Response:
    """Lists all query jobs."""
    del version
    records = [extract.info for extract in call.org.extracts.values()]
    return answer({"done": True, "records": records, "nextRecordsUrl": None})


@router.post(JOBS)
def create(version: str, call: Wired) -> Response:
    """Makes a query job."""
    body, org = call.record(), call.org
    if body.get("operation") not in {"query", "queryAll"}:
        message = "InvalidJob : operation must be query or queryAll"
        raise ApiError(400, "INVALIDJOB", message)
    check_format(body)
    parsed = soql.parse(str(body.get("query", "")))
    if any(item.aggregate for item in parsed.selected) or parsed.group:
        message = "InvalidJob : Aggregates and FIELDS are not supported in Bulk queries"
        raise ApiError(400, "INVALIDJOB", message)
    with org.store.reading() as connection:
        found = query.run(
            org.store, connection, parsed, now=org.clock.now(), version=version,
            deleted=body["operation"] == "queryAll",
        )  # fmt: skip
    paths = [item.path for item in parsed.selected]
    now = show_instant(org.clock.now())
    info = {
        "id": ids.make("750", secrets.randbelow(62**8) + 62**8),
        "operation": body["operation"],
        "object": parsed.sobject,
        "createdById": org.user,
        "createdDate": now,
        "systemModstamp": now,
        "state": "UploadComplete",
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(version[1:]),
        "lineEnding": body.get("lineEnding") or "LF",
        "columnDelimiter": body.get("columnDelimiter") or "COMMA",
        "jobType": "V2Query",
    }
    sheet = [paths, *([_cell(r, path) for path in paths] for r in found.records)]
    org.extracts[str(info["id"])] = Extract(info, sheet)
    return answer(info)


def _cell(record: dict[str, Any], path: str) -> str:
    found: Any = record
    parts = path.split(".")
    if parts[0] == record["attributes"]["type"]:
        parts = parts[1:]
    for part in parts:
        names = {name.lower(): name for name in found or {}}
        found = found[names[part.lower()]] if found else None
    if isinstance(found, bool):
        return str(found).lower()
    return "" if found is None else str(found)


def _extract(call: Call, job: str) -> Extract:
    found = call.org.extracts.get(ids.normalise(job) or "")
    if found is None:
        raise not_found()
    return found


@router.get(JOBS + "/{job}")
def poll(version: str, job: str, call: Wired) -> Response:
    """Answers a job's state; asking once is enough for it to be complete."""
    del version
    found = _extract(call, job)
    if found.info["state"] == "UploadComplete":
        found.info["state"] = "JobComplete"
    return answer(
        found.info
        | {
            "numberRecordsProcessed": len(found.sheet) - 1,
            "retries": 0,
            "totalProcessingTime": 0,
        }
    )


@router.get(JOBS + "/{job}/results")
def results(version: str, job: str, call: Wired) -> Response:
    """Answers a part of the sheet, and where the next part begins."""
    del version
    found = _extract(call, job)
    if found.info["state"] != "JobComplete":
        message = f"InvalidJobState : Job {job} is {found.info['state']}"
        raise ApiError(400, "INVALIDJOBSTATE", message)
    locator, wanted = call.query.get("locator", "0"), call.query.get("maxRecords", "")
    if not locator.isdigit() or not (wanted.isdigit() or not wanted):
        message = "InvalidJob : locator and maxRecords are numbers"
        raise ApiError(400, "INVALIDJOB", message)
    start, size = int(locator), min(int(wanted or MAXIMUM_RECORDS), MAXIMUM_RECORDS)
    header, rows = found.sheet[0], found.sheet[1:]
    part = rows[start : start + size]
    following = str(start + size) if start + size < len(rows) else "null"
    headers = {
        "Sforce-Locator": following,
        "Sforce-NumberOfRecords": str(len(part)),
    }
    delimiter, ending = found.info["columnDelimiter"], found.info["lineEnding"]
    content = sheets.write([header, *part], delimiter, ending)
    return Response(content, media_type="text/csv", headers=headers)


@router.patch(JOBS + "/{job}")
def abort(version: str, job: str, call: Wired) -> Response:
    """Aborts a job that is not complete."""
    del version
    found = _extract(call, job)
    if call.record().get("state") != "Aborted" or found.info["state"] == "JobComplete":
        message = f"InvalidJobState : Job {job} is {found.info['state']}"
        raise ApiError(400, "INVALIDJOBSTATE", message)
    found.info["state"] = "Aborted"
    return answer(found.info)


@router.delete(JOBS + "/{job}")
def delete(version: str, job: str, call: Wired) -> Response:
    """Removes a job."""
    del version
    del call.org.extracts[str(_extract(call, job).info["id"])]
    return answer(None, 204)
