"""What the org has used and may use: API requests, Bulk, storage; and calls by kind."""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import Any

KILOBYTES_PER_RECORD = 2
"""Most records count 2 KB of data storage, whatever they hold."""

_KINDS = (
    ("token", r"^/services/oauth2/"),
    ("job_result", r"/jobs/(ingest|query)/[^/]+/(\w*results|unprocessed\w*)/?$"),
    ("job_upload", r"/jobs/ingest/[^/]+/batches/?$"),
    ("job", r"/jobs/"),
    ("query", r"/(query|queryAll)(/|$)"),
    ("describe", r"/sobjects(/\w+(/describe)?)?/?$"),
    ("collections", r"/composite/sobjects"),
    ("composite", r"/composite"),
    ("limits", r"/limits/?$"),
    ("record", r"/sobjects/"),
)
_WRITES = frozenset({"record", "collections", "composite", "job_upload"})


def kind_of(method: str, path: str) -> str:
    """Returns what a call is counted as, such as ``query`` or ``collections_write``."""
    for name, pattern in _KINDS:
        if re.search(pattern, path, re.IGNORECASE):
            return _detailed(name, method, path)
    return "other"


def _detailed(name: str, method: str, path: str) -> str:
    if name == "job":
        return {"POST": "job_create", "PATCH": "job_state"}.get(method, "job_poll")
    kind = "record" if name == "describe" and method == "POST" else name
    reading = method == "GET" or path.rstrip("/").endswith("/query")
    return f"{kind}_write" if kind in _WRITES and not reading else kind


class Limits:
    """Counts calls, and knows how many are allowed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Goes back to a day on which nothing was asked yet."""
        self.calls.clear()
        self.used = 0
        self.maximum = {
            "DailyApiRequests": 100_000,
            "DailyBulkV2QueryJobs": 10_000,
            "DailyBulkApiBatches": 15_000,
            "DataStorageMB": 1_024,
            "FileStorageMB": 1_024,
        }

    def count(self, method: str, path: str) -> None:
        """Counts one call."""
        with self._lock:
            kind = kind_of(method, path)
            self.calls[kind] += 1
            if kind != "token":
                self.used += 1

    @property
    def exhausted(self) -> bool:
        """Tells whether no request is left."""
        return self.used >= self.maximum["DailyApiRequests"]

    def header(self) -> str:
        """Returns the value of ``Sforce-Limit-Info``."""
        return f"api-usage={self.used}/{self.maximum['DailyApiRequests']}"

    def reset_calls(self) -> None:
        """Forgets the calls by kind; the day's usage stays."""
        with self._lock:
            self.calls.clear()

    def report(self) -> dict[str, Any]:
        """Returns calls by kind, and writes, reads and tokens in sum."""
        with self._lock:
            calls = dict(self.calls)
        writes = sum(n for k, n in calls.items() if _is_write(k))
        tokens = calls.get("token", 0)
        return {
            "by_kind": calls,
            "writes": writes,
            "reads": sum(calls.values()) - writes - tokens,
            "tokens": tokens,
            "used_today": self.used,
        }

    def resource(self, records: int) -> dict[str, dict[str, int]]:
        """Returns the limits resource's body for a number of records held."""
        storage = self.maximum["DataStorageMB"] - self.megabytes(records)
        left = {
            "DailyApiRequests": max(0, self.maximum["DailyApiRequests"] - self.used),
            "DataStorageMB": max(0, storage),
        }
        return {
            name: {"Max": maximum, "Remaining": left.get(name, maximum)}
            for name, maximum in self.maximum.items()
        }

    def megabytes(self, records: int) -> int:
        """Returns the storage that records take, in whole megabytes."""
        return records * KILOBYTES_PER_RECORD // 1024

    def storage_full(self, records: int) -> bool:
        """Tells whether no further record fits."""
        room = self.maximum["DataStorageMB"] * 1024
        return (records + 1) * KILOBYTES_PER_RECORD > room


def _is_write(kind: str) -> bool:
    return kind.endswith("_write") or kind in {"job_create", "job_state"}
