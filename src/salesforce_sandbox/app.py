"""The two web applications of a sandbox, and the switch between them by port."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from salesforce_sandbox import (
    admin,
    composite,
    extracts,
    jobs,
    rest,
    sobject_collections,
)
from salesforce_sandbox.bulk import Bulk
from salesforce_sandbox.errors import ApiError, Rejection, not_found
from salesforce_sandbox.gate import Gate
from salesforce_sandbox.org import Org
from salesforce_sandbox.web import answer

_LOG = logging.getLogger(__name__)


def rest_app(org: Org, bulk: Bulk) -> ASGIApp:
    """Returns what speaks Salesforce's APIs."""
    app = _bare(org, bulk)
    # Collections and composite come first: "composite" is no object's name.
    for door in (composite, sobject_collections, jobs, extracts, rest):
        app.include_router(door.router)
    return Gate(app, org)


def admin_app(org: Org, bulk: Bulk) -> ASGIApp:
    """Returns what people and tests steer the sandbox with."""
    app = _bare(org, bulk)
    app.include_router(admin.router)
    return app


def _bare(org: Org, bulk: Bulk) -> FastAPI:
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.org, app.state.bulk = org, bulk
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(Rejection, _rejection)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    return app


def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101  registered for it only
    return answer(error.body(), error.status)


def _rejection(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Rejection)  # noqa: S101  registered for it only
    return answer(error.alone().body(), error.status)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it only
    if error.status_code == 405:
        message = f"HTTP Method '{request.method}' not allowed."
        return answer(ApiError(405, "METHOD_NOT_ALLOWED", message).body(), 405)
    return answer(not_found().body(), error.status_code)


def _unexpected(request: Request, error: Exception) -> Response:
    """Shows a fault of the sandbox's own where its user looks: on standard error."""
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    message = "An unexpected error occurred in the sandbox; its log says more."
    return answer(ApiError(500, "UNKNOWN_EXCEPTION", message).body(), 500)


class ByPort:
    """Sends requests that came in on the administrator's port to the admin app.

    Args:
        main: The app for every other port.
        admin: The app for the administrator's port.
        admin_port: That port.
    """

    def __init__(self, main: ASGIApp, admin: ASGIApp, admin_port: int) -> None:
        self.main, self.admin, self.admin_port = main, admin, admin_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        server = scope.get("server")
        chosen = self.admin if server and server[1] == self.admin_port else self.main
        await chosen(scope, receive, send)
