"""The worked example of docs/identity.md, its commands run as they stand."""

import os
import re
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from journeyport import cli
from journeyport.identity import IdentityConfig, compare, render_comparison

PAGE = Path(__file__).parents[2] / "docs" / "identity.md"
ROW = re.compile(
    r"^\| (\w+-\d) \| (\d{4}-\d\d-\d\d \d\d:\d\d) \| (.+) \|$", re.MULTILINE
)
DATE = r"\d{4}-\d\d-\d\d(?=:|\s+by)"
ASKED = re.compile(r"```text\n\$ (.+)\n((?:.*\n)*?)```")
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


def run(world, command: str, monkeypatch, capfd) -> str:
    """What a command prints, run in this process by the entry that people start."""
    home = world.state.path.parent
    for name in [name for name in os.environ if name.startswith("JOURNEYPORT_")]:
        monkeypatch.delenv(name)
    settings = {
        "JOURNEYPORT_HOME": str(home),
        "JOURNEYPORT_ACCOUNTS": "ABCDEF",
        "COLUMNS": "250",
        "NO_COLOR": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(home)
    arguments = shlex.split(command)
    assert arguments[0] == "journeyport"
    monkeypatch.setattr(sys, "argv", arguments)
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capfd.readouterr()
    assert not ended.value.code, said.err
    lines = [line.rstrip() for line in said.out.rstrip().splitlines()]
    return re.sub(DATE, "DAY", "\n".join(lines)) + "\n"


def test_the_commands_print_what_the_page_shows(example, monkeypatch, capfd):
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 7
    for command, printed in blocks:
        said = run(example, command, monkeypatch, capfd)
        assert said == re.sub(DATE, "DAY", printed), command
        example.resolve()


def test_the_comparison_prints_what_the_page_shows(example):
    """Here the source is what it would be: all linked, but for the phone."""
    everybody = {
        "accountIds": ["C-1001", "C-2002"],
        "emailAddresses": [f"{name}@kestrel.net" for name in ("anna", "family", "bea")],
    }

    def ask(kind: str, value: str) -> dict[str, list[str]]:
        return everybody if value in everybody.get(kind, ()) else {kind: [value]}

    ((command, printed),) = ASKED.findall(PAGE.read_text())
    assert command.split()[:3] == ["journeyport", "identity", "compare"]
    found = compare(
        example.lake, "ABCDEF", ask, sample=0, identifiers=command.split()[3:]
    )
    assert render_comparison(found) == printed.rstrip()
