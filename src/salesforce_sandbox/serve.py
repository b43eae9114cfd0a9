"""Listening: two ports, one process; as a command's whole life or inside a test."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from salesforce_sandbox.app import ByPort, admin_app, rest_app
from salesforce_sandbox.bulk import Bulk
from salesforce_sandbox.org import Org
from salesforce_sandbox.schema import Schema, load


@dataclass(frozen=True, slots=True)
class Address:
    """Where a sandbox listens, and how to sign in to it."""

    url: str
    admin_url: str
    consumer_key: str
    consumer_secret: str
    username: str
    org_id: str


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._listening()


def bind(host: str, port: int) -> socket.socket:
    """Returns a bound socket; port 0 takes any free one.

    Raises:
        OSError: The address is taken, or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: only then does the event loop send the parts of an answer at once.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def address(org: Org, main: socket.socket, steering: socket.socket) -> Address:
    """Returns the address of an org behind two sockets."""
    return Address(
        _url(main),
        _url(steering),
        org.sessions.key,
        org.sessions.secret,
        org.sessions.username,
        org.id,
    )


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(
    org: Org, bulk: Bulk, steering: socket.socket, listening: Callable[[], None]
) -> _Server:
    app = ByPort(rest_app(org, bulk), admin_app(org, bulk), steering.getsockname()[1])
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level="critical",
        access_log=False,
        # A client that pauses longer than this may meet a connection just closed.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=2,
    )
    return _Server(config, listening)


def run(
    org: Org,
    main: socket.socket,
    steering: socket.socket,
    listening: Callable[[], None],
) -> None:
    """Serves until the process is told to end; calls ``listening`` once it answers.

    Raises:
        KeyboardInterrupt: It was interrupted; all is closed by then.
    """
    # The server raises again the signal that ended it. Without a handler SIGTERM would
    # kill the process before the worker and the database are closed.
    before = signal.signal(signal.SIGTERM, _ignore)
    bulk = Bulk(org)
    try:
        _server(org, bulk, steering, listening).run(sockets=[main, steering])
    finally:
        bulk.close()
        signal.signal(signal.SIGTERM, before)


def _ignore(_number: int, _frame: object) -> None:
    """Lets a SIGTERM that the server has dealt with pass."""


@contextmanager
def running(
    database: Path, schema: Schema | None = None, *, public_key: str | None = None
) -> Iterator[tuple[Address, Org]]:
    """Serves on free loopback ports from a thread of this process, for tests."""
    org = Org(database, schema or load(), public_key=public_key)
    main, steering = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
    ready = threading.Event()
    bulk = Bulk(org)
    server = _server(org, bulk, steering, ready.set)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[main, steering]))
    )
    thread.start()
    try:
        ready.wait(timeout=30)
        yield address(org, main, steering), org
    finally:
        server.should_exit = True
        thread.join()
        main.close()
        steering.close()
        bulk.close()
        org.close()
