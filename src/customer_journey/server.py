"""Serving both applications in one process, on sockets that are bound beforehand.

The sockets listen before anything is announced, so that whoever reads the announcement
can connect at once. One thread does everything: requests see each other's writes in the
order they came.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's own, that lets a request break its connection off."""

    app_state: dict[str, Any]

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # each connection's own copy: the state that uvicorn hands in is shared
        state: dict[str, Any] = self.app_state
        self.app_state = {**state, "abort": transport.abort}


class _Server(uvicorn.Server):
    """A server whose signals are somebody else's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # the protocol named: only then does asyncio switch Nagle's algorithm off, which
    # would hold back every answer for 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.listen(256)
    return listener


def address(listener: socket.socket) -> str:
    """The URL under which a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            # the service's own clock tells the date
            date_header=False,
            server_header=False,
            # longer than clients keep an idle connection for the next night's read
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
    )


async def run(
    applications: list[tuple[ASGIApp, socket.socket]],
    ready: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Serve every application on its socket until ``stop`` is set."""
    servers = [_server(app) for app, _ in applications]
    tasks = [
        asyncio.create_task(server.serve(sockets=[listener]))
        for server, (_, listener) in zip(servers, applications, strict=True)
    ]
    while not all(server.started for server in servers):
        if any(task.done() for task in tasks):
            break
        await asyncio.sleep(0.005)
    else:
        ready()
        await stop.wait()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)


def stop_on_signals(stop: asyncio.Event) -> None:
    """End cleanly on Ctrl-C and on SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
