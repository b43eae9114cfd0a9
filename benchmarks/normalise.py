# ruff: noqa: PLC0415 - each side imports its own library, in its own process
"""Documents per CPU-second, from pages as received to Parquet tables.

    python benchmarks/normalise.py --documents 20000 --runs 5

Sides, each a process of its own, run in turn:

- pages: raw pages -> every daily table with row hashes, nested extras, value cleaning
  and rejects, each document screened; nothing is landed
- tables: the same from landed raw, whose documents were screened at landing
- journeyport: what an export does: pages -> landed raw (versions, hashes, field policy,
  watch-list) -> the tables from there
- floor: DuckDB, one thread, reads one document per line and writes one nested Parquet
- floor_threads: the same with DuckDB's own choice of threads, which costs more CPU
- json_normalize, dlt: what people would use instead, in an environment of their own

Refused when the columns that all sides make differ in their checksums.
"""

import argparse
import importlib
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
import venv
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

DAY = date(2026, 3, 5)
ACCOUNT = "ABCDEF"
TIMEZONE = "America/New_York"
STRENGTHS = {"accountIds": "VERY_STRONG", "emailAddresses": "STRONG"}
PEERS = ("dlt[filesystem]>=1.30", "pandas>=3", "pyarrow>=26", "xxhash")
SIDES = (
    "floor",
    "floor_threads",
    "pages",
    "tables",
    "journeyport",
    "json_normalize",
    "dlt",
)
PAGES = 1 << 20
"""Bytes read of the pages at once: some are longer than what a file reads by itself."""
ENVIRONMENT = Path(
    os.environ.get(
        "JOURNEYPORT_BENCH_ENV", tempfile.gettempdir() + "/journeyport-bench"
    )
)

OURS = ["journeyport.normalise", "journeyport.extract.documents"]
LIBRARIES = {
    "floor": ["duckdb", "journeyport.normalise"],
    "floor_threads": ["duckdb", "journeyport.normalise"],
    "pages": OURS,
    "tables": OURS,
    "journeyport": OURS,
    "json_normalize": ["pandas", "pyarrow.parquet"],
    "dlt": ["dlt", "dlt.destinations", "pyarrow.parquet"],
}

ARRAYS = {
    "engagement_channels": "channels",
    "engagement_topics": "conversations",
    "engagement_attributes": "attributes",
    "participants": "participants",
    "queue_segments": "queues",
    "transfers": "transfers",
    "agent_notes": "agentNotes",
}
"""Our tables that are an array of the document."""


def document(chance: random.Random, agents: list[str], queues: list[str]) -> dict:
    """A believable document of about 2 KB; one in fifty has a field nobody knows."""

    def some_id() -> str:
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))

    start = datetime(2026, 3, 5, tzinfo=UTC) + timedelta(
        milliseconds=chance.randrange(80_000_000)
    )

    def at(seconds: int) -> str:
        moment = start + timedelta(seconds=seconds)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    person, agent, queue = chance.randrange(10**6), chance.choice(agents), some_id()
    queue, dialog = chance.choice(queues), some_id()
    stay = {"dialogId": dialog, "channelId": "Voice", "channelType": "VOICE"}
    stay |= {"joinedAt": at(0), "leftAt": at(800)}
    made = {
        "id": some_id(),
        "accountId": ACCOUNT,
        "status": "COMPLETED",
        "direction": "INBOUND",
        "startDate": at(0),
        "updateDate": at(900),
        "endDate": at(800),
        "identifiers": {
            "phoneNumbers": [f"+1 212 55{person % 10} {person % 9000 + 1000}"],
            "emailAddresses": [f"Person{person}@example.com"],
            "accountIds": [f"ACC{person}"],
        },
        "channels": [{"id": "Voice", "type": "VOICE"}],
        "conversations": ["Billing question", "Refund"],
        "participants": [
            stay
            | {
                "id": some_id(),
                "type": "EXTERNAL",
                "callingNumber": "+12125550100",
                "dialledNumber": "+18005550100",
            },
            stay
            | {"id": some_id(), "type": "TREATMENT", "automationType": "SELF_SERVICE"},
            stay
            | {
                "id": agent,
                "type": "AGENT",
                "agentDisplayName": f"Agent {agent[:4]}",
                "extension": "5001",
            },
        ],
        "agentNotes": [
            {
                "id": some_id()[:20],
                "createdBy": {"id": agent, "name": f"Agent {agent[:4]}"},
                "updatedBy": {"id": agent, "name": f"Agent {agent[:4]}"},
                "note": f"called about bill {person}",
                "readOnly": False,
                "createdAt": at(700),
                "updatedAt": at(700),
            }
        ],
        "data": {"orderNumber": str(person)},
        "attributes": ["Language.English"],
        "queues": [
            {
                "queueId": queue,
                "queueName": "Support",
                "channelId": "Voice",
                "priority": 1 + person % 10,
                "rank": 1,
                "queuedAt": at(20),
                "agentId": agent,
                "acceptedAt": at(60),
            }
        ],
        "transfers": [
            {
                "initiatingAgentId": agent,
                "queueId": queue,
                "queueName": "Support",
                "channelProviderId": some_id(),
                "dialogId": dialog,
                "timestamp": at(400),
                "transferType": "TRANSFER_TO_QUEUE",
            }
        ]
        * (person % 2),
        "sourceType": "PLATFORM",
        "sourceAddress": "10.0.0.1",
    }
    if person % 50 == 0:
        made["participants"][0]["mood"] = {"score": person % 7}
    return made


