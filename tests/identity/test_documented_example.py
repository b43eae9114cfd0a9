"""The worked example of docs/identity.md, its commands run as they stand."""

import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from journeyport.identity import IdentityConfig

PAGE = Path(__file__).parents[2] / "docs" / "identity.md"
ROW = re.compile(
    r"^\| (\w+-\d) \| (\d{4}-\d\d-\d\d \d\d:\d\d) \| (.+) \|$", re.MULTILINE
)
BLOCK = re.compile(r"```console\n\$ (.+)\n((?:.*\n)*?)```")


@pytest.fixture
def example(world, contact):
    world.clock.instant = datetime(2026, 3, 2, 12, tzinfo=UTC)
    for name, start, carried in ROW.findall(PAGE.read_text()):
        when = datetime.fromisoformat(start).replace(tzinfo=UTC)
        minute = int((when - world.clock.now()).total_seconds() // 60)
        world.put(contact(name, carried, minute))
    world.resolve()
    home = world.state.path.parent
    (home / "two.yaml").write_text(_with_cap_two(world.config))
    return world


def _with_cap_two(config: IdentityConfig) -> str:
    import json

    return json.dumps(config.model_dump(mode="json") | {"caps": {"default": 2}})


def run(world, command: str) -> str:
    home = world.state.path.parent
    settings = {
        "JOURNEYPORT_HOME": str(home),
        "JOURNEYPORT_ACCOUNTS": "ABCDEF",
        "PATH": os.environ["PATH"],
        "COLUMNS": "250",
        "NO_COLOR": "1",
    }
    program, *arguments = shlex.split(command)
    assert program == "journeyport"
    done = subprocess.run(
        [sys.executable, "-c", "from journeyport.cli import main; main()", *arguments],
        env=settings, cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.rstrip() for line in done.stdout.rstrip().splitlines()]
    return re.sub(r"\d{4}-\d\d-\d\d(?=:|\s+by)", "DAY", "\n".join(lines)) + "\n"


def test_the_commands_print_what_the_page_shows(example):
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 7
    for command, printed in blocks:
        assert run(example, command) == re.sub(
            r"\d{4}-\d\d-\d\d(?=:|\s+by)", "DAY", printed
        ), command
        example.resolve()
