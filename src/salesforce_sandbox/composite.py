"""Composite requests and batches: many requests in one call.

Each part goes through the door that its address names, as if it had come alone.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.responses import Response

from salesforce_sandbox import rest, sobject_collections
from salesforce_sandbox.errors import ApiError, Rejection, not_found
from salesforce_sandbox.rest import DATA
from salesforce_sandbox.web import Call, Wired, answer

router = APIRouter()
MAXIMUM = 25


class _RolledBack(Exception):  # noqa: N818  a signal, no error
    """Ends a transaction whose caller wanted all or nothing."""


@router.post(DATA + "/composite")
def composite(version: str, call: Wired) -> Response:
    """Runs up to 25 requests one after another, later ones using earlier answers."""
    del version
    body = call.record()
    parts = _parts(body, "compositeRequest")
    answers: dict[str, dict[str, Any]] = {}
    wanted = sobject_collections.is_set(body.get("allOrNone"))
    try:
        with call.org.store.writing():
            for part in parts:
                reference = str(part.get("referenceId", ""))
                answers[reference] = _run(call, part, answers) | {
                    "referenceId": reference
                }
                if wanted and answers[reference]["httpStatusCode"] >= 300:
                    raise _RolledBack
    except _RolledBack:
        _mark_rolled_back(parts, answers)
    return answer({"compositeResponse": list(answers.values())})


@router.post(DATA + "/composite/batch")
def batch(version: str, call: Wired) -> Response:
    """Runs up to 25 requests one after another, each for itself."""
    del version
    body = call.record()
    halts = sobject_collections.is_set(body.get("haltOnError"))
    results: list[dict[str, Any]] = []
    has_errors = False
    for part in _parts(body, "batchRequests"):
        if halts and has_errors:
            error = ApiError(412, "BATCH_PROCESSING_HALTED", "A part before failed.")
            results.append({"statusCode": error.status, "result": error.body()})
            continue
        address = str(part.get("url", ""))
        if re.match(r"/?v\d+\.0/", address):
            address = f"/services/data/{address.lstrip('/')}"
        call.org.limits.count(str(part.get("method")), urlsplit(address).path)
        asked = {**part, "url": address, "body": part.get("richInput")}
        found = _run(call, asked, {})
        has_errors = has_errors or found["httpStatusCode"] >= 400
        results.append({"statusCode": found["httpStatusCode"], "result": found["body"]})
    return answer({"hasErrors": has_errors, "results": results})


def _parts(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    parts = body.get(name)
    if (
        not isinstance(parts, list)
        or not 1 <= len(parts) <= MAXIMUM
        or not all(isinstance(part, dict) for part in parts)
    ):
        message = f"{name} holds 1 to {MAXIMUM} requests."
        raise ApiError(400, "INVALID_INPUT", message)
    return parts


def _mark_rolled_back(
    parts: list[dict[str, Any]], answers: dict[str, dict[str, Any]]
) -> None:
    message = "The transaction was rolled back since another operation in the same "
    entry = {
        "errorCode": "PROCESSING_HALTED",
        "message": f"{message}transaction failed.",
    }
    for part in parts:
        reference = str(part.get("referenceId", ""))
        if reference in answers and answers[reference]["httpStatusCode"] >= 300:
            continue
        answers[reference] = {
            "body": [entry],
            "httpHeaders": {},
            "httpStatusCode": 400,
            "referenceId": reference,
        }


def _run(
    call: Call, part: dict[str, Any], answers: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    try:
        filled = _fill(part, answers)
        response = _dispatch(call, filled)
    except ApiError as error:
        return _part(error.status, error.body())
    except Rejection as rejection:
        return _part(rejection.status, rejection.alone().body())
    body = orjson.loads(response.body) if response.body else None
    return _part(response.status_code, body)


def _part(status: int, body: Any) -> dict[str, Any]:
    return {"body": body, "httpHeaders": {}, "httpStatusCode": status}


def _fill(value: Any, answers: dict[str, dict[str, Any]]) -> Any:
    """Puts earlier answers in the place of ``@{reference.path}``."""
    if isinstance(value, dict):
        return {k: _fill(v, answers) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(v, answers) for v in value]
    if isinstance(value, str):
        return re.sub(r"@\{([^}]+)\}", lambda m: _look_up(m.group(1), answers), value)
    return value


def _look_up(path: str, answers: dict[str, dict[str, Any]]) -> str:
    reference, *steps = re.findall(r"[^.\[\]]+", path)
    found: Any = answers.get(reference, {}).get("body")
    for step in steps:
        if isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            message = f"Invalid reference specified. No value for {path} found"
            raise ApiError(400, "PROCESSING_HALTED", message)
    return str(found)


def _dispatch(call: Call, part: dict[str, Any]) -> Response:
    """Finds the door that a part's address names, and goes through it."""
    address = urlsplit(str(part.get("url", "")))
    method = str(part.get("method", "GET")).upper()
    for route in [*sobject_collections.router.routes, *rest.router.routes]:
        if not isinstance(route, APIRoute) or method not in (route.methods or ()):
            continue
        match = route.path_regex.match(address.path.rstrip("/"))
        if match is None:
            continue
        inner = Call(
            org=call.org,
            bulk=call.bulk,
            method=method,
            version=match.groupdict().get("version", ""),
            query=dict(parse_qsl(address.query)),
            headers=call.headers,
            body=orjson.dumps(part.get("body"))
            if part.get("body") is not None
            else b"",
            base_url=call.base_url,
        )
        response: Response = route.endpoint(**match.groupdict(), call=inner)
        return response
    raise not_found()
