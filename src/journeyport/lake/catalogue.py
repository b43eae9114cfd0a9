"""Views over the lake's Parquet: for an open DuckDB connection, or as a small file.

Analysts open the file; no run ever writes to it while it is open, because it is
written aside and renamed, and it holds no rows itself.
"""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from journeyport.arrow import schema_of
from journeyport.lake.files import Files
from journeyport.schema import Kind, Layout, Table
from journeyport.session import open_session
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
        select = _select(table, files, connection)
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
    with open_session(aside) as connection:
        create_views(connection, files)
        for table in TABLES:
            text = table.description.replace("'", "''")
            connection.execute(f"COMMENT ON VIEW \"{table.name}\" IS '{text}'")
    aside.chmod(0o600)
    aside.replace(path)


def _select(table: Table, files: Files, connection: duckdb.DuckDBPyConnection) -> str:
    columns = [(column.name, TYPES[column.kind]) for column in table.columns]
    if table.layout in (Layout.RAW, Layout.DAILY):
        columns.append(("day", "DATE"))
    ends = _ends(table, files)
    if not ends:
        nothing = [f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in columns]
        return f"SELECT {', '.join(nothing)} WHERE false"
    if files.is_local:
        source = _parquet(table, files, ends)
    else:
        # No extension of DuckDB has to be there for a bucket: pyarrow reads it.
        source = f"{table.name}_files"
        connection.register(source, _dataset(table, files))
    held = connection.sql(f"SELECT * FROM {source}").columns  # noqa: S608 - as below
    listed = [
        f'"{name}"' if name in held else f'CAST(NULL AS {kind}) AS "{name}"'
        for name, kind in columns
    ]
    return f"SELECT {', '.join(listed)} FROM {source}"  # noqa: S608 - quoted


def _parquet(table: Table, files: Files, ends: list[str]) -> str:
    if table.layout not in (Layout.RAW, Layout.DAILY):
        return f"read_parquet({_quoted(files.address(ends[0]))})"
    place = _quoted(files.address(f"{table.name}/account=*/day=*/*.parquet"))
    options = ["hive_partitioning = true"]
    options.append("hive_types = {'account': VARCHAR, 'day': DATE}")
    # Looking at the schema of each file makes every question as slow as there are
    # days: only while days written before and after a new column stand together.
    schemas = {tuple(pq.read_schema(files.place(path)).names) for path in ends}
    if len(schemas) > 1:
        options.append("union_by_name = true")
    return f"read_parquet({place}, {', '.join(options)})"


def _dataset(table: Table, files: Files) -> ds.Dataset:
    parts = pa.schema([("account", pa.string()), ("day", pa.date32())])
    schema = schema_of(table)
    for field in parts if table.layout in (Layout.RAW, Layout.DAILY) else []:
        schema = schema.append(field)
    return ds.dataset(
        files.place(table.name),
        schema=schema,
        filesystem=files.filesystem,
        format="parquet",
        partitioning=ds.partitioning(parts, flavor="hive"),
    )


def _ends(table: Table, files: Files) -> list[str]:
    """The table's first and last file; none when it has none."""
    if table.layout in (Layout.SNAPSHOT, Layout.OPERATIONS):
        path = f"{table.name}/part-0.parquet"
        return [path] if files.exists(path) else []
    found = (_end(table.name, files, back=back) for back in (False, True))
    return [path for path in found if path is not None]


def _end(folder: str, files: Files, *, back: bool) -> str | None:
    names = files.names(folder)
    for name in reversed(names) if back else names:
        path = f"{folder}/{name}"
        if name.endswith(".parquet"):
            return path
        if not name.startswith((".", "_")) and "=" in name:
            below = _end(path, files, back=back)
            if below is not None:
                return below
    return None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
