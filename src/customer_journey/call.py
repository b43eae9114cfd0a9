"""One authenticated call: what a handler is given, and the answers handlers share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response

from customer_journey import bodies, store
from customer_journey.auth import Principal
from customer_journey.documents import Document
from customer_journey.problems import Problem
from customer_journey.service import Service
from customer_journey.validation import Values

NOT_CONFIGURED = 1012


@dataclass(slots=True)
class Call:
    """One authenticated request."""

    service: Service
    account: str
    principal: Principal
    path: dict[str, str]
    query: dict[str, str]
    body: Any
    #: What the request log will say.
    notes: dict[str, Any]
    #: The request's number, by which faults are drawn.
    number: int

    @property
    def engagement(self) -> str:
        """The path's engagement id."""
        return bodies.uuid("engagementId", self.path["engagementId"])


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: where it is, who may, what it does."""

    name: str
    method: str
    path: str
    roles: frozenset[str]
    handler: Callable[[Call], Response]
    takes_body: bool = False
    writes: bool = False


def json_answer(body: Any, status: int = 200) -> Response:
    """JSON with a status."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def accepted() -> Response:
    """202: will be visible, by and by."""
    return Response(status_code=202)


def found_engagement(call: Call, engagement: str) -> tuple[int, Document]:
    """An engagement's row number and document; 404 when there is none."""
    found = store.get(call.service.store.reader, call.account, engagement)
    if found is None:
        raise Problem(404, "There is no such engagement.")
    return found


def expected_engagement(call: Call) -> str:
    """The path's engagement, known now or once the lag has passed; else 404."""
    engagement = call.engagement
    if not call.service.writes.expects(call.account, engagement):
        raise Problem(404, "There is no such engagement.")
    return engagement


def collected(call: Call, values: Values) -> Values:
    """The values whose names the account collects."""
    names = store.configured_names(call.service.store.reader, call.account)
    return {name: listed for name, listed in values.items() if name in names}


def required(call: Call, values: Values) -> Values:
    """The same, refusing a body that is left with none."""
    known = collected(call, values)
    if not known:
        violation = {
            "field": "identifiers",
            "message": "must hold a name that is configured in this account",
            "code": NOT_CONFIGURED,
        }
        raise Problem(400, "No identifier name is configured.", [violation])
    return known
