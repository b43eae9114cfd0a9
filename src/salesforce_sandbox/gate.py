"""What every request passes: sessions, the request limit, counting, seeded faults."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from salesforce_sandbox.errors import ApiError
from salesforce_sandbox.faults import Fault
from salesforce_sandbox.org import Org

_BEFORE = frozenset({"unavailable", "unavailable_polling", "server_error"})


def expired() -> ApiError:
    """Returns the error of a request without an open session."""
    return ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def exhausted() -> ApiError:
    """Returns the error of a request that is one too many today."""
    return ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")


def _broken() -> ApiError:
    """Returns the error of a server that failed."""
    return ApiError(500, "UNKNOWN_EXCEPTION", _LATER)


def _unavailable() -> ApiError:
    """Returns the error of a server that has no time."""
    return ApiError(503, "SERVER_UNAVAILABLE", _LATER)


_LATER = "An unexpected error occurred. Please try again later."


class Gate:
    """Stands before the REST API of an org.

    Args:
        app: The REST API.
        org: The org whose sessions, limits and faults apply.
    """

    def __init__(self, app: ASGIApp, org: Org) -> None:
        self.app, self.org = app, org

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"].rstrip("/") or "/"
        scope = {**scope, "path": path, "raw_path": path.encode()}
        if not path.startswith(("/services/", "/id/")):
            await self.app(scope, receive, send)
            return
        limited = _with_limit(self.org, send)
        refused = self._refuse(scope)
        if refused is not None:
            await _answer(limited, refused.status, refused.body())
            return
        self.org.limits.count(scope["method"], path)
        fault = self.org.faults.on_request(scope["method"], path)
        if fault is None:
            await self.app(scope, receive, limited)
            return
        await self._strike(fault, scope, receive, limited)

    def _refuse(self, scope: Scope) -> ApiError | None:
        path = scope["path"]
        if path in {"/services/oauth2/token", "/services/data"}:
            return None
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() not in {"bearer", "oauth"} or not (
            self.org.sessions.valid(token.strip())
        ):
            return expired()
        return exhausted() if self.org.limits.exhausted else None

    async def _strike(
        self, fault: Fault, scope: Scope, receive: Receive, send: Send
    ) -> None:
        kind = fault.kind
        if kind == "session_expired":
            self.org.sessions.end_all()
            await _answer(send, 401, expired().body())
        elif kind == "request_limit":
            await _answer(send, 403, exhausted().body())
        elif kind in _BEFORE:
            failed = _broken() if kind == "server_error" else _unavailable()
            await _answer(send, failed.status, failed.body())
        elif kind == "slow_answer":
            await asyncio.sleep(fault.seconds)
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, _swallow)
            if kind == "gateway_timeout":
                await _answer(send, 504, None)
            else:
                await _cut(send)


async def _swallow(_message: Message) -> None:
    """Takes an answer and drops it."""


async def _cut(send: Send) -> None:
    """Begins an answer and never ends it: the server then closes the connection."""
    headers = [(b"content-length", b"1024"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"[", "more_body": True})


async def _answer(send: Send, status: int, body: Any) -> None:
    content = b"" if body is None else json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json;charset=UTF-8"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _with_limit(org: Org, send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            headers["Sforce-Limit-Info"] = org.limits.header()
            message = {**message, "headers": headers.raw}
        await send(message)

    return sending
