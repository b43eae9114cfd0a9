"""The warehouses on offer, and opening one. Only what is tested is offered."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from journeyport.errors import SettingsError
from journeyport.warehouse.dialect import Dialect, Failure
from journeyport.warehouse.duckdb_file import DUCKDB
from journeyport.warehouse.postgresql import POSTGRESQL

DIALECTS: dict[str, Dialect] = {"duckdb": DUCKDB, "postgresql": POSTGRESQL}


@contextmanager
def opened(url: str, *, make: bool = True) -> Iterator[tuple[Dialect, sa.Engine]]:
    """The warehouse behind a URL.

    Args:
        url: the SQLAlchemy URL.
        make: a file that is not there yet is made.

    Raises:
        SettingsError: the URL is none, or of a warehouse that is not offered.
    """
    try:
        parsed = sa.engine.make_url(url)
        dialect = DIALECTS[parsed.get_backend_name()]
    except (sa.exc.ArgumentError, KeyError):
        raise SettingsError(
            "JOURNEYPORT_WAREHOUSE_URL is no URL of a warehouse on offer; "
            "duckdb:////path/to/warehouse.duckdb and postgresql://user@host/database "
            "are."
        ) from None
    engine = dialect.engine(parsed, make)
    try:
        yield dialect, engine
    finally:
        engine.dispose()


def failure(dialect: Dialect, error: BaseException) -> Failure | None:
    """What an error means; None: not the database's, or not known."""
    cause: BaseException | None = error
    if isinstance(error, sa.exc.DBAPIError):
        cause = error.orig
    return dialect.failure(cause) if cause is not None else None
