"""A day's raw rows in ranges of engagement ids, each small enough for memory.

A day that fits is one range. A larger one is read once to see which ids there are and
once to write each range to a file of its own, uncompressed, in a folder that is removed
in the end: memory stays what one range takes, however large the day.
"""

import tempfile
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from journeyport.lake import Lake

LIMIT = 64_000_000
"""Bytes of raw rows that are held at once."""

_ROWS = 20_000
_SAMPLES = 200
"""Ids looked at per range: its size is then a few in a hundred off, at most."""
_MOST = 400
"""Ranges of a day: each is an open file for a while."""


def ranges(lake: Lake, account: str, day: date) -> Iterator[pa.Table]:
    """The raw rows of an account-day, range after range, in the order of their ids."""
    rows, size = lake.raw_size(account, day)
    count = min(_MOST, rows, -(-size // LIMIT))
    if count <= 1:
        yield lake.read_raw(account, day)
        return
    bounds = _bounds(lake, account, day, count, max(1, rows // (count * _SAMPLES)))
    with tempfile.TemporaryDirectory(prefix="journeyport-") as folder:
        paths = [Path(folder, str(number)) for number in range(len(bounds) + 1)]
        _spread(lake, account, day, bounds, paths)
        for path in paths:
            with pa.memory_map(str(path)) as source:
                yield pa.ipc.open_stream(source).read_all()
            path.unlink()


def _bounds(lake: Lake, account: str, day: date, count: int, step: int) -> list[str]:
    """The ids at which ranges of about the same size begin, but for the first."""
    sampled: list[str] = []
    for part in lake.raw_batches(account, day, _ROWS, ["engagement_id"]):
        places = pa.array(range(0, len(part), step))
        sampled += part.column(0).take(places).to_pylist()
    sampled.sort()
    at = (number * len(sampled) // count for number in range(1, count))
    return sorted({sampled[place] for place in at})


def _spread(
    lake: Lake, account: str, day: date, bounds: list[str], paths: list[Path]
) -> None:
    with ExitStack() as stack:
        writers: list[pa.ipc.RecordBatchStreamWriter] = []
        for part in lake.raw_batches(account, day, _ROWS):
            if not writers:
                writers = [
                    stack.enter_context(pa.ipc.new_stream(str(path), part.schema))
                    for path in paths
                ]
            ordered = part.take(pc.sort_indices(part.column("engagement_id")))
            ids = ordered.column("engagement_id").to_pylist()
            edges = [0, *(bisect_left(ids, one) for one in bounds), len(ids)]
            for writer, (low, high) in zip(writers, pairwise(edges), strict=True):
                if low < high:
                    writer.write_table(ordered.slice(low, high - low))
