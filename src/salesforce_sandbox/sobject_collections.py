"""sObject Collections: many records in one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from salesforce_sandbox import drafts, ids, recycle, rest
from salesforce_sandbox.drafts import Draft
from salesforce_sandbox.errors import ApiError, Rejection
from salesforce_sandbox.records import Saved, Writer, as_result
from salesforce_sandbox.rest import DATA
from salesforce_sandbox.schema import SObject
from salesforce_sandbox.values import fold
from salesforce_sandbox.web import Call, Wired, answer

router = APIRouter()
MAXIMUM = 200
MAXIMUM_RETRIEVED = 2_000
Attempt = Callable[[Writer], Saved]


class _RolledBack(Exception):  # noqa: N818  a signal, no error
    """Ends a transaction whose caller wanted all or nothing."""


@router.post(DATA + "/composite/sobjects")
def create(version: str, call: Wired) -> Response:
    """Creates up to 200 records."""
    del version
    body = call.record()
    attempts = [_attempt(call, r, _create) for r in _records(body)]
    return answer(_carry_out(call, attempts, is_set(body.get("allOrNone"))))


@router.patch(DATA + "/composite/sobjects")
def update(version: str, call: Wired) -> Response:
    """Changes up to 200 records by id."""
    del version
    body = call.record()
    attempts = [_attempt(call, r, _update) for r in _records(body)]
    return answer(_carry_out(call, attempts, is_set(body.get("allOrNone"))))


@router.delete(DATA + "/composite/sobjects")
def delete(version: str, call: Wired) -> Response:
    """Puts up to 200 records into the recycle bin."""
    del version
    keys = [k.strip() for k in call.query.get("ids", "").split(",") if k.strip()]
    _limit(keys, MAXIMUM)
    attempts = [_deletion(call, key) for key in keys]
    wanted = is_set(call.query.get("allOrNone"))
    return answer(_carry_out(call, attempts, wanted))


@router.patch(DATA + "/composite/sobjects/{sobject}/{field}")
def upsert(version: str, sobject: str, field: str, call: Wired) -> Response:
    """Creates or changes up to 200 records by an external id."""
    del version
    found = call.org.sobject(sobject)
    key = rest.external(found, field)
    body = call.record()
    records = _records(body)
    written = [_value(record, key.name) for record in records]
    times = Counter(fold(key, v) for v in written if v is not None)

    def attempt(record: dict[str, Any], value: Any) -> Attempt | Rejection:
        if value is not None and times[fold(key, value)] > 1:
            message = f"Duplicate external id specified: {value}"
            return Rejection("DUPLICATE_VALUE", message, (key.name,))
        if _kind(record).lower() != found.name.lower():
            message = f"sObject type mismatch: expected {found.name}"
            return Rejection("INVALID_TYPE", message)
        made = _draft(call, found, record)
        if isinstance(made, Rejection):
            return made
        return lambda writer: writer.upsert(found, key, made)

    attempts = [attempt(r, v) for r, v in zip(records, written, strict=True)]
    wanted = is_set(body.get("allOrNone"))
    return answer(_carry_out(call, attempts, wanted, upsert=True))


@router.get(DATA + "/composite/sobjects/{sobject}")
def retrieve(version: str, sobject: str, call: Wired) -> Response:
    """Answers records by id, null for those that are not there."""
    keys = [k.strip() for k in call.query.get("ids", "").split(",") if k.strip()]
    return answer(_retrieved(call, call.org.sobject(sobject), keys, version))


@router.post(DATA + "/composite/sobjects/{sobject}")
def retrieve_many(version: str, sobject: str, call: Wired) -> Response:
    """Answers up to 2,000 records by id, asked for in the body."""
    body = call.record()
    fields = ",".join(body.get("fields") or [])
    asked = Call(call.org, call.bulk, "GET", version, {"fields": fields})
    found = call.org.sobject(sobject)
    return answer(_retrieved(asked, found, list(body.get("ids") or []), version))


def _retrieved(
    call: Call, sobject: SObject, keys: list[str], version: str
) -> list[Any]:
    _limit(keys, MAXIMUM_RETRIEVED)
    if not call.query.get("fields"):
        raise ApiError(400, "MISSING_ARGUMENT", "The fields parameter is required")
    found: list[Any] = []
    with call.org.store.reading() as connection:
        for key in keys:
            full = ids.normalise(key)
            row = call.org.store.get(connection, sobject, full) if full else None
            there = row is not None and not row["IsDeleted"]
            found.append(
                rest.show(call, sobject, row, version) if row and there else None
            )
    return found


def _records(body: dict[str, Any]) -> list[dict[str, Any]]:
    records = body.get("records")
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        message = "The request body must hold a list of records."
        raise ApiError(400, "JSON_PARSER_ERROR", message)
    _limit(records, MAXIMUM)
    for record in records:
        if not _kind(record):
            message = "Each record must hold attributes with a type."
            raise ApiError(400, "JSON_PARSER_ERROR", message)
    return records


def _limit(items: list[Any], maximum: int) -> None:
    if len(items) > maximum:
        raise ApiError(
            400,
            "EXCEEDED_ID_LIMIT",
            f"record limit reached. cannot submit more than {maximum} records into "
            "this "
            "call",
        )


def is_set(value: Any) -> bool:
    """Whether an option is given as true, in JSON or in an address."""
    return value is True or str(value).lower() == "true"


def _kind(record: dict[str, Any]) -> str:
    attributes = record.get("attributes")
    return str(attributes.get("type", "")) if isinstance(attributes, dict) else ""


def _value(record: dict[str, Any], name: str) -> Any:
    return next((v for k, v in record.items() if k.lower() == name.lower()), None)


def _draft(call: Call, sobject: SObject, record: dict[str, Any]) -> Draft | Rejection:
    try:
        return drafts.from_json(call.org.schema, sobject, record)
    except Rejection as rejection:
        return rejection


def _attempt(
    call: Call,
    record: dict[str, Any],
    write: Callable[[Writer, SObject, Draft], Saved],
) -> Attempt | Rejection:
    found = call.org.schema.find(_kind(record))
    if found is None or found.tooling:
        message = f"sObject type '{_kind(record)}' is not supported."
        return Rejection("INVALID_TYPE", message)
    made = _draft(call, found, record)
    if isinstance(made, Rejection):
        return made
    return lambda writer: write(writer, found, made)


def _create(writer: Writer, sobject: SObject, draft: Draft) -> Saved:
    return writer.create(sobject, draft)


def _update(writer: Writer, sobject: SObject, draft: Draft) -> Saved:
    key = draft.values.pop("Id", None)
    if key is None:
        raise Rejection("MISSING_ARGUMENT", "Id not specified in an update call")
    return writer.update(sobject, key, draft)


def _deletion(call: Call, key: str) -> Attempt | Rejection:
    full = ids.normalise(key)
    found = call.org.schema.by_prefix(full) if full else None
    if full is None or found is None:
        return Rejection("MALFORMED_ID", f"bad id {key}", ("Id",))
    return lambda writer: recycle.delete(writer, found, full)


def _carry_out(
    call: Call,
    attempts: list[Attempt | Rejection],
    all_or_none: bool,
    *,
    upsert: bool = False,
) -> list[dict[str, Any]]:
    """Writes in the order given, and answers in it."""
    results: list[Saved | Rejection] = []
    try:
        with call.org.writer(allow_save=call.allow_save) as writer:
            results.extend(_tried(writer, attempt) for attempt in attempts)
            if all_or_none and any(isinstance(r, Rejection) for r in results):
                raise _RolledBack
    except _RolledBack:
        results = [r if isinstance(r, Rejection) else _rolled_back() for r in results]
    return [as_result(r, upsert=upsert) for r in results]


def _tried(writer: Writer, attempt: Attempt | Rejection) -> Saved | Rejection:
    if isinstance(attempt, Rejection):
        return attempt
    try:
        return attempt(writer)
    except Rejection as rejection:
        return rejection


def _rolled_back() -> Rejection:
    return Rejection(
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "Record rolled back because not all records were valid and the request was "
        "using AllOrNone header",
    )
