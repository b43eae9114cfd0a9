"""Which version of each engagement is current, and its document in order of id.

Raw holds every version ever landed. `current` states the rule over one engagement's
versions; the rest applies it to a day of any size, range after range of its ids: ids
and dates first, then the chosen documents alone.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import unchunked
from journeyport.lake import Lake
from journeyport.normalise.ranges import ranges
from journeyport.session import open_session

_STATUS = {"CREATED": 0, "ACTIVE": 1, "COMPLETED": 2}
_ARRAYS = (
    "participants",
    "channels",
    "conversations",
    "agentNotes",
    "attributes",
    "queues",
    "transfers",
)
_MAPS = ("identifiers", "data")

_VERSIONS = """
CREATE OR REPLACE TEMP TABLE versions AS
SELECT engagement_id, content_hash, bool_or(is_deleted) AS is_deleted,
    max(start_date) AS start_date, max(update_date) AS update_date,
    max(status) AS status,
    max(end_date) AS end_date, list_sort(list(DISTINCT _extracted_at)) AS landed,
    min({'at': _extracted_at, 'run': _run_id}) AS first
FROM raw GROUP BY engagement_id, content_hash
"""
_CLEAR = """
CREATE OR REPLACE TEMP TABLE chosen AS
SELECT engagement_id, arg_max(content_hash, coalesce(update_date, '-infinity'))
    AS content_hash
FROM versions GROUP BY engagement_id
HAVING count(*) = 1 OR (count(*) = count(update_date) AND NOT bool_or(is_deleted)
    AND max(update_date, 2)[1] > max(update_date, 2)[2])
"""
_UNCLEAR = """
SELECT v.engagement_id, v.content_hash, v.is_deleted, v.update_date, v.status,
    v.end_date IS NOT NULL AS ended, v.landed, coalesce(max(w.weight), 0) AS weight
FROM versions v
LEFT JOIN (SELECT engagement_id, content_hash, CASE WHEN json_valid(payload) THEN
    {weight} ELSE 0 END AS weight FROM raw
    WHERE engagement_id IN (SELECT engagement_id FROM versions
        WHERE engagement_id NOT IN (SELECT engagement_id FROM chosen))) w
    USING (engagement_id, content_hash)
WHERE v.engagement_id NOT IN (SELECT engagement_id FROM chosen)
GROUP BY ALL ORDER BY v.engagement_id
"""
_DOCUMENTS = """
SELECT v.engagement_id, v.content_hash, v.first['at'] AS _extracted_at,
    v.first['run'] AS _run_id, r.policy_hash, r.fits, r.is_deleted, r.deleted_at,
    r.deleted_reason, coalesce(alive.start_date, r.start_date) AS start_date,
    coalesce(alive.update_date, r.update_date) AS update_date,
    coalesce(alive.end_date, r.end_date) AS end_date,
    coalesce(alive.status, r.status) AS status, r.place
FROM raw r JOIN versions v USING (engagement_id, content_hash)
JOIN chosen c USING (engagement_id, content_hash)
LEFT JOIN (
    SELECT engagement_id, max(start_date) AS start_date,
        max(update_date) AS update_date, max(end_date) AS end_date,
        max(status) AS status
    FROM versions WHERE NOT is_deleted AND engagement_id IN
        (SELECT engagement_id FROM versions WHERE is_deleted)
    GROUP BY engagement_id
) alive ON alive.engagement_id = v.engagement_id AND r.is_deleted
WHERE r._extracted_at = v.landed[-1]
ORDER BY v.engagement_id, r.policy_hash, r._run_id
"""
"""A tombstone names no dates: it takes those the engagement had when it was alive."""

_PAYLOADS = 32_000_000
"""Bytes of documents in a batch, though it may hold more of them."""


@dataclass(frozen=True)
class Version:
    """One version of one engagement, as far as choosing needs it.

    Attributes:
        content_hash: names the version.
        is_deleted: it is a tombstone.
        update_date: when it last changed; None: not sent.
        status: as sent.
        ended: it has an end date.
        landed: when it landed, each time, in order.
        weight: how many entries its arrays and maps hold.
    """

    content_hash: str
    is_deleted: bool
    update_date: datetime | None
    status: str | None
    ended: bool
    landed: tuple[datetime, ...]
    weight: int

    @property
    def rank(self) -> tuple[int, bool, int]:
        """How far the engagement has come: it only ever moves on."""
        return _STATUS.get(self.status or "", 1), self.ended, self.weight


def current(versions: Sequence[Version]) -> Version:
    """The version that holds, by all landings in the order of time.

    A tombstone ends all that landed before it, until something lands after it. Of two
    versions that are dated the greater update date holds, and none that is older than
    one that landed. Else the one that has come further, the later landed among equals;
    and one that has come less far only when it landed twice in a row, so that a single
    stale answer changes nothing for long.
    """
    leader, *later = _landings(versions)
    last, newest = leader, leader.update_date
    for version in later:
        if leader.is_deleted or version.is_deleted:
            leader, newest = version, None
        elif _follows(version, leader, newest, again=version is last):
            leader = version
        dates = [one for one in (newest, version.update_date) if one is not None]
        last, newest = version, max(dates, default=None)
    return leader


def _landings(versions: Sequence[Version]) -> list[Version]:
    """Each version once for each time it landed, in the order of time."""
    landings = [(moment, one) for one in versions for moment in one.landed]
    landings.sort(
        key=lambda pair: (
            pair[0],
            pair[1].is_deleted,
            pair[1].rank,
            pair[1].content_hash,
        )
    )
    return [version for _, version in landings]


def _follows(
    version: Version, leader: Version, newest: datetime | None, *, again: bool
) -> bool:
    """Whether a version that landed after the one that holds is newer."""
    if version.update_date is not None and newest is not None:
        if version.update_date < newest:
            return False
        if leader.update_date is not None and version.update_date > leader.update_date:
            return True
    return version.rank >= leader.rank or again


class Workspace:
    """A DuckDB connection in memory, opened when it is first needed.

    It spills to a folder of its own what its memory cannot hold.
    """

    def __init__(self, memory: str = "256MB") -> None:
        self._memory = memory
        self._open = ExitStack()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The one connection."""
        if self._connection is None:
            spill = self._open.enter_context(
                tempfile.TemporaryDirectory(prefix="journeyport-")
            )
            connection = open_session(
                threads=1, memory_limit=self._memory, temp_directory=spill
            )
            self._connection = self._open.enter_context(connection)
        return self._connection


