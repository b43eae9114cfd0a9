"""Every benchmark in turn: what `make bench` runs.

    python benchmarks/run.py [--full] [NAME …]

Without --full each runs at a size that a laptop finishes in minutes. What a benchmark
prints is shown and kept under var/bench/NAME.txt; docs/benchmarks.md has what was
measured at full size. Ends with 1 when a benchmark failed or refused to compare.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
OUT = Path("var/bench")

SIZES: dict[str, tuple[str, str]] = {
    "extraction": ("--runs 1", "--runs 5"),
    "extraction_night": ("--daily 500 --days 7 --nights 2", ""),
    "extraction_seeds": ("--seeds 200", "--seeds 1000"),
    "identity": ("--edges 1000000 --runs 3", "--edges 10000000 --runs 5"),
    "identity_nights": ("--edges 2000 --days 10 40", "--edges 100000 --days 30 300"),
    "identity_score": (
        "--engagements 4000 --own-mail",
        "--engagements 20000 --own-mail --splink",
    ),
    "normalise": ("--documents 10000 --runs 1", "--documents 20000 --runs 5"),
    "normalise_memory": (
        "--documents 20000,40000",
        "--documents 200000,2000000",
    ),
    "operating": ("--runs 1 --days 3 --engagements 300", "--runs 5"),
    "service": ("--many 50000", "--many 1000000"),
    "snapshots": ("--days 20 --engagements 20000", ""),
    "warehouse": (
        "--base 200000 --rows 40000 --runs 3",
        "--base 5000000 --rows 1000000 --runs 5",
    ),
}
"""Per script: the arguments of a short run, and of the one written down."""


def main() -> int:
    """Run those asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*SIZES, []], default=[])
    parser.add_argument("--full", action="store_true")
    asked = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in asked.name or SIZES:
        arguments = SIZES[name][asked.full].split()
        command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
        print(f"\n=== {' '.join([f'benchmarks/{name}.py', *arguments])}", flush=True)
        started = time.monotonic()
        with (OUT / f"{name}.txt").open("w") as kept:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for line in process.stdout or ():
                print(line, end="", flush=True)
                kept.write(line)
        if process.wait():
            failed.append(name)
        print(f"=== {name}: {time.monotonic() - started:.0f} s", flush=True)
    if failed:
        print(f"\nFailed: {', '.join(failed)}.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
