"""What every test shares: with CI set, a skip is a failure; long files come first."""

import os
from collections.abc import Generator

import pytest

LONGEST = (
    "tests/operations/",
    "tests/demo/",
    "tests/pipelines/",
    "tests/warehouse/",
    "tests/truth/",
    "tests/extract/test_kills.py",
    "tests/identity/test_documented_example.py",
    "tests/customer_journey/test_contract.py",
)
"""Begun first, so that no worker is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        ranks = (n for n, name in enumerate(LONGEST) if item.nodeid.startswith(name))
        return next(ranks, len(LONGEST))

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    expected = hasattr(report, "wasxfail")
    if os.environ.get("CI") and report.skipped and not expected:
        report.outcome = "failed"
        report.longrepr = f"Skipped where nothing may be skipped: {report.longrepr}"
    return report