def generate(folder: Path, count: int) -> None:
    """Pages of 50, and the same documents one per line for the floor."""
    chance = random.Random(1)
    agents = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(200)]
    queues = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(20)]
    with (
        (folder / "pages.ndjson").open("w") as pages,
        (folder / "documents.ndjson").open("w") as lines,
    ):
        for start in range(0, count, 50):
            page = [
                document(chance, agents, queues) for _ in range(min(50, count - start))
            ]
            answer = {"engagements": page, "pagination": {"total": count}}
            pages.write(json.dumps(answer, separators=(",", ":")) + "\n")
            for one in page:
                lines.write(json.dumps(one, separators=(",", ":")) + "\n")


def run_journeyport(folder: Path, out: Path) -> None:
    """Pages to landed raw, and on to the tables."""
    land(folder, out)
    run_tables(folder, out)


def land(folder: Path, out: Path) -> None:
    """Pages to landed raw, as an export lands them."""
    from journeyport.clock import SystemClock
    from journeyport.extract.documents import DayStore, Storing
    from journeyport.extract.policy import load_policy
    from journeyport.lake import Lake
    from journeyport.state import State
    from journeyport.wire import read_answer

    policy = out.with_suffix(".yaml")
    policy.write_text('fields: {"agentNotes[].note": keep, "data{}": keep}\n')
    state = State(f"sqlite:///{out}.state.db")
    storing = Storing(
        Lake(out),
        state,
        ACCOUNT,
        "bench",
        SystemClock(),
        load_policy(policy),
        timedelta(0),
    )
    store = DayStore(storing, DAY)
    pending: list[dict] = []
    with (folder / "pages.ndjson").open("rb", PAGES) as pages:
        for line in pages:
            store.add(read_answer(line).rows, pending)
    store.flush(pending)
    state.close()


def run_pages(folder: Path, out: Path) -> None:
    """Pages to the tables, as many documents at once as an export takes."""
    from journeyport.lake import Lake
    from journeyport.normalise import day
    from journeyport.normalise.documents import Rules

    rules, progress = Rules(ACCOUNT, "US", TIMEZONE, STRENGTHS), day.Progress()
    with Lake(out).day_writer(ACCOUNT, DAY) as writer:
        for part in _in_order(folder, day.BATCH):
            day.write_part(writer, rules, DAY, part, progress)
        writer.commit(run_id="bench", facts={})
    if progress.rejects:
        sys.exit(f"{len(progress.rejects)} documents were rejected")


