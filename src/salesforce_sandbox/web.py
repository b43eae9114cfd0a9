"""What a door sees of a request and gives back; no paths and no rules live here."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request
from starlette.responses import Response

from salesforce_sandbox.bulk import Bulk
from salesforce_sandbox.errors import ApiError
from salesforce_sandbox.org import Org


@dataclass(frozen=True, slots=True)
class Call:
    """One request: read from the wire, or made from a part of a composite request."""

    org: Org
    bulk: Bulk
    method: str
    version: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = ""

    def json(self) -> Any:
        """Returns the body as JSON.

        Raises:
            ApiError: JSON_PARSER_ERROR.
        """
        try:
            return json.loads(self.body, parse_constant=_no_number)
        except ValueError as error:
            message = f"Unexpected character in the request body: {error}"
            raise ApiError(400, "JSON_PARSER_ERROR", message) from error

    def record(self) -> dict[str, Any]:
        """Returns the body as one JSON object.

        Raises:
            ApiError: JSON_PARSER_ERROR.
        """
        body = self.json()
        if not isinstance(body, dict):
            message = "The HTTP entity body is required to be a JSON object."
            raise ApiError(400, "JSON_PARSER_ERROR", message)
        return body

    @property
    def allow_save(self) -> bool:
        """Tells whether the caller saves past alerting duplicate rules."""
        header = self.headers.get("sforce-duplicate-rule-header", "")
        return "allowsave=true" in header.lower().replace(" ", "")


def _no_number(name: str) -> None:
    """Refuses what Python reads as a number and JSON does not."""
    msg = f"{name} is no JSON value"
    raise ValueError(msg)


async def read_call(request: Request) -> Call:
    """Reads a request, chunked and gzipped bodies too."""
    body = await request.body()
    if request.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    host, port = request.scope["server"]
    return Call(
        org=request.app.state.org,
        bulk=request.app.state.bulk,
        method=request.method,
        version=request.path_params.get("version", ""),
        query=dict(request.query_params),
        headers={k.lower(): v for k, v in request.headers.items()},
        body=body,
        base_url=f"http://{host}:{port}",
    )


Wired = Annotated[Call, Depends(read_call)]


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    """Returns a JSON answer; None is no body at all."""
    if body is None:
        return Response(status_code=status, headers=headers)
    return Response(
        orjson.dumps(body),
        status,
        headers=headers,
        media_type="application/json;charset=UTF-8",
    )
