# ruff: noqa: PLC0415 - what measures memory imports late, in the process measured
"""Peak memory of normalising one account-day of many documents.

    python benchmarks/normalise_memory.py --documents 100000,200000

Each size runs in a process of its own, over raw files of 20,000 documents each; what
is printed is the most memory that process ever held, and its CPU time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

FILE = 20_000


def land(folder: Path, count: int) -> None:
    """Raw files: the same documents again and again under other ids."""
    import pyarrow as pa
    import xxhash

    from journeyport.lake import Lake
    from normalise import ACCOUNT, DAY, generate

    generate(folder, FILE)
    texts = (folder / "documents.ndjson").read_text().splitlines()
    parsed = [json.loads(text) for text in texts]
    starts = [datetime.fromisoformat(one["startDate"]) for one in parsed]
    ids = [one["id"] for one in parsed]
    lake, now = Lake(folder / "lake"), datetime(2026, 3, 6, tzinfo=UTC)
    for number in range(0, count, FILE):
        new = [str(uuid.uuid4()) for _ in ids]
        renamed = [
            text.replace(old, name, 1)
            for text, old, name in zip(texts, ids, new, strict=True)
        ]
        hashes = [xxhash.xxh3_128_hexdigest(text.encode()) for text in renamed]
        rows = {
            "account_id": [ACCOUNT] * FILE,
            "engagement_id": new,
            "start_date": starts,
            "update_date": starts,
            "content_hash": hashes,
            "policy_hash": ["none"] * FILE,
            "payload": renamed,
            "is_deleted": [False] * FILE,
            "_extracted_at": [now] * FILE,
            "_run_id": ["bench"] * FILE,
        }
        lake.append_raw(ACCOUNT, DAY, "bench", str(number), pa.table(rows))


def child(folder: Path) -> None:
    """Normalise what has landed; print memory and time."""
    from journeyport import normalise
    from journeyport.lake import Lake
    from normalise import ACCOUNT, DAY

    before = time.process_time()
    done = normalise.conform_day(
        Lake(folder / "lake"),
        normalise.AccountRules(ACCOUNT),
        DAY,
        run_id="bench",
        strengths={},
    )
    spent = {
        "documents": done.documents,
        "peak_mb": round(peak() / 1024),
        "cpu_seconds": round(time.process_time() - before, 1),
    }
    print(json.dumps(spent))


def peak() -> int:
    """The most memory this process held, in KB.

    Not `ru_maxrss`: that one remembers the process this one was forked from.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("This kernel does not say how much memory a process held.")


def main() -> None:
    """Parse the arguments; run each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", default="100000,200000")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child)
        return
    for count in map(int, asked.documents.split(",")):
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            land(Path(name), count)
            command = [sys.executable, __file__, "--child", name]
            print(
                subprocess.run(
                    command, check=True, capture_output=True, text=True
                ).stdout,
                end="",
            )


if __name__ == "__main__":
    main()
