"""The source over HTTP: tokens, retries, pace. The I/O around `wire`.

One `SourceClient` serves all accounts of a run from one connection pool, from as many
threads as like; it lets `concurrency` calls out at a time. What the answers mean is
said in `wire` and judged in `extract`.
"""

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import BoundedSemaphore, Lock
from typing import Any, Self

import httpx
import tenacity

from journeyport import wire
from journeyport.access import AccountAccess, SourceConfig, check, is_loopback
from journeyport.clock import Clock, SystemClock
from journeyport.errors import (
    AccessError,
    ContractError,
    JourneyportError,
    PermanentError,
    QuotaError,
    SettingsError,
    TransientError,
)
from journeyport.pacing import CEILING, START, Pace, Tally

__all__ = [
    "AccountAccess",
    "RefusedError",
    "RoleError",
    "SourceClient",
    "SourceConfig",
    "is_loopback",
]

_TRANSIENT = {408, 425, 500, 502, 503, 504}
_LIFE = 900.0
"""Seconds a token lives where the answer does not say."""


class RefusedError(PermanentError):
    """The source refuses the call itself; the same call is refused again.

    Args:
        message: what was refused and what to do.
        problem: what the source said.
    """

    def __init__(self, message: str, problem: wire.Problem) -> None:
        super().__init__(message)
        self.problem = problem


class RoleError(AccessError):
    """Signed in, and the role that the call needs is not given in this account."""


class _AgainError(TransientError):
    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class _BrokenError(_AgainError):
    pass


@dataclass
class _Session:
    access: AccountAccess
    lock: Lock = field(default_factory=Lock)
    token: str | None = None
    renew_at: float = 0.0


@dataclass(frozen=True)
class _Call:
    account: str
    method: str
    path: str
    purpose: str
    query: Mapping[str, Any] | None = None
    content: bytes | None = None


