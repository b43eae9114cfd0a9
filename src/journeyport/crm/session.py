"""One HTTP session under every call: time limits, retries, the base URL, the tally.

simple-salesforce builds https addresses and sets no limit of its own; the one way in is
a session with an adapter. Nothing here knows what a call means.
"""

import logging
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from journeyport.crm.protocol import Calls

REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})
"""Every PATCH of ours names its record, so that sending it twice ends the same."""


READS = 4
"""How often an answer that breaks off is asked for, at most."""


class Adapter(HTTPAdapter):
    """Sends a request with a time limit, to the base URL where one is set."""

    def __init__(
        self, base_url: str, timeout: float, calls: Calls, pause: float
    ) -> None:
        self._base = urlsplit(base_url) if base_url else None
        self._timeout = timeout
        self._calls = calls
        super().__init__(
            max_retries=Retry(
                total=4,
                status_forcelist=(429, 500, 502, 503, 504),
                allowed_methods=REPEATABLE,
                backoff_factor=pause,
                backoff_jitter=pause,
                backoff_max=100 * pause,
                raise_on_status=False,
            )
        )

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send one request."""
        path = urlsplit(str(request.url))
        self._count(request.method or "", path.path)
        if self._base is not None:
            request.url = urlunsplit(
                (self._base.scheme, self._base.netloc, path.path, path.query, "")
            )
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout
        for left in reversed(range(READS if request.method in REPEATABLE else 1)):
            response = super().send(request, *args, **kwargs)
            try:
                _ = response.content  # here, so that a torn answer is asked for again
            except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError):
                if not left:
                    raise
            else:
                return response
        raise requests.exceptions.RetryError("No whole answer came.")

    def _count(self, method: str, path: str) -> None:
        if path.endswith("/oauth2/token"):
            self._calls.sign_ins += 1
        elif method == "GET":
            self._calls.reads += 1
        else:
            self._calls.writes += 1


class Refusing(HTTPAdapter):
    """Refuses plain http: only the rewriting adapter may speak it, on loopback."""

    def send(self, *_args: Any, **_kwargs: Any) -> requests.Response:
        """Refuse."""
        raise requests.exceptions.InvalidSchema("A Salesforce address is plain http.")


class WithoutQueries(logging.Filter):
    """Takes the query out of addresses: ours hold e-mails, in what urllib3 logs too."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass, shortened."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_without_query, record.args))
        return True


def _without_query(value: object) -> object:
    text = value if isinstance(value, str) else str(value)
    if "?" not in text:
        return value
    return f"{text.partition('?')[0]}?…"


_FILTER = WithoutQueries()


def open_session(
    base_url: str, timeout: float, calls: Calls, *, is_local: bool, pause: float
) -> requests.Session:
    """A session whose every call goes through one `Adapter`.

    Args:
        base_url: where to send calls instead of to Salesforce; empty: to Salesforce.
        timeout: of one call, in seconds.
        calls: the tally to count in.
        is_local: the base URL is this machine; the environment's proxies are ignored.
        pause: before the first further try of a call, in seconds; it doubles.
    """
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_FILTER)
    session = requests.Session()
    session.trust_env = not is_local
    session.mount("https://", Adapter(base_url, timeout, calls, pause))
    session.mount("http://", Refusing())
    return session
