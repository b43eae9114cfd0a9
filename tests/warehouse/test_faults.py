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
from pathlib import Path

import pytest
import sqlalchemy as sa
from nights import CLOCK, FIRST, assert_equal, delivered

from journeyport import warehouse
from journeyport.errors import TransientError

FEW = ["engagements", "participants"]
"""Enough for every kind of statement, few enough to cut at each."""

COUNTED = b"QECdc"
"""Query, Execute, Close, CopyData, CopyDone: whatever makes the server do a thing."""


class Cut:
    """A way to the server that is cut at the n-th message sent to it.

    Args:
        server: the folder of the server's socket.
        at: which message, from 1; or what stands in it.
        heard: the server still receives that message; its answer never comes back.
    """

    def __init__(self, server: Path, at: int | bytes, *, heard: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="jp-cut-"))
        self.server = str(server / ".s.PGSQL.5432")
        self.at = at
        self.heard = heard
        self.seen = 0
        self.was_cut = False
        self.report = None
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(self.folder / ".s.PGSQL.5432"))
        self.listening.listen()
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join()
        shutil.rmtree(self.folder)

    def _accept(self) -> None:
        threads, ends = [], []
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                break
            there = socket.socket(socket.AF_UNIX)
            there.connect(self.server)
            ends += [client, there]
            for work in (
                lambda c=client, t=there: self._forth(c, t),
                lambda c=client, t=there: self._back(t, c),
            ):
                threads.append(threading.Thread(target=work))
                threads[-1].start()
        for thread in threads:
            thread.join()
        for end in ends:
            end.close()

    def _forth(self, client: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            there.sendall(b"".join(_message(client, typed=False)))
            while True:
                kind, rest = _message(client, typed=True)
                self.seen += kind in COUNTED
                if not self.was_cut and self._is_it(kind + rest):
                    self.was_cut = True
                    if self.heard:
                        _end(client)
                        there.sendall(kind + rest)
                        # It does that, then finds that nobody is there any more.
                        there.shutdown(socket.SHUT_WR)
                        while there.recv(65_536):
                            pass
                    break
                there.sendall(kind + rest)
        _end(client)
        _end(there)

    def _is_it(self, message: bytes) -> bool:
        if isinstance(self.at, int):
            return self.seen == self.at
        return self.at in message

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


def load_through(target, world, at: int | bytes, *, heard: bool, **named) -> Cut:
    """Load over a way that is cut; the error is passed on."""
    url = sa.engine.make_url(target.url)
    with Cut(Path(str(url.query["host"])), at, heard=heard) as way:
        through = url.update_query_dict({"host": str(way.folder)})
        shown = through.render_as_string(hide_password=False)
        named |= {"run_id": "run-2", "clock": CLOCK}
        way.report = warehouse.load(world.lake, shown, **named)
    return way


def sweep(target, world, tables: list[str], *, heard: bool) -> tuple[int, bool]:
    """Cut at each message in turn, until a load is cut no more or is done all the same.

    Returns:
        How many messages it took, and whether a load that failed had done its work.
    """
    before = state_of(target, tables)
    night(world)
    at = 0
    while True:
        at += 1
        named = {"heard": heard, "tables": tables, "attempts": 1}
        try:
            if not load_through(target, world, at, **named).was_cut:
                return at, False
        except TransientError:
            pass
        if state_of(target, tables) != before:
            return at, True


def test_a_connection_cut_at_each_statement_in_turn_leaves_nothing(
    loaded_postgresql, world
):
    before = state_of(loaded_postgresql, FEW)
    at, done = sweep(loaded_postgresql, world, FEW, heard=False)
    assert at > 30
    assert not done
    # The last one was not cut.
    assert state_of(loaded_postgresql, FEW) != before
    assert loaded_postgresql.load(world, tables=FEW).data.changed == 0
    loaded_postgresql.load(world)
    assert_equal(loaded_postgresql, world)


def test_a_commit_whose_answer_is_lost_is_found_done(loaded_postgresql, world):
    """The outcome is not known: the load begins again and has nothing left to do."""
    night(world)
    way = load_through(loaded_postgresql, world, b"COMMIT\0", heard=True)
    assert way.was_cut
    assert way.report.retries == 1
    assert way.report.data.changed == 0
    assert_equal(loaded_postgresql, world)


def test_a_load_goes_on_by_itself_after_a_cut(loaded_postgresql, world):
    night(world)
    way = load_through(loaded_postgresql, world, 25, heard=False)
    assert way.was_cut
    assert way.report.retries == 1
    assert_equal(loaded_postgresql, world)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("heard", [False, True], ids=["lost", "heard"])
@pytest.mark.parametrize("first", range(0, len(delivered()), 5))
def test_every_table_at_every_statement(loaded_postgresql, world, first, heard):
    """Five tables at a time: what comes before a cut is done again each time."""
    some = delivered()[first : first + 5]
    world.tables = frozenset(some)
    sweep(loaded_postgresql, world, some, heard=heard)
    loaded_postgresql.load(world, tables=some)
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


def test_a_load_killed_half_way_leaves_nothing_and_the_next_heals(loaded, world):
    # After all tables but the last.
    table = "rejected_records"
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
