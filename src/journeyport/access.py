"""Where the source is and what opens it: addresses, accounts, keys, checked.

No secret is shown by any of these values, nor by an error about them.
"""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from journeyport import wire
from journeyport.errors import SettingsError


@dataclass(frozen=True)
class AccountAccess:
    """One account and what opens it; user name and password only where it needs them.

    Attributes:
        account_id: six letters.
        client_id: the OAuth client.
        client_secret: its secret.
        app_key: the application key sent with every call.
        username: a user with the role Agent, for the password grant.
        password: that user's password.
    """

    account_id: str
    client_id: str
    client_secret: str = field(repr=False)
    app_key: str = field(repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SourceConfig:
    """How the source is reached.

    Attributes:
        base_url: scheme and host; plain http only on loopback.
        accounts: the accounts that may be read.
        concurrency: calls under way at a time, over all accounts.
        rate: calls per second to begin with; None: 2, and no limit on loopback.
        ceiling: calls per second that the rate creeps up to at most; None: 10.
        budget: calls that may be made in all; None: no limit.
        timeout: seconds to wait for a connection or an answer.
        attempts: how often one call is tried.
        longest_wait: seconds above which a Retry-After ends the run instead.
        trust_env: take proxy and CA bundle from the environment; off on loopback.
    """

    base_url: str
    accounts: tuple[AccountAccess, ...]
    concurrency: int = 4
    rate: float | None = None
    ceiling: float | None = None
    budget: int | None = None
    timeout: float = 30.0
    attempts: int = 8
    longest_wait: float = 300.0
    trust_env: bool = True


def check(config: SourceConfig) -> bool:
    """Whether the source is on loopback; refuses what could never work.

    Raises:
        SettingsError: the address, a key or a secret cannot be used.
        ArgumentError: an account is not six letters.
    """
    parts = urlsplit(config.base_url)
    loopback = is_loopback(parts.hostname or "")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("JOURNEYPORT_SOURCE_URL must be https:// and a host.")
    if parts.scheme == "http" and not loopback:
        raise SettingsError(
            "JOURNEYPORT_SOURCE_URL is plain http; only https keeps the secrets safe."
        )
    for access in config.accounts:
        wire.account_path(access.account_id)
        for name in ("client_id", "client_secret", "app_key"):
            value = getattr(access, name)
            if not value or not value.isprintable() or not value.isascii():
                raise SettingsError(
                    f"JOURNEYPORT_{name.upper()} of account {access.account_id} is "
                    "empty or holds characters that no key has; a line end, perhaps."
                )
    return loopback


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
