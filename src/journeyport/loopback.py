"""Keeping a rehearsal on this machine: what loopback is, and refusing all else.

The refusal sits below every Python library, in the interpreter's own audit events. A
driver that opens its sockets in C is not seen by it; its address is looked at by
`require` before it is handed over.
"""

import ipaddress
import sys
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from journeyport.errors import SettingsError


def is_loopback(host: str) -> bool:
    """The host is this machine's own: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require(url: str | None, variable: str) -> None:
    """Check that an address leads nowhere but to this machine.

    Args:
        url: a URL or a path; None and paths are fine.
        variable: the setting it came from, for the sentence.

    Raises:
        SettingsError: the address is another machine's.
    """
    parts = urlsplit(url or "")
    if parts.scheme in {"", "file"} or parts.scheme.startswith(("sqlite", "duckdb")):
        return
    if parts.hostname is None or not is_loopback(parts.hostname):
        raise SettingsError(
            f"{variable} leads off this machine, which a rehearsal never does; use an "
            "address on 127.0.0.1 or take JOURNEYPORT_LOOPBACK_ONLY away."
        )


@cache
def refuse_others() -> None:
    """From here on, this process connects to nothing but this machine.

    It cannot be undone: audit hooks stay for the life of the process. One is enough,
    however often a sensor reads the settings.
    """
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not is_loopback(str(address[0])):
            raise SettingsError(
                "A connection off this machine was about to be opened in a rehearsal, "
                "and was refused; nothing left this machine."
            )
    elif event == "socket.getaddrinfo":
        host = arguments[0]
        if host is not None and not is_loopback(_text(host)):
            raise SettingsError(
                "A name off this machine was about to be looked up in a rehearsal, "
                "and was refused; nothing left this machine."
            )


def _text(host: str | bytes) -> str:
    return host.decode(errors="replace") if isinstance(host, bytes) else host
