"""How the commands speak: sentences and progress for people, JSON for programs.

Everything for people goes to standard error, or to standard output where a command has
no JSON line; what is said is decided by the commands.
"""

import json
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

_HOUR = 3600.0

said = Console(stderr=True, highlight=False, soft_wrap=True)
"""For people, beside a JSON line."""

shown = Console(highlight=False, soft_wrap=True)
"""For people, where there is no JSON line."""


def note(sentence: str) -> None:
    """Say a sentence to the person."""
    said.print(sentence, markup=False)


def report(document: Mapping[str, Any]) -> None:
    """Print the one JSON line that a command ends with."""
    sys.stdout.write(json.dumps(document, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def ending(seconds: float, now: datetime | None = None) -> str:
    """When what takes so much longer will end, in this machine's time."""
    now = now or datetime.now().astimezone()
    end = now + timedelta(seconds=seconds)
    form = "%H:%M" if end.date() == now.date() else "%Y-%m-%d %H:%M"
    return f"until about {end:{form}}"


class _End(ProgressColumn):
    """When a part will end, going on as it did in the last hour."""

    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text(ending(left) if left else "")


class Bars:
    """Progress bars, one per part of the work, on standard error."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _End(),
            console=said,
            speed_estimate_period=_HOUR,
            transient=True,
            disable=not said.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Show the bars."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take them away."""
        self._progress.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how far one part is."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total or None)
        self._progress.update(
            self._tasks[what], completed=done, total=max(total, done) or None
        )
