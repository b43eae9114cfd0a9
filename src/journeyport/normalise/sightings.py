"""Agents and queues as each account-day shows them, remembered by month.

Only days whose tables changed are read again; the rest is known from
`_sightings/account=A/<month>.parquet`, one row per day and agent or queue. Those files
may be deleted at any time: the days are then read once more.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import xxhash

from journeyport.arrow import schema_of
from journeyport.lake import Lake, Manifest
from journeyport.normalise.versions import Workspace
from journeyport.tables import BY_NAME

AGENT, QUEUE = "agent", "queue"

_READ = {
    "participants": ("participant_id", "agent_display_name", "extension", "role"),
    "queue_segments": ("agent_id", "queue_id", "queue_name"),
    "transfers": (
        "initiating_agent_id",
        "destination_agent_id",
        "destination_agent_name",
        "queue_id",
        "queue_name",
        "fallback_queue_id",
    ),
    "agent_notes": (
        "created_by_id",
        "created_by_name",
        "updated_by_id",
        "updated_by_name",
    ),
}

_ROW = ("engagement_id", "start_date")
_SEEN = ", ".join(_ROW)

_DAY = f"""
WITH sighted AS (
    SELECT '{AGENT}' AS kind, {_SEEN}, participant_id AS id,
        agent_display_name AS name, extension, true AS counts
    FROM participants WHERE role IN ('AGENT', 'SUPERVISOR')
    UNION ALL SELECT '{AGENT}', {_SEEN}, agent_id, NULL, NULL, true
    FROM queue_segments
    UNION ALL SELECT '{AGENT}', {_SEEN}, initiating_agent_id, NULL, NULL, true
    FROM transfers
    UNION ALL SELECT '{AGENT}', {_SEEN}, destination_agent_id,
        destination_agent_name, NULL, true FROM transfers
    UNION ALL SELECT '{AGENT}', {_SEEN}, created_by_id, created_by_name, NULL, true
    FROM agent_notes
    UNION ALL SELECT '{AGENT}', {_SEEN}, updated_by_id, updated_by_name, NULL, true
    FROM agent_notes
    UNION ALL SELECT '{QUEUE}', {_SEEN}, queue_id, queue_name, NULL, true
    FROM queue_segments
    UNION ALL SELECT '{QUEUE}', {_SEEN}, queue_id, queue_name, NULL, false
    FROM transfers
    UNION ALL SELECT '{QUEUE}', {_SEEN}, fallback_queue_id, NULL, NULL, false
    FROM transfers
)
SELECT kind, lower(trim(id)) AS id,
    max({{'at': start_date, 'of': engagement_id, 'is': name}})
        FILTER (name IS NOT NULL) AS name,
    max({{'at': start_date, 'of': engagement_id, 'is': extension}})
        FILTER (extension IS NOT NULL) AS extension,
    min(start_date) AS first_seen_at, max(start_date) AS last_seen_at,
    count(DISTINCT engagement_id) FILTER (counts) AS engagements
FROM sighted WHERE trim(id) <> '' GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - constants only

TOGETHER = """
SELECT kind, id, max(name) AS name, max(extension) AS extension,
    min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at,
    sum(engagements)::BIGINT AS engagements
FROM seen GROUP BY kind, id ORDER BY kind, id
"""
"""Several parts, in each of which other engagements stand, as one."""

GROUPS = 10
"""Row groups of the longest table that are read at once."""

_AT = pa.timestamp("us", "UTC")
_LAST = pa.struct([("at", _AT), ("of", pa.string()), ("is", pa.string())])

SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("kind", pa.string()),
        ("id", pa.string()),
        ("name", _LAST),
        ("extension", _LAST),
        ("first_seen_at", _AT),
        ("last_seen_at", _AT),
        ("engagements", pa.int64()),
    ]
)
"""What is remembered: of a name or extension, where it was seen last on that day."""

_DAYS = b"days"


