"""Dagster's instance in a folder, as a process that is pointed there gets it."""

from pathlib import Path

import dagster as dg
import pytest


def instance_in(folder: str | Path) -> dg.DagsterInstance:
    """The instance of a folder; a context manager."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder))
        return dg.DagsterInstance.get()
