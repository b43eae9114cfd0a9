"""Faults that can be seeded: what goes wrong, where, and how often.

A fault stays armed until it has struck ``times`` times. Where it strikes is in the
module that it concerns: requests in ``gate``, rows and jobs in ``org`` and ``bulk``.
"""

from __future__ import annotations

import random
import re
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

REQUEST_KINDS = {
    "unavailable": "503 to a matching request, which is not carried out",
    "unavailable_polling": "503 to the reading of a Bulk job's state",
    "session_expired": "all sessions end, and the request gets 401",
    "request_limit": "403 REQUEST_LIMIT_EXCEEDED to a matching request",
    "server_error": "500 UNKNOWN_EXCEPTION; the request is not carried out",
    "lost_answer": "the request is carried out, but its answer is cut off",
    "gateway_timeout": "the request is carried out, but the answer is a bare 504",
    "slow_answer": "the answer comes `seconds` late",
}
OTHER_KINDS = {
    "row_lock": "UNABLE_TO_LOCK_ROW for a row that was to be written",
    "slow_job": "a closed Bulk job is not begun before its state was read `polls` "
    "times",
    "job_failed": "a Bulk job fails after `rows` rows; the others are unprocessed",
}
KINDS = REQUEST_KINDS | OTHER_KINDS
_POLLING = r"/jobs/ingest/[^/]+/?$"


@dataclass(slots=True)
class Fault:
    """One armed fault.

    Args:
        kind: One of ``KINDS``.
        times: How often it strikes before it is spent; None for ever.
        after: How many chances it lets pass first.
        probability: The share of its chances that it takes, drawn from ``seed``.
        seed: Makes the draws repeatable.
        method: The HTTP method it waits for.
        path: A regular expression that the request's path must contain.
        sobject: The object whose rows it locks.
        polls: For slow jobs.
        rows: For failing jobs.
        seconds: For slow answers.
    """

    kind: str
    times: int | None = 1
    after: int = 0
    probability: float = 1.0
    seed: int = 0
    method: str | None = None
    path: str | None = None
    sobject: str | None = None
    polls: int = 3
    rows: int = 0
    seconds: float = 1.0
    struck: int = 0
    chances: int = 0
    _draw: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)  # noqa: S311  repeatable on purpose
        if self.kind == "unavailable_polling":
            self.method, self.path = "GET", _POLLING

    def chance(self) -> bool:
        """Takes one chance and tells whether the fault strikes."""
        if self.times is not None and self.struck >= self.times:
            return False
        self.chances += 1
        if self.chances <= self.after or self._draw.random() >= self.probability:
            return False
        self.struck += 1
        return True

    def show(self) -> dict[str, Any]:
        """Returns the fault as JSON."""
        return {k: v for k, v in asdict(self).items() if not k.startswith("_")}


class Faults:
    """The armed faults of an org."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def arm(self, fault: Fault) -> None:
        """Adds a fault.

        Raises:
            ValueError: There is no such kind.
        """
        if fault.kind not in KINDS:
            msg = f"{fault.kind!r} is no kind of fault; there are {', '.join(KINDS)}."
            raise ValueError(msg)
        with self._lock:
            self._armed.append(fault)

    def clear(self) -> None:
        """Removes all faults."""
        with self._lock:
            self._armed.clear()

    def show(self) -> list[dict[str, Any]]:
        """Returns all faults, spent ones too."""
        with self._lock:
            return [fault.show() for fault in self._armed]

    def on_request(self, method: str, path: str) -> Fault | None:
        """Returns the fault that strikes a request, if any."""
        with self._lock:
            for fault in self._armed:
                if (
                    fault.kind in REQUEST_KINDS
                    and fault.method in {None, method}
                    and (fault.path is None or re.search(fault.path, path))
                    and fault.chance()
                ):
                    return fault
        return None

    def on(self, kind: str, sobject: str | None = None) -> Fault | None:
        """Returns the fault of a kind that strikes a row or a job, if any."""
        with self._lock:
            for fault in self._armed:
                if (
                    fault.kind == kind
                    and fault.sobject in {None, sobject}
                    and fault.chance()
                ):
                    return fault
        return None
