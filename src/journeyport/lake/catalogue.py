"""Views over the lake's Parquet: for an open DuckDB connection, or as a small file.

Analysts open the file; no run ever writes to it while it is open, because it is
written aside and renamed, and it holds no rows itself.
"""

from pathlib import Path

import duckdb

from journeyport.lake.files import Files
from journeyport.schema import Kind, Layout, Table
from journeyport.tables import (
    ENGAGEMENT_CUSTOMERS,
    ENGAGEMENTS,
    TABLES,
)

TYPES = {
    Kind.STRING: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INSTANT: "TIMESTAMPTZ",
    Kind.DATE: "DATE",
    Kind.JSON: "JSON",
}

_JOINED = ("customer_id", "resolution")


def create_views(connection: duckdb.DuckDBPyConnection, files: Files) -> None:
    """Create or replace a view per table, and `engagements` joined with customers."""
    for table in TABLES:
        name = "engagements_alone" if table is ENGAGEMENTS else table.name
        select = _select(table, files)
        connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS {select}')
    customers = ", ".join(f"c.{name}" for name in _JOINED)
    joined = (
        f"SELECT e.*, {customers} "  # noqa: S608 - names from the declarations
        f"FROM engagements_alone e LEFT JOIN {ENGAGEMENT_CUSTOMERS.name} c "
        "USING (account_id, engagement_id)"
    )
    connection.execute(f"CREATE OR REPLACE VIEW {ENGAGEMENTS.name} AS {joined}")


def write_catalogue(path: Path, files: Files) -> None:
    """Write the views as a DuckDB file and put it in the place of the one before."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.tmp")
    aside.unlink(missing_ok=True)
    with duckdb.connect(str(aside)) as connection:
        create_views(connection, files)
        for table in TABLES:
            text = table.description.replace("'", "''")
            connection.execute(f"COMMENT ON VIEW \"{table.name}\" IS '{text}'")
    aside.chmod(0o600)
    aside.replace(path)


def _select(table: Table, files: Files) -> str:
    columns = [(column.name, TYPES[column.kind]) for column in table.columns]
    by_day = table.layout in (Layout.RAW, Layout.DAILY)
    if not _has_files(table, files):
        nothing = [f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in columns]
        if by_day:
            nothing.append('CAST(NULL AS DATE) AS "day"')
        return f"SELECT {', '.join(nothing)} WHERE false"
    listed = ", ".join(f'"{name}"' for name, _ in columns)
    if not by_day:
        place = _quoted(files.address(f"{table.name}/part-0.parquet"))
        return f"SELECT {listed} FROM read_parquet({place})"  # noqa: S608 - quoted
    place = _quoted(files.address(f"{table.name}/account=*/day=*/*.parquet"))
    days = "hive_types = {'account': VARCHAR, 'day': DATE}"
    source = (
        f"read_parquet({place}, hive_partitioning = true, {days}, union_by_name = true)"
    )
    return f'SELECT {listed}, "day" FROM {source}'  # noqa: S608 - quoted above


def _has_files(table: Table, files: Files) -> bool:
    if table.layout in (Layout.SNAPSHOT, Layout.OPERATIONS):
        return files.exists(f"{table.name}/part-0.parquet")
    for account in files.names(table.name):
        for day in files.names(f"{table.name}/{account}"):
            names = files.names(f"{table.name}/{account}/{day}")
            if any(name.endswith(".parquet") for name in names):
                return True
    return False


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
