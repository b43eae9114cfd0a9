"""Starting `python -m pipelines` and following what it says.

The orchestrator is a process of its own: nothing here knows what runs in it. It speaks
in lines: progress and warnings on its standard error, one JSON document on its
standard output when it is done.
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

PROGRESS = "@progress "
"""What a progress line starts with; a JSON list [what, done, total] follows."""

NOTE = "@note "
"""What a line for the person starts with."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Outcome:
    """How the process ended: its exit code and its one JSON document."""

    code: int
    report: dict[str, Any]


def run(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    log: Path,
    progress: Progress,
    note: Callable[[str], None],
) -> Outcome:
    """Run `python -m pipelines …` to its end.

    Args:
        arguments: what follows `python -m pipelines`.
        environ: its whole environment.
        folder: where it runs.
        log: the file that gets whatever else it writes.
        progress: told how far each part is.
        note: told sentences meant for the person.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    process = subprocess.Popen(  # noqa: S603  our own module, no shell
        [sys.executable, "-m", "pipelines", *arguments, "--progress"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
        cwd=folder,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101  asked for by PIPE
    assert process.stderr is not None  # noqa: S101  asked for by PIPE
    listener = threading.Thread(
        target=_listen, args=(process.stderr, log, progress, note), daemon=True
    )
    listener.start()
    try:
        said = process.stdout.read()
        code = process.wait()
    except KeyboardInterrupt:
        # Ctrl-C went to the whole foreground group: let it end what it began.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        raise
    listener.join()
    return Outcome(code, _document(said, code, log))


def _listen(
    stream: IO[str], log: Path, progress: Progress, note: Callable[[str], None]
) -> None:
    with log.open("w") as sink:
        for line in stream:
            if line.startswith(PROGRESS):
                what, done, total = json.loads(line.removeprefix(PROGRESS))
                progress(str(what), int(done), int(total))
            elif line.startswith(NOTE):
                note(line.removeprefix(NOTE).strip())
            else:
                sink.write(line)
                sink.flush()


def _document(said: str, code: int, log: Path) -> dict[str, Any]:
    lines = said.strip().splitlines()
    with contextlib.suppress(ValueError, IndexError):
        document = json.loads(lines[-1])
        if isinstance(document, dict):
            return document
    return {
        "status": "failed",
        "error": f"The run ended with code {code} and no result; see {log}.",
    }
