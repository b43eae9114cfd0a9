"""The parts of one running service, put together; it answers no request itself."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import orjson

from customer_journey.auth import Access
from customer_journey.clock import Clock
from customer_journey.faults import Faults
from customer_journey.store import Replica, Store
from customer_journey.traffic import Traffic
from customer_journey.writes import Writes

#: Bytes of a body beyond which nothing is read: 50 engagements' worth.
BODY_LIMIT = 256 * 1024
#: Bytes of a URL, and of all headers together.
URL_LIMIT = 16 * 1024
HEADERS_LIMIT = 64 * 1024
#: Seconds that the pieces of a body may keep the service waiting.
BODY_SECONDS = 30.0


class RequestLog:
    """One JSON line per request: how it was asked and answered, never for whom.

    Neither identifier values nor secrets are written: of a search only its bounds and
    its page, of a path only its template with the account.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        if self._file is not None:
            self._file.write(orjson.dumps(line).decode() + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


@dataclass
class Service:
    """What the operations work with."""

    store: Store
    clock: Clock
    access: Access
    writes: Writes
    log: RequestLog
    traffic: Traffic
    replica: Replica
    faults: Faults = field(default_factory=Faults)
    body_limit: int = BODY_LIMIT
    body_seconds: float = BODY_SECONDS
    started: float = field(default_factory=time.monotonic)
    requests: Counter[str] = field(default_factory=Counter)
    live: asyncio.Task[None] | None = None

    def set_faults(self, profiles: Iterable[str], seed: int) -> None:
        """Put fault profiles in force in the place of those that are."""
        self.faults.set(profiles, seed)
        if self.faults.has("microseconds"):
            self.store.add_microseconds()
        self.replica.refresh()

    def set_live(self, per_minute: float) -> None:
        """Let so many events a minute happen from now on; 0 ends them."""
        if self.live is not None:
            self.live.cancel()
            self.live = None
        if per_minute > 0:
            self.live = asyncio.create_task(self.traffic.live(per_minute))

    def close(self) -> None:
        """Close the database and the log."""
        self.replica.close()
        self.store.close()
        self.log.close()


def open_service(
    database: str,
    *,
    clock: Clock | None = None,
    write_lag: int = 0,
    request_log: Path | None = None,
    body_limit: int = BODY_LIMIT,
    body_seconds: float = BODY_SECONDS,
    truth: Path | None = None,
) -> Service:
    """Open a database and put a service on it.

    Args:
        database: an SQLAlchemy URL or the path of an SQLite file.
        clock: the service's clock; the machine's when absent.
        write_lag: microseconds between a write and its appearance.
        request_log: a file for one JSON line per request.
        body_limit: the largest body that is read, in bytes.
        body_seconds: how long each piece of a body may take to arrive.
        truth: where the person behind each engagement of live traffic is written.
    """
    store = Store(database)
    clock = clock or Clock()
    return Service(
        store=store,
        clock=clock,
        access=Access(store, clock),
        writes=Writes(store, clock, write_lag),
        log=RequestLog(request_log),
        traffic=Traffic(store, clock, truth),
        replica=Replica(store),
        body_limit=body_limit,
        body_seconds=body_seconds,
    )
