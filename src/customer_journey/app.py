"""The public HTTP application: routes, the gate before them, and what wraps an answer.

The gate knows the caller, refuses what is too large or not allowed, turns every refusal
into problem details, sets the Date header from the service's own clock and writes the
request log. What the operations do is in the modules that operations.py names.
"""

import asyncio
import logging
from typing import Any
from urllib.parse import parse_qsl

import orjson
from fastapi import FastAPI
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from customer_journey import bodies, pages, trouble
from customer_journey.call import Call, Operation
from customer_journey.instants import http_date
from customer_journey.operations import OPERATIONS
from customer_journey.problems import Problem
from customer_journey.service import HEADERS_LIMIT, URL_LIMIT, Service
from customer_journey.validation import json_body
from customer_journey.weather import Way, refusal

logger = logging.getLogger(__name__)

PREFIX = "/api/journey/v1"
TOKEN_PATH = "/api/auth/v1/{accountId}/protocol/openid-connect/token"  # noqa: S105


class _Segment(StringConvertor):
    """A path segment without a colon: what follows one names the operation."""

    regex = "[^/:]+"


class _Anything(StringConvertor):
    """A participant's or a note's id: any characters, a slash too."""

    regex = ".+"

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("segment", _Segment())
register_url_convertor("anything", _Anything())
_CONVERTORS = {
    "{accountId}": "{accountId:segment}",
    "{engagementId}": "{engagementId:segment}",
    "{identifierId}": "{identifierId:segment}",
    "{participantId}": "{participantId:anything}",
    "{noteId}": "{noteId:anything}",
}


def create_app(service: Service) -> FastAPI:
    """The application over a service; closing the service is the caller's."""
    app = FastAPI(
        title="Customer Journey", openapi_url=None, docs_url=None, redoc_url=None
    )
    app.state.service = service
    app.router.redirect_slashes = False
    by_path: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, []).append(operation)
    for path, operations in by_path.items():
        app.router.routes.append(
            Route(
                PREFIX + _route(path),
                _endpoint(service, {one.method: one for one in operations}),
                methods=[one.method for one in operations],
            )
        )
    app.router.routes.append(
        Route(_route(TOKEN_PATH), _token_endpoint(service), methods=["POST"])
    )
    for path, endpoint in (("/health", _health), ("/ready", _ready)):
        app.router.routes.append(Route(path, endpoint, methods=["GET"]))
    app.router.routes.extend(pages.routes())
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_middleware(Gate, service=service)
    return app


def _route(path: str) -> str:
    for name, with_convertor in _CONVERTORS.items():
        path = path.replace(name, with_convertor)
    return path


def _endpoint(service: Service, operations: dict[str, Operation]) -> Any:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        operation = operations[method]
        notes = request.scope["state"]["notes"]
        notes.update(operation=operation.name, path=PREFIX + operation.path)
        account = request.path_params["accountId"]
        principal = service.access.principal(request.headers.get("authorization"))
        key = request.headers.get("appkey")
        service.access.check_app_key(key)
        if principal.account != account:
            raise Problem(403, "The token does not belong to this account.")
        service.access.check_app_key(key, account)
        notes["account"] = account
        bodies.account(account)
        if not operation.roles & principal.roles:
            needed = " or ".join(sorted(operation.roles))
            raise Problem(403, f"The operation needs the role {needed}.")
        body = None
        if operation.takes_body:
            raw = await request.body()
            body = json_body(raw, request.headers.get("content-type", ""))
        service.writes.settle()
        number = notes["request"]
        if operation.writes:
            notes["wrote"] = True
            trouble.before_write(service, number)
        return operation.handler(
            Call(
                number=number,
                service=service,
                account=account,
                principal=principal,
                path=request.path_params,
                query=dict(request.query_params),
                body=body,
                notes=notes,
            )
        )

    return endpoint


def _token_endpoint(service: Service) -> Any:
    async def token(request: Request) -> Response:
        notes = request.scope["state"]["notes"]
        notes.update(operation="token", path=TOKEN_PATH)
        account = request.path_params["accountId"]
        service.access.check_app_key(request.headers.get("appkey"), account)
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind.lower() != "application/x-www-form-urlencoded":
            raise Problem(415, "The body must be application/x-www-form-urlencoded.")
        raw = (await request.body()).decode(errors="replace")
        try:
            form = dict(parse_qsl(raw, keep_blank_values=True, max_num_fields=20))
        except ValueError as wrong:
            raise Problem(400, "The form has too many fields.") from wrong
        answer = service.access.grant(account, form)
        return Response(
            orjson.dumps(answer),
            media_type="application/json",
            headers={"cache-control": "no-store"},
        )

    return token