def _in_order(folder: Path, batch: int) -> "Iterator[pa.Table]":
    """Documents in the order of their ids, each screened as its answer was read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from journeyport.arrow import texts_of
    from journeyport.shape import name
    from journeyport.wire import read_answer

    keys, bodies, fits = [], [], []
    own = {None, ACCOUNT}
    with (folder / "pages.ndjson").open("rb", PAGES) as pages:
        for line in pages:
            for row in read_answer(line).rows:
                keys.append(row.id)
                bodies.append(row.body)
                fits.append(row.fitting is not None and row.account in own)
    ids = pa.array(keys, pa.string())
    fitted = pc.if_else(pa.array(fits), name(), pa.scalar(None, pa.string()))
    order = pc.sort_indices(ids)
    del keys, fits
    now = pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC"))
    for start in range(0, len(order), batch):
        part = order.slice(start, batch)
        texts = texts_of([bodies[place] for place in part.to_pylist()])
        columns = {
            "engagement_id": ids.take(part),
            "payload": texts,
            "fits": fitted.take(part),
            "is_deleted": pa.repeat(False, len(part)),
            "deleted_reason": pa.nulls(len(part), pa.string()),
            "_extracted_at": pa.repeat(now, len(part)),
            "_run_id": pa.repeat("bench", len(part)),
        }
        yield pa.table(columns)


def run_tables(_folder: Path, out: Path) -> None:
    """Landed raw to the tables."""
    from journeyport import normalise
    from journeyport.lake import Lake

    rules = normalise.AccountRules(ACCOUNT, timezone=TIMEZONE)
    report = normalise.conform_day(
        Lake(out), rules, DAY, run_id="bench", strengths=STRENGTHS
    )
    if report.rejects:
        sys.exit(f"{len(report.rejects)} documents were rejected")


def run_floor(folder: Path, out: Path, threads: int = 1) -> None:
    """DuckDB: one document per line, one nested Parquet file."""
    import duckdb

    from journeyport import shape
    from journeyport.schema import Kind

    leaves = {Kind.INTEGER: "BIGINT", Kind.NUMBER: "DOUBLE", Kind.BOOLEAN: "BOOLEAN"}

    def sql(kind: object) -> str:
        if isinstance(kind, shape.Leaf):
            return leaves.get(kind.kind, "VARCHAR")
        if isinstance(kind, shape.Array):
            return sql(kind.item) + "[]"
        if isinstance(kind, shape.Mapping):
            return f"MAP(VARCHAR, {sql(kind.value)})"
        inner = (f'"{name}" {sql(field)}' for name, field in kind.fields.items())
        return f"STRUCT({', '.join(inner)})"

    fields = shape.document().fields
    named = ", ".join(f"'{name}': '{sql(fields[name])}'" for name in fields)
    out.mkdir(parents=True)
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_json('{folder}/documents.ndjson', "
            f"format = 'newline_delimited', columns = {{{named}}})) "
            f"TO '{out}/nested.parquet' (COMPRESSION zstd)"
        )


def run_floor_threads(folder: Path, out: Path) -> None:
    """The floor with as many threads as DuckDB takes by itself."""
    run_floor(folder, out, os.cpu_count() or 1)


def run_json_normalize(folder: Path, out: Path) -> None:
    """pandas.json_normalize per array, a Parquet file each."""
    import pandas as pd

    documents = _documents(folder)
    out.mkdir(parents=True)
    pd.json_normalize(documents, max_level=0).astype(str).to_parquet(
        out / "engagements.parquet"
    )
    for name, array in ARRAYS.items():
        frame = pd.json_normalize(
            documents, record_path=array, meta=["id"], meta_prefix="e_"
        )
        frame.columns = [str(column) for column in frame.columns]
        if "mood.score" in frame:
            frame = frame.astype({"mood.score": "string"})
        frame.to_parquet(out / f"{name}.parquet")


def run_dlt(folder: Path, out: Path) -> None:
    """dlt: pages to its own tables, as Parquet."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    import dlt
    from dlt.destinations import filesystem

    @dlt.resource(name="engagements")
    def engagements() -> Iterator[list[dict]]:
        with (folder / "pages.ndjson").open("rb", PAGES) as pages:
            for line in pages:
                yield json.loads(line)["engagements"]

    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(out / "work"),
        destination=filesystem(bucket_url=(out / "lake").as_uri()),
        dataset_name="d",
    )
    pipeline.run(engagements(), loader_file_format="parquet")


def _documents(folder: Path) -> list[dict]:
    with (folder / "pages.ndjson").open("rb") as pages:
        return [one for line in pages for one in json.loads(line)["engagements"]]


def shared(folder: Path) -> list[tuple[str, str, str]]:
    """Table, column and path of every column of the source that all sides make.

    All that some document holds, but for its open maps: json_normalize leaves those as
    they are.
    """
    from journeyport.schema import Origin
    from journeyport.tables import BY_NAME

    documents = _documents(folder / "sample")
    found = []
    for table in ("engagements", *ARRAYS):
        array = ARRAYS.get(table)
        prefix = f"{array}[]" if array else ""
        rows = [row for one in documents for row in (one[array] if array else [one])]
        for column in BY_NAME[table].columns:
            path = column.source.removeprefix(prefix).removeprefix(".")
            ours = column.source.startswith(prefix) and column.origin is Origin.SOURCE
            if ours and any(_at(row, path) is not None for row in rows):
                found.append((table, column.name, path))
    return found


def _at(row: object, path: str) -> object:
    for step in filter(None, path.split(".")):
        row = row.get(step) if isinstance(row, dict) else None
    return row


def checksums(side: str, folder: Path, out: Path) -> dict[str, int]:
    """Per shared column: the sum of its values' hashes, in any order."""
    columns = json.loads((folder / "shared.json").read_text())
    return {
        f"{table}.{column}": _checksum(_values(side, out, table, column, path))
        for table, column, path in columns
    }


def _values(side: str, out: Path, table: str, column: str, path: str) -> list:
    import pyarrow.dataset as ds

    if side in {"pages", "tables", "journeyport"}:
        place, name = out / table, column
    elif side == "json_normalize":
        place, name = out / f"{table}.parquet", path or "0"
    else:
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in path or "value")
        array = ARRAYS.get(table, "")
        array = "".join(f"_{c.lower()}" if c.isupper() else c for c in array)
        folder = f"engagements__{array}" if array else "engagements"
        place, name = out / "lake" / "d" / folder, snake.replace(".", "__")
    data = ds.dataset(place, format="parquet", exclude_invalid_files=True)
    return data.to_table(columns=[name]).column(0).to_pylist()


