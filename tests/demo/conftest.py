"""The demo, run three times over: at first, again, and with the clock a day on.

Every process of it tells, through a `sitecustomize`, whom it connected to; around it
stand settings that look like somebody's production.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

SPY = """
import os, sys

_WHERE = os.environ.get("PYTHONPATH", "").split(os.pathsep)[0]

def _told(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        line = str(args[1][0])
    elif event == "socket.getaddrinfo" and args[0] is not None:
        line = args[0].decode() if isinstance(args[0], bytes) else str(args[0])
    else:
        return
    with open(os.path.join(_WHERE, f"seen-{os.getpid()}"), "a") as file:
        file.write(line + chr(10))

sys.addaudithook(_told)
with open(os.path.join(_WHERE, f"process-{os.getpid()}"), "w") as file:
    file.write(" ".join(sys.orig_argv))
"""

PRODUCTION = {
    "JOURNEYPORT_SOURCE_URL": "https://region.api.example.com",
    "JOURNEYPORT_ACCOUNTS": "PRODUC",
    "JOURNEYPORT_CLIENT_ID": "production",
    "JOURNEYPORT_CLIENT_SECRET": "production-secret",
    "JOURNEYPORT_APP_KEY": "production-key",
    "JOURNEYPORT_LAKE_URL": "s3://production-bucket/lake",
    "JOURNEYPORT_STATE_URL": "postgresql+psycopg://u@db.example.com/state",
    "JOURNEYPORT_WAREHOUSE_URL": "postgresql+psycopg://u@db.example.com/warehouse",
    "JOURNEYPORT_SALESFORCE_DOMAIN": "acme.my",
    "JOURNEYPORT_SALESFORCE_CLIENT_ID": "3MVG9",
    "JOURNEYPORT_SALESFORCE_CLIENT_SECRET": "production-secret",
    "HTTP_PROXY": "http://proxy.example.com:3128",
    "HTTPS_PROXY": "http://proxy.example.com:3128",
    "DAGSTER_HOME": "/nowhere/production",
    "AWS_ACCESS_KEY_ID": "production",
}


@dataclass(frozen=True)
class Shown:
    """One run of the demo: how it ended and what it said."""

    code: int
    said: str
    told: str

    @property
    def text(self) -> str:
        """What it said, on one line."""
        return " ".join(self.said.split())


@dataclass(frozen=True)
class Demo:
    """The three runs and where they left their things."""

    folder: Path
    home: Path
    spied: Path
    runs: tuple[Shown, ...]

    def again(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Another command in the environment in which the demo was run."""
        return subprocess.run(
            [command(), *arguments],
            env=environ(self.home, self.spied),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def started(self, *arguments: str, sink: IO[str]) -> "subprocess.Popen[str]":
        """A command that goes on running, its sentences written to `sink`."""
        return subprocess.Popen(
            [command(), *arguments],
            env=environ(self.home, self.spied),
            cwd=self.folder,
            stdout=sink,
            stderr=subprocess.STDOUT,
            text=True,
        )


SIZE = ("--days", "3", "--engagements", "330")


def environ(home: Path, spied: Path) -> dict[str, str]:
    names = ("PATH", "HOME", "LANG")
    ours = {name: os.environ[name] for name in names if name in os.environ}
    return {
        **ours,
        **PRODUCTION,
        "PYTHONPATH": str(spied),
        "JOURNEYPORT_HOME": str(home),
        "COLUMNS": "200",
    }


def command(name: str = "journeyport") -> str:
    return str(Path(sys.executable).with_name(name))


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    spied = folder / "spied"
    spied.mkdir()
    (spied / "sitecustomize.py").write_text(SPY)
    dotenv = "".join(f"{name}={value}\n" for name, value in PRODUCTION.items())
    (folder / ".env").write_text(dotenv)
    home = folder / "home"
    runs = []
    for more in ((), (), ("--clock-days", "1")):
        done = Demo(folder, home, spied, ()).again("demo", *SIZE, *more)
        runs.append(Shown(done.returncode, done.stdout, done.stderr))
        assert done.returncode == 0, done.stdout + done.stderr
    return Demo(folder, home, spied, tuple(runs))
