"""The REST API's doors: sign-in, objects, single records, queries, limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.responses import Response

from salesforce_sandbox import describe as described
from salesforce_sandbox import drafts, ids, literals, query, recycle, soql
from salesforce_sandbox.auth import OAuthError
from salesforce_sandbox.errors import ApiError, Rejection, not_found
from salesforce_sandbox.org import API_VERSION
from salesforce_sandbox.schema import Field, SObject
from salesforce_sandbox.store import Row
from salesforce_sandbox.values import from_csv
from salesforce_sandbox.web import Call, Wired, answer

router = APIRouter()
DATA = "/services/data/{version}"


@router.post("/services/oauth2/token")
def token(call: Wired) -> Response:
    """Opens a session."""
    form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
    try:
        granted = call.org.sessions.grant(form, call.headers.get("authorization"))
    except OAuthError as error:
        body = {"error": error.error, "error_description": error.description}
        return answer(body, 400)
    return answer(
        {
            "access_token": granted,
            "signature": "",
            "scope": "api",
            "instance_url": call.base_url,
            "id": _identity_url(call),
            "token_type": "Bearer",
            "issued_at": str(int(datetime.now(UTC).timestamp() * 1000)),
        }
    )


@router.get("/services/data")
def versions() -> Response:
    """Lists API versions."""
    number = API_VERSION[1:]
    return answer(
        [
            {
                "label": "Sandbox",
                "url": f"/services/data/{API_VERSION}",
                "version": number,
            }
        ]
    )


@router.get(DATA)
def resources(version: str, call: Wired) -> Response:
    """Lists the resources of a version."""
    names = ("sobjects", "query", "queryAll", "limits", "composite", "jobs", "tooling")
    found = {n: f"/services/data/{version}/{n}" for n in names}
    return answer(found | {"identity": _identity_url(call)})


@router.get("/id/{org}/{user}")
@router.get("/services/oauth2/userinfo")
def identity(call: Wired) -> Response:
    """Answers who is signed in, and to which org."""
    org = call.org
    return answer(
        {
            "id": _identity_url(call),
            "user_id": org.user,
            "organization_id": org.id,
            "username": org.sessions.username,
            "preferred_username": org.sessions.username,
            "active": True,
            "urls": {"rest": f"{call.base_url}/services/data/v{{version}}/"},
        }
    )


def _identity_url(call: Call) -> str:
    return f"{call.base_url}/id/{call.org.id}/{call.org.user}"


@router.get(DATA + "/limits")
def limits(version: str, call: Wired) -> Response:
    """Answers what is left of the org's limits."""
    del version
    with call.org.store.reading() as connection:
        records = call.org.store.count(connection)
    return answer(call.org.limits.resource(records))


@router.get(DATA + "/sobjects")
def all_objects(version: str, call: Wired) -> Response:
    """Lists all objects."""
    objects = [
        described.summary(o, version)
        for o in call.org.schema.objects.values()
        if not o.tooling
    ]
    return answer({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects})


@router.get(DATA + "/sobjects/{sobject}")
def one_object(version: str, sobject: str, call: Wired) -> Response:
    """Answers an object's summary."""
    found = call.org.sobject(sobject)
    body = {"objectDescribe": described.summary(found, version), "recentItems": []}
    return answer(body)


@router.get(DATA + "/sobjects/{sobject}/describe")
def describe(version: str, sobject: str, call: Wired) -> Response:
    """Describes an object whole."""
    found = call.org.sobject(sobject)
    return answer(
        described.full(found, list(call.org.schema.objects.values()), version)
    )


@router.post(DATA + "/sobjects/{sobject}")
def create(version: str, sobject: str, call: Wired) -> Response:
    """Creates a record."""
    del version
    found = call.org.sobject(sobject)
    draft = drafts.from_json(call.org.schema, found, call.record())
    with call.org.writer(allow_save=call.allow_save) as writer:
        saved = writer.create(found, draft)
    return answer({"id": saved.id, "success": True, "errors": []}, 201)