def _checksum(values: list) -> int:
    import xxhash

    total = 0
    for value in values:
        if value is None or value != value:  # noqa: PLR0124 - NaN
            continue
        text = value
        if isinstance(value, str) and len(value) > 19 and value[10:11] == "T":
            text = datetime.fromisoformat(value)
        if isinstance(text, datetime):
            text = text.astimezone(UTC).isoformat()
        if isinstance(text, float):
            text = int(text)
        total += xxhash.xxh3_64_intdigest(str(text).encode())
    return total % 2**64


def child(side: str, folder: Path, out: Path) -> None:
    """Run one side in this process and print what it took."""
    # What imports, first calls and first memory cost is no matter of documents: all of
    # them go first. A machine that is itself a guest is given memory when it touches
    # it, which took ten times as long as a page of its own, for whoever came first.
    warm = out.with_name(f"{out.name}-warm")
    for name in LIBRARIES[side]:
        importlib.import_module(name)
    if side == "tables":
        land(folder, warm)
        land(folder, out)
    globals()[f"run_{side}"](folder, warm)
    before, wall = time.process_time(), time.perf_counter()
    globals()[f"run_{side}"](folder, out)
    spent = {"cpu": time.process_time() - before, "wall": time.perf_counter() - wall}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sums = {} if side.startswith("floor") else checksums(side, folder, out)
    print(json.dumps(spent | {"peak_mb": peak, "checksums": sums}))


def environment(wanted: set[str]) -> dict[str, str]:
    """The interpreter of each side; the peers' environment is built on first use."""
    interpreters = dict.fromkeys(SIDES, sys.executable)
    if wanted & {"dlt", "json_normalize"}:
        python = ENVIRONMENT / "bin" / "python"
        if not python.exists():
            venv.create(ENVIRONMENT, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *PEERS], check=True)
        interpreters |= {"dlt": str(python), "json_normalize": str(python)}
    return interpreters


def measure(sides: list[str], folder: Path, runs: int) -> dict[str, list[dict]]:
    """All sides in turn, `runs` times."""
    interpreters = environment(set(sides))
    results: dict[str, list[dict]] = {side: [] for side in sides}
    for number in range(runs):
        for side in sides:
            out = folder / f"{side}-{number}"
            command = [interpreters[side], __file__, "--child", side]
            command += ["--folder", str(folder), "--out", str(out)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{side} failed:\n{done.stderr[-3000:]}")
            results[side].append(json.loads(done.stdout.splitlines()[-1]))
            for left in folder.glob(f"{out.name}*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    return results


def report(results: dict[str, list[dict]], count: int) -> dict:
    """Medians, ratios to the floor, and whether the sides agree."""
    sums = [
        runs[0]["checksums"]
        for side, runs in results.items()
        if not side.startswith("floor")
    ]
    if any(one != sums[0] for one in sums):
        differing = {
            name: [one.get(name) for one in sums]
            for name in sums[0]
            if len({one.get(name) for one in sums}) > 1
        }
        sys.exit(f"The sides disagree: {json.dumps(differing, indent=1)}")
    rates = {
        side: count / statistics.median(run["cpu"] for run in runs)
        for side, runs in results.items()
    }
    floor = rates.get("floor")
    return {
        "documents": count,
        "runs": len(next(iter(results.values()))),
        "columns_compared": len(sums[0]) if sums else 0,
        "sides": {
            side: {
                "documents_per_cpu_second": round(rate),
                "of_floor": round(rate / floor, 3) if floor else None,
                "peak_mb": round(max(run["peak_mb"] for run in results[side])),
            }
            for side, rate in rates.items()
        },
    }


def main() -> None:
    """Parse the arguments; run; print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--json", type=Path, help="where the results go, too")
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child, asked.folder, asked.out)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "sample").mkdir()
        generate(folder / "sample", 50)
        generate(folder, asked.documents)
        (folder / "shared.json").write_text(json.dumps(shared(folder)))
        results = measure(asked.sides.split(","), folder, asked.runs)
    made = report(results, asked.documents)
    print(f"{made['columns_compared']} columns compared by checksum", file=sys.stderr)
    print(f"| {'side':<15} | docs per CPU-second | of the floor | peak MB |")
    print("| --- | ---: | ---: | ---: |")
    for side, row in made["sides"].items():
        print(
            f"| {side:<15} | {row['documents_per_cpu_second']:>19,} | "
            f"{row['of_floor']!s:>12} | {row['peak_mb']:>7,} |"
        )
    if asked.json:
        asked.json.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
