"""Real warehouses: a DuckDB file per test, or a database of the session's server."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))

from nights import World, fill
from target import Target

from journeyport.lake import Lake


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
