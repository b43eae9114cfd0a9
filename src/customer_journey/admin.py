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

from customer_journey.faults import UnknownProfileError
from customer_journey.instants import SECOND, format_instant, parse_instant
from customer_journey.problems import Problem
from customer_journey.service import Service
from customer_journey.traffic import ACTIONS, Change
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
        ("/faults", "GET", _faults),
        ("/faults", "POST", _set_faults),
        ("/changes", "POST", _change),
        ("/live", "POST", _live),
    ):
        app.router.routes.append(Route(path, endpoint, methods=[method]))
    app.add_exception_handler(Problem, _refused)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
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
    """Body: {"now": date-time or null, "advance_seconds": n, "rate": n}, or some."""
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


async def _faults(request: Request) -> Response:
    """The profiles in force, how often each struck, and in which order."""
    return _json(_service(request).faults.report())


async def _set_faults(request: Request) -> Response:
    """Body: {"profiles": [...], "seed": n}; counts start again."""
    body = await _body(request)
    profiles, seed = body.get("profiles", []), body.get("seed", 1)
    if not isinstance(profiles, list) or not isinstance(seed, int):
        raise Problem(400, "profiles must be a list and seed a whole number.")
    try:
        _service(request).set_faults([str(name) for name in profiles], seed)
    except UnknownProfileError as wrong:
        raise Problem(400, str(wrong)) from wrong
    return await _faults(request)


async def _change(request: Request) -> Response:
    """Body: account and action, and as wanted count, ids, start, end, document."""
    body = await _body(request)
    service = _service(request)
    account, action = body.get("account"), body.get("action")
    if account not in service.store.account_ids():
        raise Problem(400, "There is no such account.")
    if action not in ACTIONS:
        raise Problem(400, f"The action must be one of {', '.join(ACTIONS)}.")
    count, ids = body.get("count", 60 if action == "burst" else 1), body.get("ids", [])
    if not isinstance(count, int) or not 1 <= count <= 10_000:
        raise Problem(400, "The count must be a whole number from 1 to 10000.")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise Problem(400, "The ids must be a list of engagement ids.")
    times: dict[str, int | None] = {}
    for name in ("start", "end"):
        times[name] = None
        if body.get(name) is not None:
            times[name] = parse_instant(str(body[name]))
            if times[name] is None:
                raise Problem(400, f"{name} must be an RFC 3339 date-time.")
    document = body.get("document")
    if document is not None and not isinstance(document, dict):
        raise Problem(400, "The document must be an object.")
    change = Change(account, action, count, tuple(ids), document=document, **times)
    return _json({"engagementIds": service.traffic.make(change)})


async def _live(request: Request) -> Response:
    """Body: {"per_minute": n}; 0 ends the live traffic."""
    body = await _body(request)
    pace = body.get("per_minute")
    if not isinstance(pace, int | float) or pace < 0:
        raise Problem(400, "per_minute must be a number, 0 or more.")
    _service(request).set_live(pace)
    return _json({"per_minute": pace})
