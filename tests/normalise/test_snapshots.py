"""Agents and queues over all days: each day is read once, and what changed again."""

import random
import shutil
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from journeyport import normalise
from journeyport.arrow import conform
from journeyport.lake import Lake
from journeyport.tables import PARTICIPANTS, TRANSFERS

BASE = {"id": "e", "startDate": "2026-03-05T10:00:00Z"}

DAYS = (date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2))


def test_agents_are_one_row_over_all_the_ids_they_go_by(bench):
    agent = {"type": "AGENT", "id": "AG-1", "agentDisplayName": "Ann", "extension": "5"}
    bench.land(
        [
            BASE | {"participants": [agent, {"type": "EXTERNAL", "id": "x"}]},
            BASE
            | {
                "id": "f",
                "startDate": "2026-03-05T11:00:00Z",
                "queues": [{"queueId": "Q1", "agentId": "ag-1", "queueName": "Old"}],
                "transfers": [
                    {
                        "initiatingAgentId": "ag-2",
                        "queueId": "q1",
                        "queueName": "New",
                        "destinationAgentId": "AG-1",
                        "destinationAgentName": "Ann L",
                        "fallbackQueueId": "q9",
                    }
                ],
                "agentNotes": [{"createdBy": {"id": "ag-3", "name": "Cy"}}],
            },
        ]
    )
    bench.conform()
    made = normalise.conform_snapshots(bench.lake, ["ABCDEF"], run_id="r")
    agents = bench.lake.read_snapshot("agents").to_pylist()
    assert [(a["agent_id"], a["display_name"]) for a in agents] == [
        ("ag-1", "Ann L"),
        ("ag-2", None),
        ("ag-3", "Cy"),
    ]
    assert [a["engagement_count"] for a in agents] == [2, 1, 1]
    assert agents[0]["extension"] == "5"
    queues = bench.lake.read_snapshot("queues").to_pylist()
    assert [(q["queue_id"], q["engagement_count"]) for q in queues] == [
        ("q1", 1),
        ("q9", 0),
    ]
    assert made["agents"].changed
    again = normalise.conform_snapshots(bench.lake, ["ABCDEF"], run_id="s")
    assert not any(manifest.changed for manifest in again.values())


def test_snapshots_of_an_account_without_days_are_empty(bench):
    normalise.conform_snapshots(bench.lake, ["ABCDEF"], run_id="r")
    assert len(bench.lake.read_snapshot("agents")) == 0


def some_documents(chance, day, count=15):
    """Engagements of a few agents and queues, their names spelt now so, now so."""
    made = []

    def person():
        return chance.choice(["AG-1", "ag-1", "ag-2", " ag-3", "", None])

    def name():
        return chance.choice(["Ann", "Ann L", "Bo", None])

    for number in range(count):
        start = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
            seconds=chance.randrange(86_000)
        )
        one = {
            "id": f"{day}-{number}",
            "startDate": start.isoformat(),
            "participants": [
                {"type": "AGENT", "id": person(), "agentDisplayName": name()}
                for _ in range(chance.randrange(3))
            ],
            "queues": [
                {"queueId": chance.choice(["Q1", "q1", "q2"]), "queueName": name()}
                for _ in range(chance.randrange(3))
            ],
            "transfers": [
                {"initiatingAgentId": person(), "fallbackQueueId": "q9"}
                for _ in range(chance.randrange(2))
            ],
            "agentNotes": [
                {"createdBy": {"id": person(), "name": name()}}
                for _ in range(chance.randrange(2))
            ],
        }
        made.append(one)
    return made


def snapshots(lake):
    normalise.conform_snapshots(lake, ["ABCDEF"], run_id="r")
    return [lake.read_snapshot(name).to_pylist() for name in ("agents", "queues")]


def anew(bench, folder):
    """What a lake gives that remembers nothing."""
    place = folder / "anew"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(bench.lake.url, place)
    shutil.rmtree(place / "_sightings")
    return snapshots(Lake(place))