def sightings(
    lake: Lake, workspace: Workspace, account: str, groups: int = GROUPS
) -> Iterator[pa.Table]:
    """What the account's days show, as `SCHEMA` says it, month after month.

    Args:
        lake: where the days are.
        workspace: to work in.
        account: whose.
        groups: row groups of a day's longest table read at once; no row depends on it.
    """
    months: defaultdict[str, list[date]] = defaultdict(list)
    for day in lake.days(account):
        months[f"{day:%Y-%m}"].append(day)
    for month, days in months.items():
        path = f"_sightings/account={account}/{month}.parquet"
        held, known = _remembered(lake, path)
        manifests = {day: lake.manifest(account, day) for day in days}
        wanted = {day.isoformat(): _digest(one) for day, one in manifests.items()}
        if known != wanted:
            same = {day for day, digest in wanted.items() if known.get(day) == digest}
            kept = pa.array(map(date.fromisoformat, same), pa.date32())
            parts = [held.filter(pc.is_in(held.column("day"), value_set=kept))]
            parts += [
                _seen(lake, workspace, day, manifest, groups)
                for day, manifest in manifests.items()
                if day.isoformat() not in same
            ]
            held = pa.concat_tables(parts).sort_by("day")
            _remember(lake, path, held, wanted)
        yield held


def _remembered(lake: Lake, path: str) -> tuple[pa.Table, dict[str, str]]:
    """The month's rows, and by which tables each of its days was read."""
    try:
        held = pq.read_table(pa.BufferReader(lake.read_document(path)))
        days = dict(json.loads(held.schema.metadata[_DAYS]))
        return held.replace_schema_metadata().cast(SCHEMA), days
    except FileNotFoundError:
        return SCHEMA.empty_table(), {}
    except (pa.ArrowException, KeyError, TypeError, ValueError):
        # Another release's, or damaged: what it says can be had again.
        return SCHEMA.empty_table(), {}


def _remember(lake: Lake, path: str, rows: pa.Table, days: Mapping[str, str]) -> None:
    facts = {_DAYS: json.dumps(days, sort_keys=True)}
    sink = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata(facts), sink, compression="zstd")
    lake.write_document(path, sink.getvalue().to_pybytes())


def _digest(manifest: Manifest | None) -> str:
    """Names what a day's sightings depend on: its files, and how they are read."""
    tables = {} if manifest is None else manifest.tables
    files = [tables[name].sha256 for name in _READ if name in tables]
    return xxhash.xxh3_128_hexdigest("\n".join([_DAY, *files]).encode())


def _seen(
    lake: Lake, workspace: Workspace, day: date, manifest: Manifest | None, groups: int
) -> pa.Table:
    """One day, some engagements at once: each is whole in one range of the ids."""
    tables = {name: _dataset(lake, name, manifest) for name in _READ}
    longest = max(tables.values(), key=lambda one: one.count_rows())
    bounds = _bounds(longest, groups)
    ids, parts = ds.field("engagement_id"), []
    for low, high in pairwise([None, *bounds, None]):
        inside = ds.scalar(True)
        if low is not None:
            inside &= ids >= low
        if high is not None:
            inside &= ids < high
        read = {
            name: tables[name].to_table([*_ROW, *columns], filter=inside)
            for name, columns in _READ.items()
        }
        parts.append(answer(workspace, _DAY, read))
    found = pa.concat_tables(parts)
    if bounds:
        found = answer(workspace, TOGETHER, {"seen": found})
    on = pa.repeat(pa.scalar(day, pa.date32()), len(found))
    return found.add_column(0, "day", on).cast(SCHEMA)


def _dataset(lake: Lake, table: str, manifest: Manifest | None) -> ds.Dataset:
    facts = None if manifest is None else manifest.tables.get(table)
    places = [] if facts is None else [lake.files.place(facts.path)]
    schema = schema_of(BY_NAME[table])
    return ds.dataset(places, schema, "parquet", filesystem=lake.files.filesystem)


def _bounds(table: ds.Dataset, groups: int) -> list[str]:
    """The ids at which the ranges begin, but for the first."""
    firsts = [
        group.statistics.get("engagement_id", {}).get("min")
        for file in table.get_fragments()
        for group in file.row_groups
    ]
    return sorted({first for first in firsts[groups::groups] if first})


def answer(
    workspace: Workspace, query: str, tables: Mapping[str, pa.Table]
) -> pa.Table:
    """What a query gives over these tables."""
    connection = workspace.connection
    for name, table in tables.items():
        connection.register(name, table)
    found = connection.execute(query).to_arrow_table()
    for name in tables:
        connection.unregister(name)
    return found
