"""Faults on the wire: refusals out of the blue, broken, slow and lost answers.

Whether one strikes is decided in faults.py; here is what it does to one request.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Send

from customer_journey.faults import Faults
from customer_journey.problems import Problem, problem_body

#: What may happen to an answer on its way, the first that strikes.
_ON_THE_WAY = ("dropped-connections", "truncated-json", "slow-bytes")
_HTML = (
    b"<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1>"
    b"<p>The upstream server did not answer.</p></body></html>"
)


def refusal(faults: Faults, request: int, token: str) -> Response | None:
    """The answer given in place of the service's own, or None when all is well."""
    return _too_many(faults, request) or _unwell(faults, request, token)


def _too_many(faults: Faults, request: int) -> Response | None:
    if rng := faults.in_burst(request):
        faults.note("rate-limit", request)
        headers = {"retry-after": "1"} if rng.random() < 0.5 else None
        return _problem(429, "The spike limit was exceeded.", headers)
    if faults.over_quota(request):
        faults.note("quota", request)
        headers = {
            "ratelimit-limit": "36",
            "ratelimit-remaining": "0",
            "ratelimit-reset": "1",
        }
        return _problem(429, "The quota is used up.", headers)
    return None


def _unwell(faults: Faults, request: int, token: str) -> Response | None:
    if rng := faults.strikes("server-errors", request):
        faults.note("server-errors", request)
        return _problem(rng.choice((500, 502, 503, 504)), "The service is not well.")
    if rng := faults.strikes("html-errors", request):
        faults.note("html-errors", request)
        return Response(_HTML, rng.choice((502, 503)), media_type="text/html")
    if rng := faults.strikes("empty-errors", request):
        faults.note("empty-errors", request)
        return Response(status_code=rng.choice((500, 503, 504)))
    if faults.strikes("forbidden-flips", request):
        faults.note("forbidden-flips", request)
        return _problem(403, "The token does not allow this.")
    if faults.token_is_spent(token):
        faults.note("token-expiry", request)
        return _problem(401, "The token has expired.")
    return None


def _problem(
    status: int, detail: str, headers: dict[str, str] | None = None
) -> Response:
    return Problem(status, detail, headers=headers).response()


@dataclass
class Way:
    """One answer's way to the caller, on which it may be broken.

    Args:
        faults: decides and counts.
        request: the request's number.
        send: what would have sent the answer.
        abort: breaks the connection off; None where there is none to break.
    """

    faults: Faults
    request: int
    send: Send
    abort: Callable[[], None] | None
    _start: Message | None = None
    _body: bytearray = field(default_factory=bytearray)

    async def deliver(self, message: Message, *, wrote: bool) -> None:
        """Take a message of the answer; the last one sends everything.

        Args:
            message: an ASGI message.
            wrote: the request changed what is stored.
        """
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body") or self._start is None:
            return
        if wrote and self.faults.strikes("lost-answers", self.request):
            self.faults.note("lost-answers", self.request)
            await self._break_off()
            return
        for profile in _ON_THE_WAY:
            rng = self.faults.strikes(profile, self.request)
            if rng is not None and (self._body or profile == "dropped-connections"):
                self.faults.note(profile, self.request)
                await self._breakers()[profile](rng)
                return
        await self._send(bytes(self._body))

    def _breakers(self) -> dict[str, Callable[[Random], Awaitable[None]]]:
        return {
            "dropped-connections": self._drop,
            "truncated-json": self._truncate,
            "slow-bytes": self._trickle,
        }

    async def _send(self, body: bytes) -> None:
        assert self._start is not None  # noqa: S101 - deliver() saw to it
        await self.send(_with_length(self._start, len(body)))
        await self.send({"type": "http.response.body", "body": body})

    async def _drop(self, rng: Random) -> None:
        if rng.random() < 0.5 and self._start is not None:
            await self.send(_with_length(self._start, len(self._body)))
            half = bytes(self._body[: len(self._body) // 2])
            await self.send(
                {"type": "http.response.body", "body": half, "more_body": True}
            )
        await self._break_off()

    async def _truncate(self, _rng: Random) -> None:
        await self._send(bytes(self._body[: len(self._body) // 2]))

    async def _trickle(self, _rng: Random) -> None:
        assert self._start is not None  # noqa: S101 - deliver() saw to it
        await self.send(_with_length(self._start, len(self._body)))
        step = max(1, len(self._body) // 8)
        for begin in range(0, len(self._body), step):
            piece = bytes(self._body[begin : begin + step])
            await asyncio.sleep(0.03)
            await self.send(
                {"type": "http.response.body", "body": piece, "more_body": True}
            )
        await self.send({"type": "http.response.body", "body": b""})

    async def _break_off(self) -> None:
        if self.abort is None:
            await self._send(problem_body(500, "There is no connection to break off."))
            return
        self.abort()
        # the loop's next turns tell the server that the connection is gone
        for _ in range(3):
            await asyncio.sleep(0)


def _with_length(start: Message, length: int) -> dict[str, Any]:
    kept = [
        (name, value) for name, value in start["headers"] if name != b"content-length"
    ]
    kept.append((b"content-length", str(length).encode()))
    return {**start, "headers": kept}
