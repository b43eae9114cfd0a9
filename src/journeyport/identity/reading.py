"""What identity reads from the lake, and as what.

Which fields are evidence is said here: the values of the `identifiers` map that could
be parsed; calling numbers of customers where the configuration names a type for them;
never dialled numbers, never source addresses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import xxhash

from journeyport.arrow import empty
from journeyport.identity.config import IdentityConfig
from journeyport.lake import Lake
from journeyport.session import open_session
from journeyport.tables import BY_NAME, IDENTIFIER_TYPES

_ENGAGEMENTS = """
WITH current AS (
    SELECT engagement_id, max_by(
        struct_pack(
            start_date := start_date, status := status, is_deleted := is_deleted
        ),
        struct_pack(
            changed := coalesce(update_date, start_date), start_date := start_date
        )
    ) AS e
    FROM engagements GROUP BY engagement_id
)
SELECT current.engagement_id, e.start_date AS start_date, e.status AS status,
       c.channel, t.topic
FROM current
LEFT JOIN (
    SELECT engagement_id, start_date,
           arg_min(coalesce(channel_id, channel_type), ordinal) AS channel
    FROM channels GROUP BY ALL
) c ON c.engagement_id = current.engagement_id AND c.start_date = e.start_date
LEFT JOIN (
    SELECT engagement_id, start_date, arg_max(topic, ordinal) AS topic
    FROM topics GROUP BY ALL
) t ON t.engagement_id = current.engagement_id AND t.start_date = e.start_date
WHERE NOT e.is_deleted
ORDER BY current.engagement_id
"""

_IDENTIFIERS = """
SELECT i.engagement_id, i.identifier_type, i.value
FROM identifiers i JOIN whole e USING (engagement_id, start_date)
WHERE i.is_valid AND i.value IS NOT NULL
UNION ALL
SELECT p.engagement_id, $calling, p.calling_number
FROM participants p JOIN whole e USING (engagement_id, start_date)
WHERE $calling IS NOT NULL AND p.role = 'CUSTOMER'
  AND regexp_full_match(p.calling_number, '\\+[1-9][0-9]{6,14}')
"""

_NEEDED = {
    "engagements": (
        "engagements",
        ["engagement_id", "start_date", "update_date", "status", "is_deleted"],
    ),
    "channels": (
        "engagement_channels",
        ["engagement_id", "start_date", "ordinal", "channel_id", "channel_type"],
    ),
    "topics": (
        "engagement_topics",
        ["engagement_id", "start_date", "ordinal", "topic"],
    ),
    "identifiers": (
        "engagement_identifiers",
        ["engagement_id", "start_date", "identifier_type", "value", "is_valid"],
    ),
    "participants": (
        "participants",
        ["engagement_id", "start_date", "role", "calling_number"],
    ),
}


@dataclass(frozen=True)
class Documents:
    """What one account's engagements say.

    Attributes:
        engagements: engagement_id, start_date, status, channel (its first), topic (its
            last); one row each, the deleted ones left out.
        identifiers: engagement_id, identifier_type, value.
        names: ids of all engagements, the deleted ones too.
        moved: how many stand in more than one day.
    """

    engagements: pa.Table
    identifiers: pa.Table
    names: frozenset[str]
    moved: int


def read_documents(
    lake: Lake,
    account: str,
    config: IdentityConfig,
    days: Sequence[date] | None = None,
) -> Documents:
    """The current versions of one account, all days or those asked for.

    An engagement whose start moved to another day counts once, as changed last.
    """
    with open_session() as connection:
        for name, (table, columns) in _NEEDED.items():
            data = (
                lake.read(table, accounts=[account], columns=columns)
                if days is None
                else pa.concat_tables(
                    [
                        empty(BY_NAME[table]).select(columns),
                        *(lake.read_day(table, account, day, columns) for day in days),
                    ]
                )
            )
            connection.register(name, data)
        whole = connection.execute(_ENGAGEMENTS).to_arrow_table()
        connection.register("whole", whole)
        identifiers = connection.execute(
            _IDENTIFIERS, {"calling": config.calling_numbers}
        ).to_arrow_table()
        names = connection.execute("SELECT engagement_id FROM engagements").fetchall()
    distinct = frozenset(name for (name,) in names)
    return Documents(whole, identifiers, distinct, len(names) - len(distinct))


def day_contents(lake: Lake, account: str) -> dict[str, str]:
    """Per day a hash of what identity reads of it, without reading it."""
    found = {}
    for day in lake.days(account):
        manifest = lake.manifest(account, day)
        if manifest is not None:
            parts = [manifest.tables[table].sha256 for table, _ in _NEEDED.values()]
            found[day.isoformat()] = xxhash.xxh3_128_hexdigest("".join(parts).encode())
    return found


def source_strengths(lake: Lake, account: str) -> dict[str, str]:
    """What the source says of its identifier types, as far as it says anything."""
    rows = lake.read(
        IDENTIFIER_TYPES.name,
        accounts=[account],
        columns=["identifier_type", "source_strength"],
    )
    return {
        row["identifier_type"]: row["source_strength"]
        for row in rows.to_pylist()
        if row["source_strength"] in ("WEAK", "STRONG", "VERY_STRONG")
    }
