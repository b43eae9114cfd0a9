"""docs/service.md is true: its walk runs as written, its tables are complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from customer_journey.faults import PROFILES

GUIDE = Path(__file__).parents[2] / "docs" / "service.md"
STEP = re.compile(r"```bash\n(.*?)```\s*```text\n(.*?)```", re.DOTALL)
MARK = "--- the next step ---"


def test_the_walk_with_curl_answers_what_the_guide_says(tmp_path):
    steps = STEP.findall(GUIDE.read_text())
    assert len(steps) == 9
    script = f"\necho '{MARK}'\n".join(command for command, _ in steps)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-euc", f"trap 'kill $service 2> /dev/null || true' EXIT\n{script}"],
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = run.stdout.split(f"{MARK}\n")
    for (command, expected), answer in zip(steps, told, strict=True):
        assert answer == expected, command


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_guide_lists_every_profile_as_the_program_does(profile):
    assert f"| `{profile}` | {PROFILES[profile]} |" in GUIDE.read_text()


def test_every_operation_of_the_contract_is_walked():
    text = GUIDE.read_text()
    for part in (
        *("call GET /identifiers", "call POST /engagements '", ":update"),
        *(":appendIdentifiers", ":add", ":remove", "call GET /engagements/$one"),
        *("POST /engagements/$one/agent-note", "call PUT /engagements/$one/agent-note"),
        *("agent-notes", "call DELETE", "journeys:search", "engagementIds=$one"),
        *("call POST /journeys '", ":unlinkIdentifier", ":listAgents"),
        *("call POST /identifiers '", "call PUT /identifiers", "identifiers:delete"),
        *("call GET /identifiers/$type", "openid-connect/token"),
    ):
        assert part in text, part
