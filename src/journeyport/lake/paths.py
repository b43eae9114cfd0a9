"""Where things lie in a lake: names and paths, relative to its root."""

import re
from collections.abc import Iterable
from datetime import date

from journeyport.errors import ArgumentError

_ACCOUNT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DAY_FOLDER = re.compile(r"day=(\d{4}-\d\d-\d\d)(?:\.json)?")


def safe(name: str) -> str:
    """The name, when a path can hold it.

    Raises:
        ArgumentError: it cannot.
    """
    if not _ACCOUNT.fullmatch(name):
        raise ArgumentError(
            f"{name!r} cannot be part of a path; letters, digits, dot, dash and "
            "underscore can."
        )
    return name


def file_name(text: str) -> str:
    """A file name's part: what paths and globs may trip over becomes a dash."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_") or "x"


def inside(path: str) -> str:
    """The path, when it stays inside the lake.

    Raises:
        ArgumentError: it does not.
    """
    if path.startswith("/") or ".." in path.split("/"):
        raise ArgumentError(f"{path!r} does not stay inside the lake.")
    return path


def day_folder(table: str, account: str, day: date) -> str:
    """The folder of an account-day of a table."""
    return f"{table}/account={safe(account)}/day={day.isoformat()}"


def day_manifest(account: str, day: date) -> str:
    """The path of an account-day's manifest."""
    return f"_manifests/account={safe(account)}/day={day.isoformat()}.json"


def days_of(names: Iterable[str]) -> list[date]:
    """The days that folders or manifests of these names stand for, in order."""
    found = (_DAY_FOLDER.fullmatch(name) for name in names)
    return sorted(date.fromisoformat(match.group(1)) for match in found if match)
