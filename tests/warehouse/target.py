"""An empty warehouse of a test, and how to look into it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from nights import CLOCK, World, as_rows

from journeyport import warehouse
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