@router.get(DATA + "/sobjects/{sobject}/{key}")
def retrieve(version: str, sobject: str, key: str, call: Wired) -> Response:
    """Answers a record by id."""
    found = call.org.sobject(sobject)
    return answer(show(call, found, _row(call, found, key), version))


@router.patch(DATA + "/sobjects/{sobject}/{key}")
def update(version: str, sobject: str, key: str, call: Wired) -> Response:
    """Changes a record by id."""
    del version
    found = call.org.sobject(sobject)
    body = call.record()
    if any(name.lower() == "id" for name in body):
        message = "The Id field should not be specified in the sobject data."
        raise ApiError(400, "INVALID_FIELD", message, ())
    draft = drafts.from_json(call.org.schema, found, body)
    with call.org.writer(allow_save=call.allow_save) as writer:
        _or_404(lambda: writer.update(found, key, draft))
    return answer(None, 204)


@router.delete(DATA + "/sobjects/{sobject}/{key}")
def delete(version: str, sobject: str, key: str, call: Wired) -> Response:
    """Puts a record into the recycle bin."""
    del version
    found = call.org.sobject(sobject)
    with call.org.writer() as writer:
        _or_404(lambda: recycle.delete(writer, found, key))
    return answer(None, 204)


@router.get(DATA + "/sobjects/{sobject}/{field}/{value:path}")
def retrieve_external(
    version: str, sobject: str, field: str, value: str, call: Wired
) -> Response:
    """Answers a record by external id."""
    found = call.org.sobject(sobject)
    rows = _matches(call, found, field, value)
    if len(rows) > 1:
        return _choices(found, rows, version)
    if not rows:
        raise not_found()
    return answer(show(call, found, rows[0], version))


@router.patch(DATA + "/sobjects/{sobject}/{field}/{value:path}")
def upsert(version: str, sobject: str, field: str, value: str, call: Wired) -> Response:
    """Creates or changes a record by external id."""
    found = call.org.sobject(sobject)
    key = external(found, field)
    body = call.record()
    if key.name != "Id" and any(name.lower() == key.name.lower() for name in body):
        message = f"The {key.name} field should not be specified in the sobject data."
        raise ApiError(400, "INVALID_FIELD", message, ())
    draft = drafts.from_json(call.org.schema, found, body)
    draft.values[key.name] = value if key.name == "Id" else from_csv(key, value)
    with call.org.writer(allow_save=call.allow_save) as writer:
        rows = _matches(call, found, field, value)
        if len(rows) > 1:
            return _choices(found, rows, version)
        if not rows and call.query.get("updateOnly", "").lower() == "true":
            raise not_found()
        saved = writer.upsert(found, key, draft)
    body = {"id": saved.id, "success": True, "errors": [], "created": saved.created}
    return answer(body, 201 if saved.created else 200)


@router.delete(DATA + "/sobjects/{sobject}/{field}/{value:path}")
def delete_external(
    version: str, sobject: str, field: str, value: str, call: Wired
) -> Response:
    """Puts the record with an external id into the recycle bin."""
    found = call.org.sobject(sobject)
    with call.org.writer() as writer:
        rows = _matches(call, found, field, value)
        if len(rows) > 1:
            return _choices(found, rows, version)
        if not rows:
            raise not_found()
        recycle.delete(writer, found, rows[0]["Id"])
    return answer(None, 204)


def external(sobject: SObject, name: str) -> Field:
    """Returns the field that records may be found by.

    Raises:
        ApiError: 404 NOT_FOUND, when it is no external id.
    """
    field = sobject.find(name)
    if field is None or not (field.external_id or field.name == "Id"):
        message = (
            f"Provided external ID field does not exist or is not accessible: {name}"
        )
        raise ApiError(404, "NOT_FOUND", message)
    return field


