"""Processes that journeyport starts beside itself, and ends again.

Each runs in a session of its own, so that Ctrl-C reaches us first and we end them in
order. What they are (servers, the Dagster UI) is said in `demo` and `up`.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, NoReturn, Self, TypeVar

from journeyport.errors import ArgumentError, PermanentError

T = TypeVar("T")

_PATIENCE = 180.0
"""Seconds in which a server must say where it listens, on however busy a machine."""

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
if _LIBC is not None:
    _LIBC.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]  # it is variadic
_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux; elsewhere a killed parent leaves its children behind."""

_POLITE = (signal.SIGTERM, signal.SIGINT)
"""The signals that a child must be able to hear."""


@dataclass(frozen=True)
class Child:
    """A started process, its name for people and the file its words go to."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def tail(self) -> str:
        """The last line it wrote, for a sentence about its end."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it wrote nothing"


class Children:
    """Started processes that end with the block, last started first."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._logs: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what still runs."""
        self.stop()

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environ: Mapping[str, str],
        folder: Path,
        log: Path,
    ) -> Child:
        """Start one process; both of its outputs go to the log file."""
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        sink = log.open("wb")
        self._logs.append(sink)
        process = subprocess.Popen(  # noqa: S603  our own programs, no shell
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            cwd=folder,
            start_new_session=True,
            # Only calls into the C library, none of which takes a lock of ours.
            preexec_fn=partial(_begin, os.getpid()),  # noqa: PLW1509
        )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def ended(self) -> Child | None:
        """A child that ended by itself, or None while all run."""
        for child in self._children:
            if child.process.poll() is not None:
                return child
        return None

    def stop(self, patience: float = 15.0) -> None:
        """End every child: ask its whole group first, insist after `patience`."""
        for child in reversed(self._children):
            _signal(child, signal.SIGTERM)
        end = time.monotonic() + patience
        for child in reversed(self._children):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, end - time.monotonic()))
            _signal(child, signal.SIGKILL)
            child.process.wait()
        for sink in self._logs:
            sink.close()
        self._children.clear()
        self._logs.clear()


def wait_for(child: Child, look: Callable[[str], T | None]) -> T:
    """Wait until what a child wrote lets `look` find its answer.

    Raises:
        PermanentError: it ended, or said nothing useful in time.
    """
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        found = look(child.log.read_text(errors="replace"))
        if found is not None:
            return found
        if child.process.poll() is not None:
            raise PermanentError(
                f"The {child.name} ended before it was ready: {child.tail()}; its "
                f"words are in {child.log}."
            )
        time.sleep(0.05)
    raise PermanentError(
        f"The {child.name} did not say where it listens in time; its words "
        f"are in {child.log}."
    )


def require_free(port: int) -> None:
    """Check that nothing listens on a loopback port.

    Raises:
        ArgumentError: something does.
    """
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise ArgumentError(
                f"Port {port} on this machine is taken by another program; end that "
                "or choose another with --port."
            )


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: in order."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)


def _begin(parent: int) -> None:
    """In the child, before its program: hear signals, and end when we are gone.

    An ignored or blocked signal stays so in whatever is started. A shell's `&` ignores
    SIGINT, and Dagster lets SIGTERM do what SIGINT does: its processes, and whatever
    they start, would then be deaf to both.
    """
    for number in _POLITE:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _POLITE)
    if _LIBC is None:
        return
    # The kernel takes for the parent the thread that starts the child.
    if _LIBC.prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:  # it was gone before the kernel was told to look
        os._exit(1)


def _signal(child: Child, number: signal.Signals) -> None:
    try:
        os.killpg(child.process.pid, number)
    except (ProcessLookupError, PermissionError):
        return
