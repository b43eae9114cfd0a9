"""Dagster's own folder: where it lies and what is put into it. No Dagster here.

The two files are shipped with the package. A `dagster.yaml` that nobody changed follows
every upgrade; its first line says what it was when it was written.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from journeyport.errors import PermanentError, SettingsError

_MARK = "# Written by journeyport "

_IN_FILES = re.compile(r"^event_log_storage:\n(?:[ ].*\n)+\n", re.MULTILINE)

_IN_POSTGRESQL = """
storage: # runs and events, for a team; the default is SQLite in this folder
  postgres:
    postgres_url:
      env: JOURNEYPORT_DAGSTER_URL
"""


def prepared(home: Path, named: str | None, url: str | None = None) -> Path:
    """Dagster's folder, made ready.

    Args:
        home: JOURNEYPORT_HOME.
        named: DAGSTER_HOME; None: the folder is `dagster` under home.
        url: Dagster's own database; None: SQLite in that folder.

    Raises:
        SettingsError: a database is named, and somebody's own `dagster.yaml` or the
            installed packages do not go with it.
    """
    folder = Path(named).absolute() if named else home / "dagster"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "dagster.yaml"
    if url is not None and find_spec("dagster_postgres") is None:
        raise SettingsError(
            "JOURNEYPORT_DAGSTER_URL needs the package dagster-postgres; install "
            "journeyport[postgres]."
        )
    if not file.exists() or _is_untouched(file.read_text()):
        text = _of_this_release(url)
        # Webserver and daemon may do this at the same time.
        aside = folder / f".dagster.yaml.{os.getpid()}"
        aside.write_text(f"{_MARK}{_print(text)}; a change is kept.\n{text}")
        aside.replace(file)
    elif url is not None and "\nstorage:" not in file.read_text():
        raise SettingsError(
            f"{file} was changed by somebody and has no `storage:`, so "
            "JOURNEYPORT_DAGSTER_URL would not be used; add the block that "
            "docs/operations.md shows."
        )
    return folder


def behind(folder: Path, url: str | None = None) -> str | None:
    """What to tell about a changed `dagster.yaml` that began as another release's."""
    file = folder / "dagster.yaml"
    text = file.read_text()
    began = f"{_MARK}{_print(_of_this_release(url))};"
    if _is_untouched(text) or text.startswith(began):
        return None
    return (
        f"{file} was changed by somebody and began as another release's; to have what "
        "is new, put it aside, start again and make the changes in the new file."
    )


@contextmanager
def outdated(folder: Path, url: str | None) -> Iterator[bool]:
    """Whether Dagster's storage is still to be made or migrated; others wait meanwhile.

    Several programs that make it at once stumble over each other. It counts as done
    when the block ends without an error.

    Args:
        folder: Dagster's folder.
        url: Dagster's own database; None: SQLite in that folder.
    """
    mark = folder / ".storage"
    # Which database it was, without the password in its URL.
    place = f" {_print(url.rpartition('@')[2])}" if url else ""
    now = version("dagster") + place
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_due = not mark.exists() or mark.read_text() != now
        yield is_due
        if is_due:
            mark.write_text(now)


def shipped(name: str) -> Path:
    """The path of a file shipped with the pipelines.

    Raises:
        PermanentError: the pipelines are not installed.
    """
    found = find_spec("pipelines")
    if found is None or found.origin is None:
        raise PermanentError(
            "The package `pipelines` is not installed; install journeyport again."
        )
    return Path(found.origin).with_name(name)


def _of_this_release(url: str | None) -> str:
    text = shipped("dagster.yaml").read_text()
    return text if url is None else _IN_FILES.sub("", text) + _IN_POSTGRESQL


def _is_untouched(text: str) -> bool:
    mark, _, rest = text.partition("\n")
    return mark.startswith(f"{_MARK}{_print(rest)};")


def _print(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
