"""The doors of Bulk 2.0 ingest."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from salesforce_sandbox.errors import ApiError, not_found
from salesforce_sandbox.ingest import Info
from salesforce_sandbox.rest import DATA
from salesforce_sandbox.web import Wired, answer

router = APIRouter()
INGEST = DATA + "/jobs/ingest"
_RESULTS = {
    "successfulresults": "successful",
    "failedresults": "failed",
    "unprocessedrecords": "unprocessed",
}
_CREATED = (
    "id", "operation", "object", "createdById", "createdDate", "systemModstamp",
    "state", "externalIdFieldName", "concurrencyMode", "contentType", "apiVersion",
    "contentUrl", "lineEnding", "columnDelimiter",
)  # fmt: skip


def _whole(info: Info) -> Info:
    own = {"polls_held", "allow_save"}
    body = {k: v for k, v in info.items() if k not in own and v is not None}
    return body | {
        "retries": 0,
        "totalProcessingTime": 0,
        "apiActiveProcessingTime": 0,
        "apexProcessingTime": 0,
    }


def _short(info: Info) -> Info:
    return {k: info[k] for k in _CREATED if info[k] is not None}


@router.get(INGEST)
def list_jobs(version: str, call: Wired) -> Response:
    """Lists all jobs."""
    del version
    with call.org.store.reading() as connection:
        records = [_whole(info) for info in call.bulk.all(connection)]
    return answer({"done": True, "records": records, "nextRecordsUrl": None})


@router.post(INGEST)
def create(version: str, call: Wired) -> Response:
    """Opens a job."""
    return answer(_short(call.bulk.create(call.record(), version)))


@router.put(INGEST + "/{job}/batches")
def upload(version: str, job: str, call: Wired) -> Response:
    """Takes a job's data."""
    del version
    if not call.headers.get("content-type", "").lower().startswith("text/csv"):
        message = "Content-Type must be text/csv"
        raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", message)
    if len(call.body) > call.org.upload_bytes:
        message = "The data of a job may not exceed 150 MB"
        raise ApiError(413, "REQUEST_ENTITY_TOO_LARGE", message)
    call.bulk.upload(job, call.body)
    return answer(None, 201)


@router.patch(INGEST + "/{job}")
def set_state(version: str, job: str, call: Wired) -> Response:
    """Closes or aborts a job."""
    del version
    state = str(call.record().get("state", ""))
    if state not in {"UploadComplete", "Aborted"}:
        message = f"InvalidJob : state must be UploadComplete or Aborted, not {state}"
        raise ApiError(400, "INVALIDJOB", message)
    info = call.bulk.set_state(job, state, allow_save=call.allow_save)
    return answer(_short(info))


@router.get(INGEST + "/{job}")
def poll(version: str, job: str, call: Wired) -> Response:
    """Answers a job's state and counts."""
    del version
    return answer(_whole(call.bulk.poll(job)))


@router.delete(INGEST + "/{job}")
def delete(version: str, job: str, call: Wired) -> Response:
    """Removes a job that has ended."""
    del version
    call.bulk.delete(job)
    return answer(None, 204)


@router.get(INGEST + "/{job}/{results}")
def results(version: str, job: str, results: str, call: Wired) -> Response:
    """Answers one of the three result files, whatever the case of its name."""
    del version
    kind = _RESULTS.get(results.lower())
    if kind is None:
        raise not_found()
    return Response(call.bulk.results(job, kind), media_type="text/csv")