class SourceClient:
    """Calls the source for one run; close it when done, or use it as a context.

    Args:
        config: where and as whom.
        clock: stands in where the source sends no Date header.
        sleep: waits so many seconds.

    Raises:
        SettingsError: the address, a key or a secret cannot be used.
    """

    def __init__(
        self,
        config: SourceConfig,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        loopback = check(config)
        self.config = config
        self.tally = Tally(config.budget)
        self._clock = clock or SystemClock()
        self._sleep = sleep
        unlimited = loopback and config.rate is None
        self.pace = Pace(
            None if unlimited else config.rate or START,
            None if unlimited else config.ceiling or max(CEILING, config.rate or 0),
            sleep,
        )
        self._room = BoundedSemaphore(config.concurrency)
        self._sessions = {
            access.account_id: _Session(access) for access in config.accounts
        }
        self._ahead: timedelta | None = None
        self._http = httpx.Client(
            base_url=config.base_url,
            verify=_trust(config.base_url),
            timeout=config.timeout,
            trust_env=config.trust_env and not loopback,
            limits=httpx.Limits(max_connections=config.concurrency + 1),
            headers={"accept": "application/json, application/problem+json"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that may be read."""
        return tuple(self._sessions)

    def now(self) -> tuple[datetime, bool]:
        """The time by the source's Date header; by our clock (False) without one."""
        if self._ahead is None:
            return self._clock.now(), False
        return self._clock.now() + self._ahead, True

    def search(self, account: str, ask: wire.Ask) -> wire.Answer:
        """One page of a search by dates; a 404 comes back as `not_found`.

        Raises:
            AccessError: not signed in; a RoleError: signed in, and not allowed.
            RefusedError: the source refuses such a search.
            QuotaError: the budget, ours or theirs, is used up.
            TransientError: it did not answer however often it was asked.
            ContractError: its answers cannot be read.
        """
        path, query, body = wire.search_request(account, ask)
        call = _Call(account, "POST", path, ask.purpose, query, body)
        return self._engagements(call)

    def by_ids(
        self, account: str, ids: Sequence[str], purpose: str = "watch"
    ) -> wire.Answer:
        """Up to 50 engagements by id; unknown ones are left out; raises as `search`."""
        path, query = wire.ids_request(account, ids)
        return self._engagements(_Call(account, "GET", path, purpose, query))

    def identifier_types(self, account: str) -> list[dict[str, Any]]:
        """The configured identifier types; raises as `search`."""
        path = wire.identifiers_path(account)
        call = _Call(account, "GET", path, "identifier types")
        types: list[dict[str, Any]] | None = self._call(
            call, wire.read_identifier_types
        )
        return types or []

    def linked(self, account: str, kind: str, value: str) -> dict[str, list[str]]:
        """All that the source links with an identifier, by type; raises as `search`.

        Empty where it does not know the identifier.
        """
        path, query, body = wire.linked_request(account, kind, value)
        call = _Call(account, "POST", path, "compare", query, body)
        found: dict[str, list[str]] | None = self._call(call, wire.read_linked)
        return found or {}

    def _engagements(self, call: _Call) -> wire.Answer:
        return self._call(call, wire.read_answer) or wire.Answer((), not_found=True)

    def _call(self, call: _Call, read: Callable[[bytes], Any]) -> Any:
        """Ask until there is an answer that can be read; None for a 404."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_AgainError),
            stop=tenacity.stop_after_attempt(self.config.attempts),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._attempt, call, read)
        except _BrokenError as error:
            raise ContractError(str(error)) from None
        except _AgainError as error:
            kind = QuotaError if error.wait is not None else TransientError
            said = str(error).removesuffix(".")
            raise kind(f"{said} ({self.config.attempts} attempts).") from None

    def _attempt(self, call: _Call, read: Callable[[bytes], Any]) -> Any:
        session = self._session(call.account)
        token = self._token(session)
        response = self._send(call, session.access.app_key, token)
        if response.status_code == 401:
            token = self._token(session, stale=token)
            response = self._send(call, session.access.app_key, token)
        if response.status_code == 404:
            return None
        self._refuse(call, response)
        try:
            return read(response.content)
        except ContractError as error:
            raise _BrokenError(str(error)) from None

    def _send(self, call: _Call, app_key: str, token: str | None) -> httpx.Response:
        headers = {"appkey": app_key}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
            headers["content-type"] = "application/json"
        else:
            headers["content-type"] = "application/x-www-form-urlencoded"
        with self._room:
            self.pace.wait()
            self.tally.add(call.purpose)
            try:
                response = self._http.request(
                    call.method,
                    call.path,
                    params=call.query,
                    content=call.content,
                    headers=headers,
                )
            except httpx.HTTPError as error:
                raise _unreachable(error, self.config.base_url) from None
        now = self._clock.now()
        if (date := wire.server_date(response.headers)) is not None:
            self._ahead = date - now
        wait = wire.retry_after(response.headers, self.now()[0])
        if response.status_code == 429:
            self.pace.too_many(wait)
        else:
            bearable = wait is not None and wait <= self.config.longest_wait
            self.pace.went_well(wait if bearable else None)
        return response

    def _refuse(self, call: _Call, response: httpx.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        problem = wire.read_problem(status, response.content)
        if status == 429:
            self._too_many(response, problem)
        if status in _TRANSIENT or status > 504:
            raise _AgainError(
                f"The source answers {status} to {call.purpose} calls of account "
                f"{call.account}."
            )
        if status in {401, 403}:
            kind = (
                RoleError if status == 403 and call.purpose != "token" else AccessError
            )
            raise kind(_not_allowed(call, problem))
        if status < 400:
            raise ContractError(
                f"The source answers {status} where it should answer 200; check "
                "JOURNEYPORT_SOURCE_URL and the proxy."
            )
        fields = f" (fields: {', '.join(problem.fields)})" if problem.fields else ""
        raise RefusedError(
            f"The source refuses the {call.purpose} call of account {call.account} "
            f"with {status}{fields}; it would refuse it again.",
            problem,
        )

    def _too_many(self, response: httpx.Response, problem: wire.Problem) -> None:
        wait = wire.retry_after(response.headers, self.now()[0])
        endless = wait is None and "quota" in problem.detail.lower()
        if endless or (wait or 0.0) > self.config.longest_wait:
            raise QuotaError(
                "The source's quota is used up; what is done is kept, and a later run "
                "goes on from there."
            )
        raise _AgainError("The source says that there are too many calls.", wait or 0.0)

    def _session(self, account: str) -> _Session:
        try:
            return self._sessions[account]
        except KeyError:
            raise SettingsError(
                f"There are no credentials for account {account}; add it to "
                "JOURNEYPORT_ACCOUNTS."
            ) from None

    def _token(self, session: _Session, stale: str | None = None) -> str:
        """A token with a fifth of its life left; a new one in place of `stale`."""
        with session.lock:
            fresh = time.monotonic() < session.renew_at
            if session.token is None or not fresh or session.token == stale:
                session.token, life = self._sign_in(session.access)
                session.renew_at = time.monotonic() + 0.8 * life
            return session.token

    def _sign_in(self, access: AccountAccess) -> tuple[str, float]:
        form = {
            "grant_type": "client_credentials",
            "client_id": access.client_id,
            "client_secret": access.client_secret,
        }
        if access.username is not None:
            form["grant_type"] = "password"
            form["username"] = access.username
            form["password"] = access.password or ""
        content = str(httpx.QueryParams(form)).encode()
        path = wire.token_path(access.account_id)
        call = _Call(access.account_id, "POST", path, "token", content=content)
        response = self._send(call, access.app_key, None)
        if response.status_code in {400, 401, 403, 404}:
            problem = wire.read_problem(response.status_code, response.content)
            raise AccessError(_not_allowed(call, problem))
        self._refuse(call, response)
        return _token_of(response)


def _trust(base_url: str) -> ssl.SSLContext | bool:
    """Whom to trust; nobody over plain http, whose bundle would be read for nothing."""
    plain = base_url.startswith("http://")
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True


def _token_of(response: httpx.Response) -> tuple[str, float]:
    try:
        body = response.json()
        token, life = body["access_token"], body.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise TypeError
        return token, _LIFE if life is None else float(life)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _BrokenError("The source's token answer holds no token.") from None


def _wait(state: tenacity.RetryCallState) -> float:
    """Full jitter up to a minute, on top of what the source asked for.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _AgainError) else None
    jitter = float(tenacity.wait_random_exponential(multiplier=0.25, max=60)(state))
    return (asked or 0.0) + jitter


def _not_allowed(call: _Call, problem: wire.Problem) -> str:
    if call.purpose == "token":
        return (
            f"Account {call.account} does not sign in ({problem.status}); check "
            "JOURNEYPORT_CLIENT_ID, JOURNEYPORT_CLIENT_SECRET and JOURNEYPORT_APP_KEY."
        )
    if problem.status == 401:
        return (
            f"Account {call.account} refuses a fresh token (401); check "
            "JOURNEYPORT_APP_KEY."
        )
    role = "Account Administrator" if call.purpose == "identifier types" else "Agent"
    return (
        f"Account {call.account} refuses {call.purpose} calls (403); give the client "
        f"the role {role} in this account."
    )


def _unreachable(error: httpx.HTTPError, base_url: str) -> JourneyportError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SettingsError(
                f"The certificate of {base_url} is not trusted; set SSL_CERT_FILE to "
                "the bundle that your proxy or your company uses."
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ProxyError):
        return _AgainError("The proxy of HTTPS_PROXY does not let the call through.")
    return _AgainError(
        f"{base_url} does not answer ({type(error).__name__}); check "
        "JOURNEYPORT_SOURCE_URL and this machine's way there"
    )
