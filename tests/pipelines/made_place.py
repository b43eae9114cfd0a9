"""A house to export to: its command in a process or here, and what it then holds."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from journeyport import environment
from journeyport.lake import Lake
from pipelines.__main__ import main
from pipelines.resources import SITE


@dataclass(frozen=True)
class Done:
    """How a command ended: its code, its standard output, its sentences."""

    code: int
    out: str
    told: str

    @property
    def report(self):
        (line,) = self.out.splitlines()
        return json.loads(line)


@dataclass(frozen=True)
class Place:
    """A running source and a home to export it to."""

    home: Path
    environ: dict[str, str]
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, **more: str) -> Done:
        values = {f"JOURNEYPORT_{name}": value for name, value in more.items()}
        done = subprocess.run(
            [str(Path(sys.executable).with_name("journeyport")), *arguments],
            env=self.environ | values,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        self.said.append(done.stdout + done.stderr)
        return Done(done.returncode, done.stdout, done.stderr)

    def here(self, *arguments: str, **more: str) -> Done:
        """As `run`, but in this process: the orchestrator is loaded already."""
        values = {f"JOURNEYPORT_{name}": value for name, value in more.items()}
        environ = self.environ | values
        said, told = io.StringIO(), io.StringIO()
        vars(SITE).clear()
        SITE.__init__(lambda: environment.read(environ))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            with redirect_stdout(said), redirect_stderr(told):
                code = main(arguments)
        self.said.append(said.getvalue() + told.getvalue())
        return Done(code, said.getvalue(), told.getvalue())

    @property
    def lake(self) -> Lake:
        return Lake(self.home / "lake")

    def warehouse(self, question: str) -> list[tuple[object, ...]]:
        path = str(self.home / "warehouse.duckdb")
        with duckdb.connect(path, read_only=True) as connection:
            return connection.execute(question).fetchall()
