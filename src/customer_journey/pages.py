"""The contract as it is served, and the interactive pages over it.

The page needs nothing from the network: it is one file that reads the served contract
and calls the service it came from.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import orjson
import yaml
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@cache
def contract() -> dict[str, Any]:
    """The contract this service keeps, as it is packaged."""
    text = files("customer_journey").joinpath("contract.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


async def _openapi(request: Request) -> Response:
    served = {
        **contract(),
        "servers": [{"url": f"{request.base_url}api/journey/v1"}],
    }
    return Response(orjson.dumps(served), media_type="application/json")


async def _docs(_request: Request) -> Response:
    page = files("customer_journey").joinpath("docs.html").read_text("utf-8")
    return Response(page, media_type="text/html")


def routes() -> list[Route]:
    """Where the contract and the pages are."""
    return [
        Route("/openapi.json", _openapi, methods=["GET"]),
        Route("/docs", _docs, methods=["GET"]),
    ]
