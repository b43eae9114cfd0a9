"""Errors that the sandbox gives, in Salesforce's own vocabulary.

    SandboxError
    ├── SchemaError      a declaration of objects and fields is wrong
    ├── ApiError         a whole request is refused (HTTP status and error code)
    └── Rejection        one record is refused (status code, message, fields)

Salesforce documents the codes under "Status Codes and Error Responses" of the REST API
guide and under "Core Data Types Used in API Calls" (StatusCode) of the SOAP API guide.
"""

from __future__ import annotations

from typing import Any


class SandboxError(Exception):
    """Any error of the sandbox."""


class SchemaError(SandboxError):
    """A declaration of objects, fields or rules is wrong."""


class ApiError(SandboxError):
    """A whole request is refused.

    Args:
        status: The HTTP status.
        code: Salesforce's error code.
        message: Salesforce's sentence.
        fields: The fields at fault, where the platform names them.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields

    def body(self) -> list[dict[str, Any]]:
        """Returns the JSON array that the REST API answers."""
        entry: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        if self.fields is not None:
            entry["fields"] = list(self.fields)
        return [entry]


class Rejection(SandboxError):  # noqa: N818  what the platform does to a record
    """One record is refused.

    Args:
        code: The status code of the SOAP guide's StatusCode list.
        message: Salesforce's sentence.
        fields: The fields at fault.
        status: The HTTP status when the record was the whole request.
    """

    def __init__(
        self, code: str, message: str, fields: tuple[str, ...] = (), status: int = 400
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields
        self.status = status

    def entry(self) -> dict[str, Any]:
        """Returns the error as Collections put it into a result."""
        return {
            "statusCode": self.code,
            "message": self.message,
            "fields": list(self.fields),
        }

    def bulk(self) -> str:
        """Returns the error as Bulk 2.0 writes it into ``sf__Error``."""
        fields = "".join(f"{name} " for name in self.fields)
        return f"{self.code}:{self.message}:{fields}--"

    def alone(self) -> ApiError:
        """Returns the error of a request that was about this record only."""
        return ApiError(self.status, self.code, self.message, self.fields)


def not_found() -> ApiError:
    """Returns the error for a resource or a record that does not exist."""
    return ApiError(404, "NOT_FOUND", "The requested resource does not exist")


def parser_error(kind: str, token: str, shown: str) -> ApiError:
    """Returns the error for a JSON value that does not fit a field's type."""
    return ApiError(
        400,
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {kind} from {token} value {shown} or request "
        "may be missing a required field at [line:1, column:1]",
    )