def _matches(call: Call, sobject: SObject, field: str, value: str) -> list[Row]:
    key = external(sobject, field)
    wanted = ids.normalise(value) if key.name == "Id" else from_csv(key, value)
    with call.org.store.reading() as connection:
        return call.org.store.find(connection, sobject, {key.name: wanted})


def _choices(sobject: SObject, rows: list[Row], version: str) -> Response:
    base = f"/services/data/{version}/sobjects/{sobject.name}"
    return answer([f"{base}/{row['Id']}" for row in rows], 300)


def _or_404(attempt: Any) -> None:
    """Runs a write by id; an id that names nothing is a missing resource here."""
    try:
        attempt()
    except Rejection as rejection:
        if rejection.code in {"INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID"}:
            raise not_found() from rejection
        raise


def _row(call: Call, sobject: SObject, key: str) -> Row:
    full = ids.normalise(key)
    with call.org.store.reading() as connection:
        row = call.org.store.get(connection, sobject, full) if full else None
    if row is None or row["IsDeleted"]:
        raise not_found()
    return row


def show(call: Call, sobject: SObject, row: Row, version: str) -> dict[str, Any]:
    """Returns a record with the fields that ``?fields=`` names, or with all.

    Raises:
        ApiError: INVALID_FIELD, for a field that does not exist.
    """
    names = [n.strip() for n in call.query.get("fields", "").split(",") if n.strip()]
    chosen = []
    for name in names or list(sobject.fields):
        field = sobject.find(name)
        if field is None:
            raise literals.no_such_column(name, sobject.name)
        chosen.append(field.name)
    body: dict[str, Any] = {"attributes": query.link(sobject.name, row["Id"], version)}
    return body | {name: row[name] for name in dict.fromkeys([*chosen, "Id"])}


@router.get(DATA + "/query")
def run_query(version: str, call: Wired) -> Response:
    """Runs a query over records that are not deleted."""
    return _query(call, version, "query")


@router.get(DATA + "/queryAll")
def run_query_all(version: str, call: Wired) -> Response:
    """Runs a query over all records, the recycle bin's too."""
    return _query(call, version, "queryAll", deleted=True)


@router.get(DATA + "/tooling/query")
def run_tooling_query(version: str, call: Wired) -> Response:
    """Runs a query over what administrators set up."""
    return _query(call, version, "tooling/query", tooling=True)


@router.get(DATA + "/query/{locator}")
def next_page(version: str, locator: str, call: Wired) -> Response:
    """Answers a later page of a query."""
    page = call.org.next_page(locator, _page_size(call))
    return answer(_with_address(page, version, "query"))


@router.get(DATA + "/queryAll/{locator}")
def next_page_all(version: str, locator: str, call: Wired) -> Response:
    """Answers a later page of a query over all records."""
    page = call.org.next_page(locator, _page_size(call))
    return answer(_with_address(page, version, "queryAll"))


def _query(
    call: Call,
    version: str,
    door: str,
    *,
    deleted: bool = False,
    tooling: bool = False,
) -> Response:
    parsed = soql.parse(call.query.get("q", ""))
    org = call.org
    with org.store.reading() as connection:
        found = query.run(
            org.store, connection, parsed, now=org.clock.now(), version=version,
            deleted=deleted, tooling=tooling,
        )  # fmt: skip
    if parsed.counting:
        return answer({"totalSize": found.total, "done": True, "records": []})
    return answer(
        _with_address(org.page(found.records, _page_size(call)), version, door)
    )


def _with_address(page: dict[str, Any], version: str, door: str) -> dict[str, Any]:
    if "nextRecordsUrl" in page:
        rest = page["nextRecordsUrl"]
        page["nextRecordsUrl"] = f"/services/data/{version}/{door}/{rest}"
    return page


def _page_size(call: Call) -> int:
    """Returns the rows a page: the org's, or what the caller asks for."""
    options = call.headers.get("sforce-query-options", "")
    asked = re.search(r"batchSize=(\d+)", options)
    if asked is None:
        return call.org.page_size
    return min(max(int(asked.group(1)), 200), 2_000, call.org.page_size)
