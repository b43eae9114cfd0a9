"""Leases: what one run holds, no other may touch.

A lease ends when it is given back, when its time is up, or at once when the process
that held it is gone from this machine. What is leased is a name that callers agree on:
`day/ABCDEF/2026-03-01`, `crm/<org>/Contact`.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from journeyport.clock import Clock
from journeyport.errors import LeaseError
from journeyport.state.store import Instant, State, metadata, upsert

LENGTH = timedelta(minutes=15)

_leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("until", Instant, nullable=False),
)


@dataclass
class Lease:
    """Names held for a run; renew it before its time is up."""

    state: State
    names: tuple[str, ...]
    run_id: str
    clock: Clock
    length: timedelta
    until: datetime

    def renew_in_time(self) -> None:
        """Renew once half of the time is up; raises as `renew`."""
        if self.until - self.clock.now() < self.length / 2:
            self.renew()

    def renew(self) -> None:
        """Hold on for another `length` from now.

        Raises:
            LeaseError: another run took it over, because it had run out.
        """
        until = self.clock.now() + self.length
        kept = 0
        with self.state.write() as connection:
            for name in self.names:
                kept += connection.execute(
                    _leases.update()
                    .where(_leases.c.name == name, *self._own())
                    .values(until=until)
                ).rowcount
        self.until = until
        if kept < len(self.names):
            raise LeaseError(
                f"The lease on {self.names[0]} ran out and another run took it; start "
                "again once that run has ended."
            )

    def _own(self) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            _leases.c.run_id == self.run_id,
            _leases.c.host == socket.gethostname(),
            _leases.c.pid == os.getpid(),
        )

    def _give_back(self) -> None:
        with self.state.write() as connection:
            for name in self.names:
                connection.execute(
                    _leases.delete().where(_leases.c.name == name, *self._own())
                )


@contextmanager
def held(
    state: State,
    names: Sequence[str],
    *,
    run_id: str,
    clock: Clock,
    length: timedelta = LENGTH,
) -> Iterator[Lease]:
    """Hold all of these names, or none.

    Raises:
        LeaseError: another run holds one of them.
    """
    until = clock.now() + length
    lease = Lease(state, tuple(sorted(set(names))), run_id, clock, length, until)
    _take(lease)
    try:
        yield lease
    finally:
        lease._give_back()  # noqa: SLF001 (the same module)


def _take(lease: Lease) -> None:
    now, host, pid = lease.clock.now(), socket.gethostname(), os.getpid()
    with lease.state.write() as connection:
        wanted = set(lease.names)
        for row in connection.execute(sa.select(_leases)).all():
            if row.name in wanted and not _lapsed(row.host, row.pid, row.until, now):
                raise LeaseError(
                    f"Run {row.run_id} holds {row.name} until "
                    f"{row.until:%Y-%m-%d %H:%M} UTC; try again when it has ended."
                )
        upsert(
            connection,
            _leases,
            [
                {
                    "name": name,
                    "run_id": lease.run_id,
                    "host": host,
                    "pid": pid,
                    "until": lease.until,
                }
                for name in lease.names
            ],
        )


def _lapsed(host: str, pid: int, until: datetime, now: datetime) -> bool:
    if until <= now:
        return True
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