def documents(
    lake: Lake, workspace: Workspace, account: str, day: date, batch: int
) -> Iterator[pa.Table]:
    """The current versions of an account-day in batches, in the order of their ids."""
    for whole in ranges(lake, account, day):
        if not len(whole):
            continue
        order = _in_order(workspace, whole)
        step = max(1, min(batch, len(whole) * _PAYLOADS // max(1, whole.nbytes)))
        # In one piece before parts of it are picked: each picking would make it one.
        payloads = unchunked(whole.column("payload"))
        del whole
        for start in range(0, len(order), step):
            part = order.slice(start, step)
            picked = payloads.take(unchunked(part.column("place")))
            yield part.append_column("payload", picked)


def _in_order(workspace: Workspace, whole: pa.Table) -> pa.Table:
    """The current versions by id, with their places in `whole`, without documents."""
    place = pa.array(range(len(whole)), pa.int64())
    placed = whole.append_column("place", place)
    if pc.count_distinct(whole.column("engagement_id")).as_py() == len(whole):
        # As on any day that was read for the first time.
        return placed.drop(["payload"]).sort_by("engagement_id")
    connection = workspace.connection
    connection.register("raw", placed)
    _choose(connection)
    found = connection.execute(_DOCUMENTS).to_arrow_reader(len(whole))
    return pa.concat_tables(_once_each(found))


def _choose(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(_VERSIONS)
    connection.execute(_CLEAR)
    _choose_unclear(connection)


def _once_each(found: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Leave out what landed twice in one instant: rows come in the order of ids."""
    last = None
    for part in found:
        ids = part.column("engagement_id").to_pylist()
        kept = [one != before for before, one in zip([last, *ids], ids, strict=False)]
        last = ids[-1] if ids else last
        table = pa.table(part)
        yield table if all(kept) else table.filter(pa.array(kept))


def _choose_unclear(connection: duckdb.DuckDBPyConnection) -> None:
    left = connection.execute(
        "SELECT count(DISTINCT engagement_id) FROM versions"
    ).fetchall()[0][0]
    right = connection.execute("SELECT count(*) FROM chosen").fetchall()[0][0]
    if left == right:
        return
    arrays = [f"coalesce(json_array_length(payload, '$.{n}'), 0)" for n in _ARRAYS]
    maps = [f"coalesce(len(json_keys(payload, '$.{name}')), 0)" for name in _MAPS]
    found = connection.execute(
        _UNCLEAR.format(weight=" + ".join([*arrays, *maps]))
    ).to_arrow_table()
    ids = found.column("engagement_id").to_pylist()
    groups: dict[str, list[Version]] = {}
    for one, row in zip(ids, found.drop(["engagement_id"]).to_pylist(), strict=True):
        landed = tuple(row.pop("landed"))
        groups.setdefault(one, []).append(Version(**row, landed=landed))
    settled = pa.table(
        {
            "engagement_id": list(groups),
            "content_hash": [current(group).content_hash for group in groups.values()],
        }
    )
    connection.register("settled", settled)
    connection.execute("INSERT INTO chosen SELECT * FROM settled")
    connection.unregister("settled")


def fingerprint(part: pa.Table) -> bytes:
    """What of a batch decides the tables made from it."""
    columns = ("engagement_id", "content_hash", "policy_hash", "_run_id")
    texts = [part.column(name).cast(pa.string()) for name in columns]
    texts.append(part.column("_extracted_at").cast(pa.int64()).cast(pa.string()))
    texts.append(part.column("payload").is_null().cast(pa.uint8()).cast(pa.string()))
    joined = pc.binary_join_element_wise(
        *texts, "\x1f", null_handling="replace", null_replacement=""
    )
    return "\n".join([*joined.to_pylist(), ""]).encode()
