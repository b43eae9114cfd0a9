"""Refusals and failures as RFC 9457 problem details.

A problem never repeats what was sent: neither identifier values nor secrets may come
back in an answer or reach a log.
"""

from typing import Any

import orjson
from starlette.responses import Response

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    431: "Request Header Fields Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """A request that is refused.

    Args:
        status: the HTTP status.
        detail: one sentence for a person.
        violations: for 400, each a field, a message and a code.
        headers: more headers of the answer, such as Allow.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        violations: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.violations = violations
        self.headers = headers

    def response(self) -> Response:
        """The answer that carries this problem."""
        return Response(
            problem_body(self.status, self.detail, self.violations),
            status_code=self.status,
            media_type="application/problem+json",
            headers=self.headers,
        )


def problem_body(
    status: int, detail: str, violations: list[dict[str, Any]] | None = None
) -> bytes:
    """The problem's JSON."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
    }
    if violations is not None:
        body["violations"] = violations
    return orjson.dumps(body)