@pytest.mark.parametrize("seed", range(3))
def test_days_that_change_in_any_order_give_what_reading_all_anew_gives(
    bench, tmp_path, seed
):
    chance = random.Random(seed)
    for _ in range(4):
        for day in chance.sample(DAYS, chance.randrange(1, 4)):
            bench.land(some_documents(chance, day), day=day)
            bench.conform(day=day)
        assert snapshots(bench.lake) == anew(bench, tmp_path)


def test_a_day_that_did_not_change_is_not_read_again(bench, tmp_path):
    chance = random.Random(1)
    for day in DAYS:
        bench.land(some_documents(chance, day), day=day)
        bench.conform(day=day)
    first = snapshots(bench.lake)
    for table in ("participants", "queue_segments", "transfers", "agent_notes"):
        place = bench.lake.files.place(f"{table}/account=ABCDEF/day={DAYS[0]}")
        shutil.rmtree(place)
    assert snapshots(bench.lake) == first
    bench.land(some_documents(chance, DAYS[3]), day=DAYS[3])
    bench.conform(day=DAYS[3])
    assert snapshots(bench.lake) != first


@pytest.mark.parametrize("content", [b"", b"no Parquet", None])
def test_what_was_remembered_and_is_damaged_is_read_again(bench, content):
    bench.land(some_documents(random.Random(2), DAYS[0]), day=DAYS[0])
    bench.conform(day=DAYS[0])
    first = snapshots(bench.lake)
    path = "_sightings/account=ABCDEF/2026-02.parquet"
    if content is None:
        other = pa.table({"day": ["of another release"]})
        sink = pa.BufferOutputStream()
        pa.parquet.write_table(other, sink)
        content = sink.getvalue().to_pybytes()
    bench.lake.write_document(path, content)
    assert snapshots(bench.lake) == first
    assert len(bench.lake.read_document(path)) > len(content)


def test_a_day_too_large_for_memory_gives_the_same_in_parts(bench, tmp_path):
    rows, at = 120_000, datetime(2026, 3, 5, 9, tzinfo=UTC)
    ids = [f"e-{number // 3:06d}" for number in range(rows)]
    who = [f"ag-{number % 7}" for number in range(rows)]
    common = {
        "account_id": ["ABCDEF"] * rows,
        "engagement_id": ids,
        "start_date": [at + timedelta(milliseconds=n // 3) for n in range(rows)],
        "_extracted_at": [at] * rows,
        "_run_id": ["r"] * rows,
    }
    stays = {
        "participant_id": who,
        "role": ["AGENT"] * rows,
        "agent_display_name": [f"Agent {number % 11}" for number in range(rows)],
        "ordinal": [number % 3 for number in range(rows)],
        "occurrence": [0] * rows,
        "state": ["DROPPED"] * rows,
    }
    moves = {
        "initiating_agent_id": who,
        "ordinal": [number % 3 for number in range(rows)],
        "is_consult": [False] * rows,
    }
    tables = {
        "participants": conform(PARTICIPANTS, pa.table(common | stays)),
        "transfers": conform(TRANSFERS, pa.table(common | moves)).slice(1, rows // 2),
    }
    bench.lake.write_day("ABCDEF", bench.day, tables, run_id="r", facts={})
    whole = snapshots(bench.lake)
    shutil.rmtree(bench.lake.files.place("_sightings"))
    normalise.conform_snapshots(bench.lake, ["ABCDEF"], run_id="r", groups=1)
    agents = bench.lake.read_snapshot("agents").to_pylist()
    assert agents == whole[0]
    seen = defaultdict(set)
    for person, engagement in zip(who, ids, strict=True):
        seen[person].add(engagement)
    counts = {row["agent_id"]: row["engagement_count"] for row in agents}
    assert counts == {person: len(found) for person, found in seen.items()}