async def _health(_request: Request) -> Response:
    return Response(b'{"status":"up"}', media_type="application/json")


async def _ready(request: Request) -> Response:
    service: Service = request.app.state.service
    ready = {"status": "ready", "accounts": len(service.store.account_ids())}
    return Response(orjson.dumps(ready), media_type="application/json")


async def _http_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    sentences = {404: "There is nothing at this path.", 405: "Use another method here."}
    sentence = sentences.get(error.status_code, "The request cannot be served.")
    headers = dict(error.headers) if error.headers else None
    return Problem(error.status_code, sentence, headers=headers).response()


def request_token(scope: Scope) -> str:
    """What stands in the Authorization header, for counting a token's uses."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    return ""


class _Told:
    """A request's one line in the log and its place in the counts."""

    def __init__(self, service: Service, method: str, notes: dict[str, Any]) -> None:
        self.status = 0
        self._service, self._method, self._notes = service, method, notes
        self._done = False

    def now(self) -> None:
        """Count and log the request, once, however often this is said."""
        if not self._done:
            self._done = True
            self._service.requests[str(self.status)] += 1
            line = {"method": self._method, **self._notes, "status": self.status}
            self._service.log.write(line)


class Gate:
    """What every request passes: limits, the log, the Date header, refusals.

    Args:
        app: the application behind the gate.
        service: whose clock, limits and log are used.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        service = self._service
        notes: dict[str, Any] = {"operation": None, "path": None}
        scope.setdefault("state", {})["notes"] = notes
        told = _Told(service, scope["method"], notes)
        token = request_token(scope)
        number = notes["request"] = service.faults.begin()
        abort = scope["state"].get("abort")
        way = Way(service.faults, number, send, abort)

        async def out(message: Message) -> None:
            if message["type"] == "http.response.start":
                told.status = message["status"]
                if service.faults.has("no-date-header"):
                    service.faults.note("no-date-header", number)
                else:
                    date = http_date(service.clock.now()).encode()
                    message["headers"] = [*message["headers"], (b"date", date)]
            elif not message.get("more_body", False):
                told.now()  # who has the answer finds it in the log
            if service.faults.profiles:
                wrote = bool(notes.get("wrote")) and told.status < 400
                await way.deliver(message, wrote=wrote)
            else:
                await send(message)

        try:
            refused = service.faults.profiles and refusal(service.faults, number, token)
            if refused:
                notes["fault"] = True
                await refused(scope, receive, out)
                return
            await self._served(scope, receive, out)
        except Problem as problem:
            await problem.response()(scope, receive, out)
        except Exception:
            if told.status:
                raise
            logger.exception("A request failed: this is a fault of the service.")
            sentence = "The service failed; its log says how."
            await Problem(500, sentence).response()(scope, receive, out)
        finally:
            told.now()

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit, seconds = self._service.body_limit, self._service.body_seconds
        _check_sizes(scope, limit)
        taken, complete = 0, False

        async def counted() -> Message:
            nonlocal taken, complete
            try:
                # once the body is there, this waits for the connection's end
                patience = None if complete else seconds
                message = await asyncio.wait_for(receive(), patience)
            except TimeoutError as late:
                raise Problem(408, "The body did not arrive in time.") from late
            complete = not message.get("more_body", False)
            taken += len(message.get("body", b""))
            if taken > limit:
                raise Problem(413, f"The body must not exceed {limit} bytes.")
            return message

        await self._app(scope, counted, send)


def _check_sizes(scope: Scope, limit: int) -> None:
    """Refuse what is announced, or has come already, beyond any sense."""
    if len(scope["path"]) + len(scope["query_string"]) > URL_LIMIT:
        raise Problem(414, f"The URL must not exceed {URL_LIMIT} bytes.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_LIMIT:
        raise Problem(431, f"The headers must not exceed {HEADERS_LIMIT} bytes.")
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            raise Problem(413, f"The body must not exceed {limit} bytes.")
