"""Tables of a lake for a handful of people: what identity and conforming would make."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from journeyport.arrow import conform
from journeyport.tables import BY_NAME

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
ACCOUNT = "ABCDEF"


@dataclass
class Person:
    """A customer of the lake and their engagements: (id, start, changes)."""

    customer_id: str
    account: str = ACCOUNT
    email: str | None = None
    account_number: str | None = None
    resolution: str = "RESOLVED"
    engagements: list[dict[str, Any]] = field(default_factory=list)


def engagement(number: int, *, day: int = 1, **changes: Any) -> dict[str, Any]:
    start = datetime(2026, 3, day, 9, number % 60, 30, 123456, tzinfo=UTC)
    row = {
        "engagement_id": f"e-{number:05d}",
        "start_date": start,
        "end_date": start + timedelta(minutes=7),
        "direction": "INBOUND",
        "status": "COMPLETED",
        "channel": "Voice",
        "topic": "Billing",
    }
    return {**row, **changes}


def snapshots(
    people: list[Person], redirects: list[tuple[str, str, str | None]]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {
        name: []
        for name in (
            "customers",
            "journeys",
            "customer_identifiers",
            "engagement_customers",
            "customer_id_redirects",
        )
    }
    for person in people:
        who = {"account_id": person.account, "customer_id": person.customer_id}
        common = {**who, "resolution": person.resolution, "identity_version": 1}
        rows = sorted(person.engagements, key=lambda row: row["start_date"])
        first = rows[0]["start_date"] if rows else NOW
        last = rows[-1]["start_date"] if rows else NOW
        found["customers"].append(
            {
                **common,
                "first_seen_at": first,
                "last_seen_at": last,
                "engagement_count": len(rows),
                "identifier_count": 1,
            }
        )
        found["journeys"].append(
            {
                **common,
                "first_contact_at": first,
                "last_contact_at": last,
                "engagement_count": len(rows),
                "open_engagement_count": sum(r["status"] != "COMPLETED" for r in rows),
                "episode_count": 1,
                "channels": ";".join(sorted({r["channel"] for r in rows})),
                "channel_switch_count": 0,
                "last_channel": rows[-1]["channel"] if rows else None,
                "last_topic": rows[-1]["topic"] if rows else None,
            }
        )
        for kind, value in (
            ("emailAddresses", person.email),
            ("accountIds", person.account_number),
        ):
            if value is not None:
                found["customer_identifiers"].append(
                    {
                        **who,
                        "identifier_type": kind,
                        "value": value,
                        "strength": "STRONG",
                        "standing": "LINKED",
                        "first_seen_at": first,
                        "last_seen_at": last,
                        "engagement_count": len(rows),
                        "identity_version": 1,
                    }
                )
        found["engagement_customers"] += [
            {**common, **{k: r[k] for k in ("engagement_id", "start_date")}}
            for r in rows
        ]
    found["customer_id_redirects"] = [
        {
            "account_id": account,
            "retired_customer_id": retired,
            "customer_id": living,
            "reason": "RETIRED" if living is None else "MERGED",
            "identity_version": 1,
        }
        for account, retired, living in redirects
    ]
    return found


def daily(
    tables: dict[str, list[dict[str, Any]]], person: Person, row: dict[str, Any]
) -> None:
    common = {
        "account_id": person.account,
        "engagement_id": row["engagement_id"],
        "start_date": row["start_date"],
        "_extracted_at": NOW,
        "_run_id": "r",
    }
    start = row["start_date"]
    counts = {
        f"{what}_count": 0
        for what in (
            "identifier",
            "channel",
            "topic",
            "participant",
            "note",
            "data",
            "attribute",
            "queue",
            "transfer",
        )
    }
    counts["channel_count"] = 1
    counts["topic_count"] = int(row["topic"] is not None)
    tables["engagements"].append(
        {
            **common,
            **counts,
            "status": row["status"],
            "direction": row["direction"],
            "end_date": row["end_date"],
            "duration_seconds": row["end_date"] and 420.0,
            "local_date": start.date(),
            "local_hour": start.hour,
            "local_weekday": start.isoweekday(),
            "is_deleted": False,
        }
    )
    tables["engagement_channels"].append(
        {**common, "ordinal": 0, "channel_id": row["channel"]}
    )
    if row["topic"] is not None:
        tables["engagement_topics"].append(
            {**common, "ordinal": 0, "topic": row["topic"]}
        )


def table_of(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    table = BY_NAME[name]
    ordered = sorted(rows, key=lambda r: tuple(str(r.get(k)) for k in table.key))
    data = pa.table(
        {
            column: [row.get(column) for row in ordered]
            for column in table.names
            if any(column in row for row in rows)
        }
    )
    return conform(table, data)
