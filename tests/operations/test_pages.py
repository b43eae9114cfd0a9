"""The pages for operators name what there is: alerts, tests, files, settings."""

import re
from pathlib import Path

import pytest

from journeyport.alerts import RUNBOOK
from journeyport.settings import Settings

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def test_every_kind_of_alert_has_its_part_of_the_runbook_and_is_listed():
    headings = re.findall(r"^### (.+)$", OPERATIONS, re.MULTILINE)
    for title in RUNBOOK.values():
        assert title in headings
        assert f"| [{title}](#{title.lower().replace(' ', '-')}) |" in OPERATIONS


def test_every_test_that_is_named_is_there():
    parts = ("operations", "pipelines")
    files = [one for part in parts for one in (ROOT / "tests" / part).glob("test_*.py")]
    code = "".join(path.read_text() for path in files)
    named = re.findall(r"`(test_[a-z_]+)`", OPERATIONS)
    assert len(named) > 8
    assert [one for one in named if f"def {one}(" not in code] == []


@pytest.mark.parametrize(
    "page", [OPERATIONS, ARCHITECTURE], ids=["operations", "house"]
)
def test_every_file_that_is_named_is_there(page):
    named = re.findall(r"`((?:[\w-]+/)*[\w.*-]+\.(?:py|conf|service|md)|\w+/)`", page)
    places = (ROOT, ROOT / "src" / "journeyport", ROOT / "docs")
    assert len(named) > 3
    missing = [
        one for one in named if not any(any(place.glob(one)) for place in places)
    ]
    assert missing == []


def test_every_setting_that_is_named_is_one():
    named = set(re.findall(r"`JOURNEYPORT_([A-Z_]+[A-Z])[`=]", OPERATIONS))
    known = {name.upper() for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known}
    assert named
    assert named - known == set()
