"""The admin endpoint: the clock, changes on request, faults, live traffic and counts.

It listens on a loopback port of its own and is no part of the contract: tests and
demonstrations drive the service with it. Bodies must be application/json, so that a web
page cannot post to it unasked.
"""

from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from customer_journey.instants import SECOND, format_instant, parse_instant
from customer_journey.problems import Problem
from customer_journey.service import Service
from customer_journey.validation import json_body


def create_admin(service: Service) -> FastAPI:
    """The admin application over a service."""
    app = FastAPI(title="Customer Journey admin", openapi_url=None, docs_url=None)
    app.state.service = service
    for path, method, endpoint in (
        ("/health", "GET", _health),
        ("/clock", "GET", _clock),
        ("/clock", "POST", _set_clock),
        ("/stats", "GET", _stats),
    ):
        app.router.routes.append(Route(path, endpoint, methods=[method]))
    app.add_exception_handler(Problem, _refused)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _body(request: Request) -> dict[str, Any]:
    body = json_body(await request.body(), request.headers.get("content-type", ""))
    if not isinstance(body, dict):
        raise Problem(400, "The body must be a JSON object.")
    return body


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


async def _health(_request: Request) -> Response:
    return _json({"status": "up"})


async def _clock(request: Request) -> Response:
    clock = _service(request).clock
    return _json(
        {"now": format_instant(clock.now()), "rate": clock.rate, "set": clock.is_set}
    )


async def _set_clock(request: Request) -> Response:
    """Body: {"now": date-time or null, "advance_seconds": n, "rate": n}, any of them."""
    body = await _body(request)
    clock = _service(request).clock
    rate = body.get("rate")
    if rate is not None and not isinstance(rate, int | float):
        raise Problem(400, "The rate must be a number.")
    if "now" in body:
        if body["now"] is None:
            clock.follow_machine()
        else:
            now = parse_instant(str(body["now"]))
            if now is None:
                raise Problem(400, "now must be an RFC 3339 date-time, or null.")
            clock.set(now, rate)
    elif rate is not None:
        clock.set(clock.now(), rate)
    advance = body.get("advance_seconds", 0)
    if not isinstance(advance, int | float):
        raise Problem(400, "advance_seconds must be a number.")
    if advance:
        clock.advance(int(advance * SECOND))
    _service(request).writes.settle()
    return await _clock(request)


async def _stats(request: Request) -> Response:
    """How many engagements each account has, and requests by status."""
    service = _service(request)
    accounts = {
        account: service.store.count(account) for account in service.store.account_ids()
    }
    return _json({"engagements": accounts, "requests": dict(service.requests)})
