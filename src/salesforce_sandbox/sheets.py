"""CSV as Bulk 2.0 reads and writes it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from salesforce_sandbox.errors import ApiError

DELIMITERS = {
    "BACKQUOTE": "`",
    "CARET": "^",
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}


def read(data: bytes, delimiter: str, ending: str) -> list[list[str]]:
    """Reads a sheet, header first; quoted cells may hold line ends.

    Args:
        data: What was uploaded.
        delimiter: A key of ``DELIMITERS``.
        ending: A key of ``LINE_ENDINGS``.

    Raises:
        ApiError: The job as a whole cannot be processed; the message is the job's.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise failed("ClientInputError : The data is not UTF-8") from error
    header_end = text.find("\n")
    found = "CRLF" if header_end > 0 and text[header_end - 1] == "\r" else "LF"
    if header_end >= 0 and found != ending:
        raise failed(
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding "
            f"setting is {ending}"
        )
    lines = io.StringIO(text, newline="")
    try:
        reader = csv.reader(lines, delimiter=DELIMITERS[delimiter], strict=True)
        rows = [row for row in reader if row]
    except csv.Error as error:
        message = f"ClientInputError : The data is not CSV: {error}"
        raise failed(message) from error
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(rows[0]):
            raise failed(
                f"InvalidBatch : Line {number} has {len(row)} columns, the header "
                f"{len(rows[0])}"
            )
    return rows


def failed(message: str) -> ApiError:
    """Returns what makes a whole job fail."""
    return ApiError(400, "InvalidBatch", message)


def write(rows: Iterable[Sequence[str]], delimiter: str, ending: str) -> bytes:
    """Writes a sheet with every cell quoted, as the platform's results are."""
    out = io.StringIO(newline="")
    writer = csv.writer(
        out,
        delimiter=DELIMITERS[delimiter],
        lineterminator=LINE_ENDINGS[ending],
        quoting=csv.QUOTE_ALL,
    )
    writer.writerows(rows)
    return out.getvalue().encode()
