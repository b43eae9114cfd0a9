"""The guide's first hour, its commands run as they stand."""

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from journeyport import cli

GUIDE = Path(__file__).parents[2] / "docs" / "crm.md"


def commands() -> list[str]:
    text = GUIDE.read_text()
    hour = text[text.index("## The first hour") : text.index("## Matching")]
    blocks = re.findall(r"```console\n(.*?)```", hour, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


@pytest.fixture
def run(world, sandbox, tmp_path, monkeypatch, capsys):
    """Run a command line as `journeyport` would, with these settings and no others."""
    for name in [name for name in os.environ if name.startswith("JOURNEYPORT_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "COLUMNS": "200",
        "JOURNEYPORT_HOME": str(tmp_path),
        "JOURNEYPORT_ACCOUNTS": "ABCDEF",
        "JOURNEYPORT_SALESFORCE_DOMAIN": "acme.my",
        "JOURNEYPORT_SALESFORCE_CLIENT_ID": sandbox.facts["consumer_key"],
        "JOURNEYPORT_SALESFORCE_CLIENT_SECRET": sandbox.facts["consumer_secret"],
        "JOURNEYPORT_SALESFORCE_BASE_URL": sandbox.url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> str:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert ended.value.code in (0, None), f"{command}\n{said.out}\n{said.err}"
        return said.out

    return run


def test_the_first_hour_goes_as_the_guide_says(world, sandbox, run, tmp_path):
    for n in range(30):
        sandbox.add("Contact", {"LastName": f"P{n}", "Email": f"c{n}@example.org"})
        world.person(f"c{n}", n)
    world.write()
    world.prove()
    before = sandbox.rows("Contact")
    said: dict[str, str] = {}
    plan = "PLAN"
    for command in commands():
        said[command] = run(command.replace("PLAN", plan))
        found = re.search(r"^Plan (\S+)", said[command], re.MULTILINE)
        if found and plan == "PLAN":
            plan = found[1]
        if "first look" in command:
            assert len(sandbox.rows("JP_Engagement__c")) < 25
        if "--confirm" in command:
            assert len(sandbox.rows("JP_Engagement__c")) == 30
    assert "30 ONE" in next(v for k, v in said.items() if k == "journeyport crm plan")
    assert (tmp_path / "salesforce-package" / "force-app").is_dir()
    assert not sandbox.rows("JP_Engagement__c")
    after = sandbox.rows("Contact")
    for old, new in zip(before, after, strict=True):
        changed = {name for name in old if old[name] != new[name]}
        assert changed <= {"SystemModstamp", "LastModifiedDate", "LastModifiedById"}
