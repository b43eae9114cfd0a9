"""Bulk 2.0 ingest jobs: their states, and a worker that processes closed ones.

A job's rows are written in chunks of 200, each chunk with its results in one
transaction, so that a sandbox that is stopped half-way goes on where it was. The doors
are in ``jobs``.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from typing import Any

import sqlalchemy as sa

from salesforce_sandbox import drafts, ids, sheets
from salesforce_sandbox.drafts import Column
from salesforce_sandbox.errors import ApiError, Rejection
from salesforce_sandbox.ingest import (
    Info,
    check_header,
    check_job,
    given_twice,
    key_of,
    repeated,
    write,
)
from salesforce_sandbox.org import Org
from salesforce_sandbox.records import Saved
from salesforce_sandbox.schema import SObject
from salesforce_sandbox.values import show_instant

CHUNK = 200
RUNNING = frozenset({"UploadComplete", "InProgress"})
ENDED = frozenset({"JobComplete", "Failed", "Aborted"})


def invalid_state(message: str) -> ApiError:
    """Returns the error for a step that the job's state does not allow."""
    return ApiError(400, "INVALIDJOBSTATE", f"InvalidJobState : {message}")


class Bulk:
    """The ingest jobs of an org.

    Args:
        org: The org whose records they write.
    """

    def __init__(self, org: Org) -> None:
        self.org, self.store = org, org.store
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="bulk")
        self._stopping = threading.Event()
        with self.store.writing() as connection:
            last = self.store.fact(connection, "counter.jobs") or "0"
            waiting = [i["id"] for i in self.all(connection) if i["state"] in RUNNING]
        self._last = int(last)
        self._thread.start()
        for job in waiting:
            self._queue.put(job)

    def close(self) -> None:
        """Ends the worker after the chunk that it is at."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join()

    def all(self, connection: sa.Connection) -> list[Info]:
        """Returns every job, oldest first."""
        query = sa.select(self.store.jobs.c.info).order_by(self.store.jobs.c.id)
        return [json.loads(text) for text in connection.execute(query).scalars()]

    def get(self, connection: sa.Connection, job: str) -> Info:
        """Returns a job.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        jobs = self.store.jobs
        full = ids.normalise(job)
        text = connection.execute(
            sa.select(jobs.c.info).where(jobs.c.id == full)
        ).scalar()
        if text is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        info: Info = json.loads(text)
        return info

    def _save(self, connection: sa.Connection, info: Info) -> None:
        info["systemModstamp"] = show_instant(self.org.clock.now())
        jobs = self.store.jobs
        values = {"info": json.dumps(info)}
        connection.execute(jobs.update().where(jobs.c.id == info["id"]), values)

    def create(self, body: Info, version: str) -> Info:
        """Opens a job.

        Raises:
            ApiError: INVALIDJOB, INVALIDENTITY and their like.
        """
        sobject = check_job(self.org, body)
        now = show_instant(self.org.clock.now())
        with self.store.writing() as connection:
            self._last += 1
            job = ids.make("750", self._last)
            info: Info = {
                "id": job,
                "operation": body["operation"],
                "object": sobject.name,
                "createdById": self.org.user,
                "createdDate": now,
                "systemModstamp": now,
                "state": "Open",
                "externalIdFieldName": body.get("externalIdFieldName"),
                "concurrencyMode": "Parallel",
                "contentType": "CSV",
                "apiVersion": float(version[1:]),
                "contentUrl": f"services/data/{version}/jobs/ingest/{job}/batches",
                "lineEnding": body.get("lineEnding") or "LF",
                "columnDelimiter": body.get("columnDelimiter") or "COMMA",
                "jobType": "V2Ingest",
                "numberRecordsProcessed": 0,
                "numberRecordsFailed": 0,
                "errorMessage": None,
                "polls_held": 0,
                "allow_save": False,
            }
            values = {"id": job, "info": json.dumps(info)}
            connection.execute(self.store.jobs.insert(), values)
            self.store.set_fact(connection, "counter.jobs", str(self._last))
        return info

    def upload(self, job: str, data: bytes) -> None:
        """Takes a job's data, once.

        Raises:
            ApiError: The job is not open, or has data already.
        """
        jobs = self.store.jobs
        with self.store.writing() as connection:
            info = self.get(connection, job)
            if info["state"] != "Open":
                message = f"Job {info['id']} is not open for uploads: {info['state']}"
                raise invalid_state(message)
            held = connection.execute(
                sa.select(jobs.c.data).where(jobs.c.id == info["id"])
            ).scalar()
            if held is not None:
                raise ApiError(
                    400,
                    "INVALIDJOBSTATE",
                    f"Found multiple contents for job: <{info['id']}>, please 'Close' "
                    "/ "
                    "'Abort' / 'Delete' the current Job then create a new Job and make "
                    "sure you only do 'PUT' once on a given Job.",
                )
            connection.execute(
                jobs.update().where(jobs.c.id == info["id"]), {"data": data}
            )

    def set_state(self, job: str, state: str, *, allow_save: bool = False) -> Info:
        """Closes or aborts a job.

        Raises:
            ApiError: Its state does not allow that.
        """
        with self.store.writing() as connection:
            info = self.get(connection, job)
            if state == "Aborted" and info["state"] not in ENDED:
                info["state"] = state
            elif state == "UploadComplete" and info["state"] == "Open":
                info["state"], info["allow_save"] = state, allow_save
                slow = self.org.faults.on("slow_job", info["object"])
                info["polls_held"] = slow.polls if slow else 0
            else:
                message = f"Cannot go from {info['state']} to {state}"
                raise invalid_state(message)
            self._save(connection, info)
        if info["state"] == "UploadComplete" and not info["polls_held"]:
            self._queue.put(info["id"])
        return info

    def poll(self, job: str) -> Info:
        """Returns a job to its client; one that is held back comes nearer its turn."""
        with self.store.writing() as connection:
            info = self.get(connection, job)
            if info["polls_held"] and info["state"] in RUNNING:
                shown = info["state"]
                info["state"] = "InProgress"
                info["polls_held"] -= 1
                self._save(connection, info)
                if not info["polls_held"]:
                    self._queue.put(info["id"])
                info["state"] = shown
        return info

    def delete(self, job: str) -> None:
        """Removes a job with its data and results.

        Raises:
            ApiError: It is still open or being processed.
        """
        with self.store.writing() as connection:
            info = self.get(connection, job)
            if info["state"] in {"Open", "InProgress"}:
                message = f"Job {info['id']} cannot be deleted while {info['state']}"
                raise invalid_state(message)
            jobs, results = self.store.jobs, self.store.results
            connection.execute(jobs.delete().where(jobs.c.id == info["id"]))
            connection.execute(results.delete().where(results.c.job == info["id"]))

    def results(self, job: str, kind: str) -> bytes:
        """Returns one of the three result files: successful, failed or unprocessed.

        Raises:
            ApiError: The job has not ended.
        """
        with self.store.reading() as connection:
            info = self.get(connection, job)
            if info["state"] not in ENDED:
                message = f"Results of job {info['id']} are not ready: {info['state']}"
                raise invalid_state(message)
            table = self.store.results
            query = sa.select(table).where(table.c.job == info["id"])
            done = {r.line: r for r in connection.execute(query.order_by(table.c.line))}
            rows = self._rows(connection, info)
        header, lines = (rows[0], rows[1:]) if rows else ([], [])
        if kind == "unprocessed":
            sheet = [header] if header else []
            sheet += [row for n, row in enumerate(lines) if n not in done]
        else:
            column = "sf__Created" if kind == "successful" else "sf__Error"
            sheet = [["sf__Id", column, *header]]
            for line, result in done.items():
                if result.kind == kind:
                    note = result.error or str(bool(result.created)).lower()
                    sheet.append([result.record or "", note, *lines[line]])
        return sheets.write(sheet, info["columnDelimiter"], info["lineEnding"])

    def _rows(self, connection: sa.Connection, info: Info) -> list[list[str]]:
        """Returns the uploaded sheet; an unreadable one has no rows."""
        jobs = self.store.jobs
        query = sa.select(jobs.c.data).where(jobs.c.id == info["id"])
        data = connection.execute(query).scalar()
        try:
            delimiter, ending = info["columnDelimiter"], info["lineEnding"]
            return sheets.read(data or b"", delimiter, ending)
        except ApiError:
            return []

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                self._process(job)
            except ApiError as error:
                with contextlib.suppress(ApiError):  # it may be deleted by now
                    self._fail(job, error.message)

    def _process(self, job: str) -> None:
        jobs = self.store.jobs
        with self.store.writing() as connection:
            info = self.get(connection, job)
            if info["state"] not in RUNNING:
                return
            info["state"] = "InProgress"
            self._save(connection, info)
            data = connection.execute(
                sa.select(jobs.c.data).where(jobs.c.id == job)
            ).scalar()
        rows = sheets.read(data or b"", info["columnDelimiter"], info["lineEnding"])
        if not rows:
            message = "InvalidBatch : The data has no header"
            raise sheets.failed(message)
        sobject = self.org.sobject(info["object"])
        header = drafts.columns(self.org.schema, sobject, rows[0])
        check_header(info, header)
        failing = self.org.faults.on("job_failed", sobject.name)
        lines = rows[1:]
        start = info["numberRecordsProcessed"]
        stop = len(lines) if failing is None else min(len(lines), failing.rows)
        for first in range(start, stop, CHUNK):
            if self._stopping.is_set():
                return
            chunk = lines[first : min(first + CHUNK, stop)]
            if not self._chunk(job, sobject, header, first, chunk):
                return
        if failing is not None:
            raise sheets.failed("InternalServerError : An unexpected error occurred")
        with self.store.writing() as connection:
            info = self.get(connection, job)
            if info["state"] == "InProgress":
                info["state"] = "JobComplete"
                self._save(connection, info)

    def _chunk(
        self,
        job: str,
        sobject: SObject,
        header: list[Column],
        first: int,
        lines: list[list[str]],
    ) -> bool:
        """Writes up to 200 rows; returns False when the job was aborted meanwhile."""
        with self.store.reading() as connection:
            allow_save = self.get(connection, job)["allow_save"]
        with self.org.writer(allow_save=allow_save) as writer:
            info = self.get(writer.connection, job)
            if info["state"] != "InProgress":
                return False
            twice = repeated(info, header, lines)
            kept = []
            for number, cells in enumerate(lines):
                key = key_of(info, header, cells)
                result = (
                    given_twice(info, key)
                    if key in twice
                    else write(writer, info, sobject, header, cells)
                )
                info["numberRecordsProcessed"] += 1
                info["numberRecordsFailed"] += isinstance(result, Rejection)
                kept.append(_kept(job, first + number, result))
            writer.connection.execute(self.store.results.insert(), kept)
            self._save(writer.connection, info)
        return True

    def _fail(self, job: str, message: str) -> None:
        with self.store.writing() as connection:
            info = self.get(connection, job)
            if info["state"] in RUNNING:
                info["state"], info["errorMessage"] = "Failed", message
                self._save(connection, info)


def _kept(job: str, line: int, result: Saved | Rejection) -> dict[str, Any]:
    """Returns what is kept of one row's outcome."""
    row: dict[str, Any] = {"job": job, "line": line, "record": None, "created": None}
    if isinstance(result, Rejection):
        return row | {"kind": "failed", "error": result.bulk()}
    made = {"record": result.id, "created": result.created}
    return row | made | {"kind": "successful", "error": None}
