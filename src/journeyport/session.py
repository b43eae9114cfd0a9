"""DuckDB as every reader of the lake opens it: in UTC, and silent."""

from pathlib import Path

import duckdb


def open_session(
    path: Path | None = None, **config: str | int | bool
) -> duckdb.DuckDBPyConnection:
    """A connection whose instants are in UTC and that writes to no standard output.

    Where Python was started without a file (a notebook, ``python -c``, the workers of
    a test run), DuckDB draws a progress bar on the standard output for whatever takes
    longer than two seconds; that output belongs to the command.

    Args:
        path: a database file; None: in memory, gone with the connection.
        config: DuckDB's own settings by name, from the first moment on.

    Returns:
        The connection; as a context manager it closes itself.
    """
    database = ":memory:" if path is None else str(path)
    connection = duckdb.connect(database, config=dict(config))
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET TimeZone = 'UTC'")
    return connection
