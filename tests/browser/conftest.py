"""The house and the browser, once for all browser tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ui

from journeyport import rehearsal


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ui.chromium() is None:
        reason = "No Chromium on this machine: install your system's package of it."
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[ui.House]:
    plan = rehearsal.Plan(days=2, engagements=80)
    with ui.house(tmp_path_factory.mktemp("browser") / "home", plan) as found:
        yield found


@pytest.fixture(scope="module")
def ada(house) -> Iterator[ui.Clicks]:
    with ui.browser() as opened:
        yield ui.Clicks(opened, house.url)
