"""Real warehouses: a DuckDB file per test, or a database of the session's server."""

import contextlib
import shutil
import sys
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
from journeyport.warehouse.catalogue import catalogue_of
from journeyport.warehouse.targets import DIALECTS


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
                for name, target in catalogue_of(dialect).tables.items()
                if tables is None or name in tables
            }

    def execute(self, statement: str) -> list[tuple]:
        with self.connection() as connection:
            result = connection.execute(sa.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []


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
def loaded_database(first_world: World, make_database) -> Iterator[str]:
    with make_database() as url:
        _postgresql(url).load(first_world)
        yield url.database


@pytest.fixture
def loaded_duckdb(loaded_file: Path, tmp_path: Path) -> Target:
    (tmp_path / "home").mkdir()
    shutil.copy(loaded_file, tmp_path / "home")
    return _duckdb(tmp_path)


@pytest.fixture(scope="session")
def copy_database(loaded_database: str, make_database):
    """Make a copy of the loaded database, for as long as it is used."""

    @contextlib.contextmanager
    def copied() -> Iterator[Target]:
        with make_database(like=loaded_database) as url:
            yield _postgresql(url)

    return copied


@pytest.fixture
def loaded_postgresql(copy_database) -> Iterator[Target]:
    with copy_database() as target:
        yield target


@pytest.fixture(params=["duckdb", "postgresql"])
def loaded(request: pytest.FixtureRequest) -> Target:
    """Each warehouse in turn, with `world` loaded."""
    return request.getfixturevalue(f"loaded_{request.param}")
