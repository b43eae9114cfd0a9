"""Dagster's own folder: where it lies and what is put into it. No Dagster here.

The two files are shipped with the package; a folder that has its own keeps it.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

from journeyport.errors import PermanentError


def prepared(home: Path, named: str | None) -> Path:
    """Dagster's folder, made ready: the one named by DAGSTER_HOME, else under home."""
    folder = Path(named).absolute() if named else home / "dagster"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / "dagster.yaml").exists():
        shutil.copyfile(shipped("dagster.yaml"), folder / "dagster.yaml")
    return folder


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
