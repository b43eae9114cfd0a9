"""Lake and warehouse against the service's own database, while the source changes.

The expected rows come from the documents by plain loops written here, sharing nothing
with the project's own normalisation.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import httpx
import phonenumbers
import pytest

ACCOUNTS = {"ABCDEF": ("America/Los_Angeles", "US"), "GHIJKL": ("Europe/Berlin", "DE")}
KEPT = ("callReason", "satisfaction")
DAYS = [date(2026, 3, 10), date(2026, 3, 11), date(2026, 3, 12)]
BIN = Path(sys.executable).parent


def instant(text):
    if text is None:
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def seconds(start, end):
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def normalised(kind, value, region):
    """The value, or None where it cannot be parsed."""
    if kind == "phoneNumbers":
        try:
            number = phonenumbers.parse(value, region)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_possible_number(number):
            return None
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if kind == "emailAddresses":
        return value.strip().lower()
    return value.strip()


def role(person):
    if person.get("role") == "SUPERVISOR":
        return "SUPERVISOR"
    kind = person.get("type")
    if kind == "TREATMENT" and person.get("automationType") == "CHATBOT":
        return "BOT"
    return {"EXTERNAL": "CUSTOMER", "AGENT": "AGENT", "TREATMENT": "TREATMENT"}.get(
        kind, "UNKNOWN"
    )


def rows_of(document):
    """Every row the document stands for, by table."""
    account, engagement = document["accountId"], document["id"]
    zone, region = ACCOUNTS[account]
    start, end = instant(document["startDate"]), instant(document.get("endDate"))
    base = {"account_id": account, "engagement_id": engagement, "start_date": start}
    local = start.astimezone(ZoneInfo(zone))
    identifiers = [
        (kind, ordinal, value)
        for kind, values in (document.get("identifiers") or {}).items()
        for ordinal, value in enumerate(values)
    ]

    def each(field):
        return list(enumerate(document.get(field) or []))

    people = document.get("participants") or []
    queues, transfers = each("queues"), each("transfers")
    yield (
        "engagements",
        base
        | {
            "status": document.get("status"),
            "direction": document.get("direction"),
            "update_date": instant(document.get("updateDate")),
            "end_date": end,
            "duration_seconds": seconds(start, end),
            "local_date": local.date(),
            "local_hour": local.hour,
            "local_weekday": local.isoweekday(),
            "source_type": document.get("sourceType"),
            "source_address": document.get("sourceAddress"),
            "identifier_count": len(identifiers),
            "channel_count": len(each("channels")),
            "topic_count": len(each("conversations")),
            "participant_count": len(people),
            "note_count": len(each("agentNotes")),
            "attribute_count": len(each("attributes")),
            "queue_count": len(queues),
            "transfer_count": len(transfers),
            "is_deleted": False,
        },
    )
    for kind, ordinal, value in identifiers:
        yield (
            "engagement_identifiers",
            base
            | {
                "identifier_type": kind,
                "ordinal": ordinal,
                "raw_value": value,
                "value": normalised(kind, value, region),
            },
        )
    for ordinal, person in enumerate(people):
        yield (
            "participants",
            base
            | {
                "ordinal": ordinal,
                "participant_id": person.get("id"),
                "dialog_id": person.get("dialogId"),
                "joined_at": instant(person.get("joinedAt")),
                "left_at": instant(person.get("leftAt")),
                "participant_type": person.get("type"),
                "role": role(person),
                "state": person.get("state")
                or ("DROPPED" if person.get("leftAt") else "ACTIVE"),
                "agent_display_name": person.get("agentDisplayName"),
                "channel_id": person.get("channelId"),
                "channel_type": person.get("channelType"),
                "calling_number": person.get("callingNumber"),
                "dialled_number": person.get("dialledNumber"),
                "extension": person.get("extension"),
                "automation_type": person.get("automationType"),
            },
        )
    for ordinal, channel in each("channels"):
        more = {"channel_id": channel.get("id"), "channel_type": channel.get("type")}
        yield "engagement_channels", base | {"ordinal": ordinal} | more
    for ordinal, topic in each("conversations"):
        yield "engagement_topics", base | {"ordinal": ordinal, "topic": topic}
    for key, value in (document.get("data") or {}).items():
        if key in KEPT:  # the field policy keeps no other
            yield "engagement_data", base | {"data_key": key, "data_value": value}
    for ordinal, attribute in each("attributes"):
        category, dot, value = attribute.partition(".")
        yield (
            "engagement_attributes",
            base
            | {
                "ordinal": ordinal,
                "attribute": attribute,
                "category": category if dot else None,
                "value": value if dot else attribute,
            },
        )
    for ordinal, queue in queues:
        queued, accepted = instant(queue.get("queuedAt")), queue.get("acceptedAt")
        yield (
            "queue_segments",
            base
            | {
                "ordinal": ordinal,
                "queue_id": queue.get("queueId"),
                "queue_name": queue.get("queueName"),
                "priority": queue.get("priority"),
                "queued_at": queued,
                "agent_id": queue.get("agentId"),
                "accepted_at": instant(accepted),
                "wait_seconds": seconds(queued, instant(accepted)),
            },
        )
    for ordinal, transfer in transfers:
        kind = transfer.get("transferType")
        yield (
            "transfers",
            base
            | {
                "ordinal": ordinal,
                "transfer_type": kind,
                "is_consult": kind.startswith("CONSULT"),
                "transferred_at": instant(transfer.get("timestamp")),
                "initiating_agent_id": transfer.get("initiatingAgentId"),
                "queue_id": transfer.get("queueId"),
                "destination_agent_id": transfer.get("destinationAgentId"),
            },
        )
    for ordinal, note in each("agentNotes"):
        yield (
            "agent_notes",
            base
            | {
                "ordinal": ordinal,
                "note_id": note.get("id"),
                "note": None,  # the default field policy
                "created_by_id": (note.get("createdBy") or {}).get("id"),
                "created_at": instant(note.get("createdAt")),
            },
        )
    completed = document.get("status") == "COMPLETED"
    roles = {role(person) for person in people}
    agent = bool(roles & {"AGENT", "SUPERVISOR"})
    accepted = any(queue.get("acceptedAt") for _, queue in queues)
    bot = "BOT" in roles
    self_service = any(p.get("automationType") == "SELF_SERVICE" for p in people)
    known = completed and bool(people)
    contained = (bot or self_service) and not queues and not agent and not transfers
    yield (
        "engagement_outcomes",
        base
        | {
            "bot_seen": bot if people else None,
            "self_service_seen": self_service if people else None,
            "agent_joined": agent if people else None,
            "abandoned_in_queue": bool(queues) and not accepted and not agent
            if known
            else None,
            "contained": contained if known else None,
        },
    )


def source_documents(database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    found = {}
    for (text,) in connection.execute("SELECT document FROM engagements"):
        document = json.loads(text)
        if instant(document["startDate"]).date() in DAYS:
            found[document["accountId"], document["id"]] = document
    connection.close()
    return found


def expected(documents):
    tables = {}
    for document in documents:
        for table, row in rows_of(document):
            tables.setdefault(table, []).append(row)
    return tables


def found_rows(connection, relation, columns):
    names = ", ".join(f'"{name}"' for name in columns)
    answer = connection.execute(f"SELECT {names} FROM {relation}")
    return Counter(answer.fetchall())


def assert_equal(connection, relation_of, documents):
    """Every table holds exactly the rows that the documents stand for."""
    tables = expected(documents)
    assert len(tables) >= 11, "the source holds something for every table"
    for table, rows in tables.items():
        columns = tuple(rows[0])
        wanted = Counter(tuple(row[name] for name in columns) for row in rows)
        held = found_rows(connection, relation_of(table), columns)
        missing, extra = wanted - held, held - wanted
        assert not missing, f"{table}: {len(missing)} rows of the source are missing"
        assert not extra, f"{table}: {len(extra)} rows that the source never had"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The service with live traffic inside the exported days; ends with the tests."""
    folder = tmp_path_factory.mktemp("source")
    command = [BIN / "customer-journey", "serve", "--port", "0", "--seed", "7"]
    command += ["--database", folder / "source.db", "--engagements", "1500"]
    command += ["--days", "3", "--start", DAYS[0].isoformat()]
    command += ["--clock", "2026-03-12T23:00:00Z", "--clock-rate", "1"]
    command += ["--request-log", folder / "requests.log", "--live", "1200"]
    with (
        (folder / "errors").open("w") as errors,
        subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        told = json.loads(process.stdout.readline())
        yield {"folder": folder, **told}
        process.terminate()
        process.wait(20)


def export(source, home):
    """Run the export of the three days as its user would."""
    environment = {
        "PATH": os.environ["PATH"],
        "JOURNEYPORT_HOME": str(home),
        "JOURNEYPORT_ENV_FILE": "-",
        "JOURNEYPORT_SOURCE_URL": source["url"],
        "JOURNEYPORT_ACCOUNTS": ",".join(ACCOUNTS),
        "JOURNEYPORT_SETTLE_MINUTES": "0",
        "JOURNEYPORT_DATA_KEYS": ",".join(KEPT),
    }
    for account, (zone, region) in ACCOUNTS.items():
        keys = source["accounts"][account]
        environment |= {
            f"JOURNEYPORT_CLIENT_ID_{account}": keys["client_id"],
            f"JOURNEYPORT_CLIENT_SECRET_{account}": keys["client_secret"],
            f"JOURNEYPORT_APP_KEY_{account}": keys["app_key"],
            f"JOURNEYPORT_TIME_ZONE_{account}": zone,
            f"JOURNEYPORT_PHONE_REGION_{account}": region,
        }
    command = [BIN / "journeyport", "export"]
    command += ["--from", DAYS[0].isoformat(), "--to", DAYS[-1].isoformat()]
    done = subprocess.run(
        list(map(str, command)),
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def lake_relation(home):
    return lambda table: (
        f"read_parquet('{home}/lake/{table}/*/*/*.parquet', hive_partitioning=false)"
    )


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory):
    """One export while the source changes, one more after it has come to rest."""
    home = tmp_path_factory.mktemp("home")
    clock = httpx.get(f"{source['admin_url']}/clock").raise_for_status().json()
    before = {
        key: document
        for key, document in source_documents(source["folder"] / "source.db").items()
        if instant(document["startDate"]) <= instant(clock["now"])
    }
    export(source, home)
    after = source_documents(source["folder"] / "source.db")
    with duckdb.connect() as connection:
        relation = lake_relation(home)("engagements")
        names = "account_id, engagement_id, update_date"
        first = connection.execute(f"SELECT {names} FROM {relation}").fetchall()
    httpx.post(f"{source['admin_url']}/live", json={"per_minute": 0}).raise_for_status()
    morning = {"now": "2026-03-13T06:00:00Z", "rate": 0}
    httpx.post(f"{source['admin_url']}/clock", json=morning).raise_for_status()
    export(source, home)
    rest = source_documents(source["folder"] / "source.db")
    return {
        "home": home,
        "before": before,
        "after": after,
        "rest": rest,
        "first": first,
    }


def test_the_source_did_change_while_it_was_read(exported):
    before, after = exported["before"], exported["after"]
    assert len(after) > len(before), "engagements arrived during the walk"
    assert any(after[key] != before[key] for key in before.keys() & after.keys())


def test_nothing_that_was_visible_before_the_walk_is_missing(exported):
    held = {(account, engagement) for account, engagement, _ in exported["first"]}
    staying = exported["before"].keys() & exported["after"].keys()
    assert staying - held == set()


def test_each_engagement_is_held_once_and_no_older_than_before_the_walk(exported):
    keys = Counter(
        (account, engagement) for account, engagement, _ in exported["first"]
    )
    assert max(keys.values()) == 1
    for account, engagement, updated in exported["first"]:
        document = exported["before"].get((account, engagement))
        if document and document.get("updateDate"):
            assert updated >= instant(document["updateDate"])


def test_the_lake_equals_the_source_row_by_row_once_it_rests(exported):
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = lake_relation(exported["home"])
        assert_equal(connection, relation, exported["rest"].values())


def test_the_warehouse_equals_the_source_row_by_row_once_it_rests(exported):
    path = exported["home"] / "warehouse.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        held = {
            name: f'"{schema}"."{name}"'
            for schema, name in connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables()"
            ).fetchall()
        }
        assert_equal(connection, held.__getitem__, exported["rest"].values())


def test_page_two_was_never_asked_for(source, exported):
    lines = (source["folder"] / "requests.log").read_text().splitlines()
    searches = [r for r in map(json.loads, lines) if "journeys:search" in r["path"]]
    assert len(searches) > 20
    assert [r for r in searches if (r.get("pageNumber") or 1) > 1] == []
