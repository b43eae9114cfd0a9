"""What operating costs: loading the code location, and a night with nothing new.

    python benchmarks/operating.py [--runs 5] [--days 14] [--engagements 5000]

The code location is loaded as the daemon and the webserver load it: by a code server of
Dagster's, from its start until it says that it serves. Beside it stands what the same
server takes with an empty module: what is Dagster's own. The nights are `journeyport
nightly` on the demo's data, from the command to its exit, with the CRM set up; the
first one brings everything, the others find nothing new. Medians of seconds by the wall
and of processor seconds, which say the same on a busy machine; prints one table.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from journeyport import environment, rehearsal
from journeyport.processes import Children, free_port, wait_for

SERVES = "Started Dagster code server"


def main() -> int:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--engagements", type=int, default=5000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nothing.py").write_text(
            "import dagster\n\ndefs = dagster.Definitions()\n"
        )
        empty, ours = [], []
        for number in range(asked.runs):
            for module, found in (("nothing", empty), ("pipelines.definitions", ours)):
                log = folder / f"{module}-{number}.log"
                found.append(measured(partial(serve, folder, module, log)))
        plan = rehearsal.Plan(days=asked.days, engagements=asked.engagements)
        with rehearsal.servers(folder / "demo", plan) as (stage, _children):
            nights = [
                measured(partial(night, stage.environ, stage.home))
                for _ in range(asked.runs + 1)
            ]
    print("| what | seconds | lowest | highest | processor seconds |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for what, found in (
        ("a code server with nothing in it", empty),
        ("a code server with the code location", ours),
        (f"the first night, {asked.engagements:,} engagements", nights[:1]),
        ("a night with nothing new", nights[1:]),
    ):
        wall, cpu = zip(*found, strict=True)
        print(
            f"| {what} | {statistics.median(wall):.1f} | {min(wall):.1f} | "
            f"{max(wall):.1f} | {statistics.median(cpu):.1f} |"
        )
    return 0


def measured(work: Callable[[], float]) -> tuple[float, float]:
    """Seconds that the work says it took, and processor seconds of its processes."""
    before = spent()
    return work(), spent() - before


def spent() -> float:
    """Processor seconds of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def serve(folder: Path, module: str, log: Path) -> float:
    """Start a code server; seconds until it serves."""
    started = time.monotonic()
    with Children() as children:
        child = children.start(
            "code server",
            [
                *(rehearsal.script("dagster"), "api", "grpc", "--module-name", module),
                *("--host", "127.0.0.1", "--port", str(free_port())),
                *("--working-directory", str(folder)),
            ],
            environ=environment.bare() | {"DAGSTER_HOME": str(folder)},
            folder=folder,
            log=log,
        )
        wait_for(child, lambda text: SERVES in text or None)
        return time.monotonic() - started


def night(environ: Mapping[str, str], home: Path) -> float:
    """A night from the command line; its seconds."""
    started = time.monotonic()
    done = subprocess.run(
        [rehearsal.script("journeyport"), "nightly"],
        env=dict(environ),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
