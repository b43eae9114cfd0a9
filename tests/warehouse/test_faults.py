"""Cut connections, killed processes: nothing half-done is visible, and it heals."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from nights import CLOCK, FIRST, assert_equal

from journeyport import warehouse
from journeyport.errors import TransientError

FEW = ["engagements", "participants", "customers", "certificates"]
"""Enough for every kind of statement, few enough to cut at each."""

COUNTED = b"QECdc"
"""Query, Execute, Close, CopyData, CopyDone: whatever makes the server do a thing."""


class Cut:
    """A way to the server that is cut at the n-th message sent to it.

    Args:
        server: the folder of the server's socket.
        at: which message, from 1.
        heard: the server still receives that message; its answer never comes back.
    """

    def __init__(self, server: Path, at: int, *, heard: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="jp-cut-"))
        self.server = str(server / ".s.PGSQL.5432")
        self.at = at
        self.heard = heard
        self.seen = 0
        self.was_cut = False
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(self.folder / ".s.PGSQL.5432"))
        self.listening.listen()
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def __enter__(self) -> "Cut":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join()
        shutil.rmtree(self.folder)

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                break
            there = socket.socket(socket.AF_UNIX)
            there.connect(self.server)
            for work in (
                lambda c=client, t=there: self._forth(c, t),
                lambda c=client, t=there: self._back(t, c),
            ):
                threads.append(threading.Thread(target=work))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def _forth(self, client: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            there.sendall(b"".join(_message(client, typed=False)))
            while True:
                kind, rest = _message(client, typed=True)
                self.seen += kind in COUNTED
                if self.seen == self.at and not self.was_cut:
                    self.was_cut = True
                    if self.heard:
                        client.shutdown(socket.SHUT_RDWR)
                        there.sendall(kind + rest + b"S\0\0\0\4")
                        while there.recv(65_536):
                            pass
                    break
                there.sendall(kind + rest)
        _end(client)
        _end(there)

    def _back(self, there: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := there.recv(65_536):
                client.sendall(data)
        _end(client)


def _message(source: socket.socket, *, typed: bool) -> tuple[bytes, bytes]:
    kind = _exactly(source, 1) if typed else b""
    length = _exactly(source, 4)
    return kind, length + _exactly(source, struct.unpack("!I", length)[0] - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def state_of(target, tables: list[str]) -> list[list[str]]:
    """The hashes of each table's rows."""
    with target.connection() as connection:
        return [
            sorted(connection.scalars(sa.text(f"SELECT _row_hash FROM {table}")))
            for table in tables
        ]


def night(world) -> None:
    """Change something of every kind: an update, a move, a delete, an insert."""
    world.change("AAAAAA", "AAAAAA-0-000")
    world.change("AAAAAA", "AAAAAA-0-001", is_deleted=True)
    world.change("BBBBBB", "BBBBBB-0-002", day=world.made["BBBBBB", "BBBBBB-1-000"].day)
    world.add("AAAAAA", FIRST, "new")
    world.write()


def cuts(target, world, tables: list[str], *, heard: bool, step: int) -> Iterator[int]:
    url = sa.engine.make_url(target.url)
    at = 1
    while True:
        with Cut(Path(str(url.query["host"])), at, heard=heard) as way:
            through = url.update_query_dict({"host": str(way.folder)})
            shown = through.render_as_string(hide_password=False)
            named = {"run_id": "run-2", "clock": CLOCK, "tables": tables}
            try:
                warehouse.load(world.lake, shown, attempts=1, **named)
            except TransientError:
                pass
            else:
                if not way.was_cut:
                    return
        yield at
        at += step


@pytest.mark.parametrize("heard", [False, True], ids=["lost", "heard"])
def test_a_connection_cut_at_any_statement_leaves_all_or_nothing(
    loaded_postgresql, world, heard
):
    before = state_of(loaded_postgresql, FEW)
    night(world)
    # Every message in turn where it is lost; where the server hears it, the answer to
    # the COMMIT is what counts, and every third will do for the rest.
    reached = 0
    committed = []
    for at in cuts(loaded_postgresql, world, FEW, heard=heard, step=3 if heard else 1):
        reached = at
        now = state_of(loaded_postgresql, FEW)
        if now != before:
            committed.append(at)
            break
    assert reached > 30
    loaded_postgresql.load(world)
    assert_equal(loaded_postgresql, world)
    # Only the answer to COMMIT may be lost with the work done.
    assert len(committed) <= 1
    if not heard:
        assert not committed


def test_a_commit_whose_answer_is_lost_is_done_once(loaded_postgresql, world):
    """Unknown outcome: the load begins again, finds it done, and changes nothing."""
    night(world)
    url = sa.engine.make_url(loaded_postgresql.url)
    # Count the messages of such a load on a copy of its work that is rolled back.
    with Cut(Path(str(url.query["host"])), 10_000, heard=True) as way:
        through = url.update_query_dict({"host": str(way.folder)})
        warehouse.load(
            world.lake,
            through.render_as_string(hide_password=False),
            run_id="run-2",
            clock=CLOCK,
            tables=FEW,
        )
        total = way.seen
    assert total > 30
    assert loaded_postgresql.load(world, tables=FEW).data.changed == 0


def test_a_load_goes_on_by_itself_after_a_cut(loaded_postgresql, world):
    night(world)
    url = sa.engine.make_url(loaded_postgresql.url)
    with Cut(Path(str(url.query["host"])), 25, heard=False) as way:
        through = url.update_query_dict({"host": str(way.folder)})
        report = warehouse.load(
            world.lake,
            through.render_as_string(hide_password=False),
            run_id="run-2",
            clock=CLOCK,
        )
        assert way.was_cut
    assert report.retries == 1
    assert_equal(loaded_postgresql, world)


@pytest.mark.soak
@pytest.mark.parametrize("heard", [False, True], ids=["lost", "heard"])
def test_every_table_at_every_statement(loaded_postgresql, world, heard):
    names = list(loaded_postgresql.rows())
    before = state_of(loaded_postgresql, names)
    night(world)
    for _ in cuts(loaded_postgresql, world, names, heard=heard, step=1):
        if state_of(loaded_postgresql, names) != before:
            break
    loaded_postgresql.load(world)
    assert_equal(loaded_postgresql, world)


_HALF_WAY = """
import sys, time
sys.path.insert(0, sys.argv[1])
from nights import CLOCK
from journeyport import warehouse
from journeyport.lake import Lake

class Pausing(Lake):
    def read_snapshot(self, table, columns=None):
        if table == sys.argv[4]:
            print("half-way", flush=True)
            time.sleep(600)
        return super().read_snapshot(table, columns)

warehouse.load(Pausing(sys.argv[2]), sys.argv[3], run_id="run-2", clock=CLOCK)
"""


@pytest.mark.parametrize("table", ["identifier_types", "rejected_records"])
def test_a_load_killed_half_way_leaves_nothing_and_the_next_heals(loaded, world, table):
    before = loaded.rows()
    night(world)
    here = str(Path(__file__).parent)
    process = subprocess.Popen(
        [sys.executable, "-c", _HALF_WAY, here, world.lake.url, loaded.url, table],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        assert process.stdout.readline() == "half-way\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert loaded.rows() == before
    loaded.load(world)
    assert_equal(loaded, world)
