"""Rows of a Bulk 2.0 ingest job, and what a job and its header must be."""

from __future__ import annotations

from collections import Counter
from typing import Any

from salesforce_sandbox import drafts, recycle, sheets
from salesforce_sandbox.drafts import Column
from salesforce_sandbox.errors import ApiError, Rejection
from salesforce_sandbox.org import Org
from salesforce_sandbox.records import Saved, Writer, outcome
from salesforce_sandbox.schema import SObject
from salesforce_sandbox.values import fold

OPERATIONS = frozenset({"insert", "update", "upsert", "delete", "hardDelete"})
Info = dict[str, Any]


def check_job(org: Org, body: Info) -> SObject:
    """Checks what a job is to be, and returns its object.

    Raises:
        ApiError: INVALIDJOB, INVALIDENTITY or FEATURENOTENABLED.
    """
    operation = body.get("operation")
    if operation not in OPERATIONS:
        message = f"InvalidJob : Unsupported operation {operation}"
        raise ApiError(400, "INVALIDJOB", message)
    if operation == "hardDelete":
        message = (
            "FeatureNotEnabled : hardDelete operation requires special user profile"
        )
        raise ApiError(400, "FEATURENOTENABLED", f"{message} permission")
    sobject = org.schema.find(str(body.get("object", "")))
    if sobject is None or sobject.tooling:
        message = f"InvalidEntity : Unable to find object: {body.get('object')}"
        raise ApiError(400, "INVALIDENTITY", message)
    check_format(body)
    if operation == "upsert":
        _check_external(sobject, body.get("externalIdFieldName"))
    return sobject


def check_format(body: Info) -> None:
    """Refuses a content type, line ending or delimiter that Bulk 2.0 has not.

    Raises:
        ApiError: INVALIDJOB.
    """
    if body.get("contentType", "CSV") != "CSV":
        raise ApiError(400, "INVALIDJOB", "InvalidJob : Only CSV is supported")
    for name, known in (
        ("lineEnding", sheets.LINE_ENDINGS),
        ("columnDelimiter", sheets.DELIMITERS),
    ):
        if body.get(name) is not None and body[name] not in known:
            message = f"InvalidJob : {name} must be one of {', '.join(known)}"
            raise ApiError(400, "INVALIDJOB", message)


def _check_external(sobject: SObject, name: Any) -> None:
    field = sobject.find(str(name)) if name else None
    if field is None or not (field.external_id or field.name == "Id"):
        raise ApiError(
            400,
            "INVALIDJOB",
            f"InvalidJob : Field name provided, '{name}' does not match an External "
            "ID, "
            f"Salesforce Id, or indexed field for '{sobject.name}'",
        )


def check_header(info: Info, header: list[Column]) -> None:
    """Refuses a header that the job's operation cannot work with.

    Raises:
        ApiError: InvalidBatch, which fails the job.
    """
    names = {c.field.name for c in header if c.target is None}
    if info["operation"] in {"update", "delete"} and "Id" not in names:
        message = "InvalidBatch : Field name not found : Id"
        raise sheets.failed(message)
    if info["operation"] == "delete" and names != {"Id"}:
        message = "InvalidBatch : The 'delete' batch must contain only ids"
        raise sheets.failed(message)


def key_of(info: Info, header: list[Column], cells: list[str]) -> str | None:
    """Returns a row's external id, folded as the platform compares it."""
    name = str(info["externalIdFieldName"]).lower()
    if info["operation"] != "upsert":
        return None
    for column, cell in zip(header, cells, strict=True):
        if column.target is None and column.field.name.lower() == name and cell:
            return fold(column.field, cell)
    return None


def repeated(info: Info, header: list[Column], lines: list[list[str]]) -> set[str]:
    """Returns the external ids that a chunk holds more than once."""
    times = Counter(key_of(info, header, cells) for cells in lines)
    return {key for key, n in times.items() if key is not None and n > 1}


def given_twice(info: Info, key: str | None) -> Rejection:
    """Returns the refusal of a row whose external id its chunk holds twice."""
    message = f"Duplicate external id specified: {key}"
    return Rejection("DUPLICATE_VALUE", message, (str(info["externalIdFieldName"]),))


def write(
    writer: Writer,
    info: Info,
    sobject: SObject,
    header: list[Column],
    cells: list[str],
) -> Saved | Rejection:
    """Writes one row and returns what came of it."""

    def attempt() -> Saved:
        draft = drafts.from_csv(header, cells)
        operation = info["operation"]
        if operation == "insert":
            return writer.create(sobject, draft)
        if operation == "upsert":
            external = sobject.find(info["externalIdFieldName"])
            assert external is not None  # noqa: S101  the job's creation looked
            return writer.upsert(sobject, external, draft)
        key = draft.values.pop("Id", None)
        if key is None:
            raise Rejection(
                "MISSING_ARGUMENT", f"Id not specified in an {operation} call"
            )
        if operation == "delete":
            return recycle.delete(writer, sobject, key)
        return writer.update(sobject, key, draft)

    return outcome(attempt)
