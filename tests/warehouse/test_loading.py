"""Loading, over every warehouse on offer."""

from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from nights import CLOCK, FIRST, assert_equal, delivered

from journeyport import warehouse
from journeyport.arrow import conform
from journeyport.errors import ArgumentError, ContractError
from journeyport.state import State
from journeyport.state.warehouse import deliveries
from journeyport.tables import BY_NAME, DAILY


def test_a_first_load_delivers_every_table_but_raw(target, world):
    report = target.load(world)
    assert list(report.tables) == delivered()
    assert report.data.inserted > 150
    assert (report.data.updated, report.data.deleted, report.data.unchanged) == (
        0,
        0,
        0,
    )
    assert_equal(target, world)


@pytest.mark.parametrize("whole", [True, False])
def test_a_second_load_changes_nothing(target, world, whole):
    first = target.load(world)
    days = None if whole else [("AAAAAA", FIRST), ("BBBBBB", FIRST)]
    second = target.load(world, days=days)
    assert second.data.changed == 0
    assert not second.changed
    if whole:
        assert second.data.unchanged == first.data.inserted
    assert_equal(target, world)


def test_a_changed_engagement_changes_with_its_children(loaded, world):
    world.change("AAAAAA", "AAAAAA-0-000")
    world.write(("AAAAAA", FIRST))
    report = loaded.load(world, days=[("AAAAAA", FIRST)])
    assert report.tables["engagements"].updated == 1
    assert report.tables["engagements"].unchanged == 2
    assert report.tables["engagements"].inserted == 0
    assert_equal(loaded, world)


def test_an_engagement_that_left_its_day_is_only_in_the_new_one(loaded, world):
    world.change("AAAAAA", "AAAAAA-0-000", day=FIRST + timedelta(days=1))
    world.write(("AAAAAA", FIRST), ("AAAAAA", FIRST + timedelta(days=1)))
    # The old day is not even named.
    report = loaded.load(world, days=[("AAAAAA", FIRST + timedelta(days=1))])
    assert report.tables["engagements"].updated == 1
    assert_equal(loaded, world)
    assert loaded.load(world, days=[("AAAAAA", FIRST)]).data.changed == 0


def test_tombstones_are_deleted_or_flagged_as_asked(loaded, world):
    some = ["engagements", "participants", "engagement_outcomes"]
    world.tables = frozenset(some)
    world.change("AAAAAA", "AAAAAA-0-001", is_deleted=True)
    world.write(("AAAAAA", FIRST))
    report = loaded.load(world, tables=some)
    assert report.tables["engagements"].deleted == 1
    assert_equal(loaded, world)
    report = loaded.load(world, tombstones="flag", tables=some)
    assert report.tables["engagements"].inserted == 1
    assert_equal(loaded, world, tombstones="flag")
    assert warehouse.verify(world.lake, loaded.url, tables=some).equal
    assert loaded.load(world, tombstones="flag", tables=some).data.changed == 0


def test_a_child_that_changed_alone_is_found(loaded, world):
    made = world.made["BBBBBB", "BBBBBB-0-001"]
    data = world.lake.read_day("engagement_outcomes", "BBBBBB", FIRST)
    flipped = pc.invert(pc.fill_null(data.column("queued"), False))
    place = data.schema.get_field_index("queued")
    changed = conform(
        BY_NAME["engagement_outcomes"],
        data.set_column(place, data.schema.field(place), flipped),
    )
    tables = {
        table.name: world.lake.read_day(table.name, made.account, FIRST)
        for table in DAILY
    } | {"engagement_outcomes": changed}
    world.lake.write_day(made.account, FIRST, tables, run_id="run-2", facts={})
    report = loaded.load(world, days=[(made.account, FIRST)])
    assert report.tables["engagement_outcomes"].updated == len(data)
    assert report.data.changed == len(data)
    assert_equal(loaded, world)


def test_only_the_days_and_tables_asked_for_are_touched(loaded, world):
    some = ["engagements", "participants", "customers"]
    world.tables = frozenset(some)
    for account in ("AAAAAA", "BBBBBB"):
        world.change(account, f"{account}-0-000")
    world.write()
    report = loaded.load(world, days=[("AAAAAA", FIRST)], tables=["engagements"])
    assert list(report.tables) == ["engagements"]
    assert report.data.updated == report.data.changed == 1
    loaded.load(world, tables=some)
    assert_equal(loaded, world)


def test_a_day_the_lake_does_not_hold_is_left_alone(loaded, world):
    report = loaded.load(
        world, days=[("AAAAAA", FIRST + timedelta(days=99)), ("CCCCCC", FIRST)]
    )
    assert report.data.changed == 0
    assert report.days == 0
    assert_equal(loaded, world)


def test_many_batches_end_as_one_does(target, world):
    seen = []
    report = target.load(world, batch_rows=40, progress=lambda *step: seen.append(step))
    assert report.batches == len(seen) > 3
    assert seen[-1][1] == seen[-1][2]
    assert report.days == 4
    assert_equal(target, world)


def test_a_key_that_stands_twice_in_the_lake_stops_the_load(loaded, world):
    world.add("AAAAAA", FIRST + timedelta(days=1), "AAAAAA-0-000")
    world.change("AAAAAA", "AAAAAA-0-000")
    world.write(("AAAAAA", FIRST + timedelta(days=1)))
    before = loaded.rows()
    with pytest.raises(ContractError, match="engagements holds 1 rows"):
        loaded.load(
            world, days=[("AAAAAA", FIRST), ("AAAAAA", FIRST + timedelta(days=1))]
        )
    assert loaded.rows() == before


def test_text_that_postgresql_cannot_hold_is_told_by_a_sign(loaded, world):
    data = world.lake.read_snapshot("queues")
    place = data.schema.get_field_index("queue_name")
    names = pa.array(["a\0b"] * len(data), pa.string())
    changed = conform(
        BY_NAME["queues"], data.set_column(place, data.schema.field(place), names)
    )
    world.lake.write_snapshot("queues", changed, run_id="run-2")
    loaded.load(world)
    kept = {name for (name,) in loaded.execute("SELECT queue_name FROM queues")}
    assert kept == {"a\0b" if loaded.name == "duckdb" else "a\ufffdb"}
    assert warehouse.verify(world.lake, loaded.url, deep=True).equal
    assert loaded.load(world, rewrite=True, tables=["queues"]).data.deleted == 12
    assert loaded.load(world).data.changed == 0


def test_what_was_delivered_is_in_the_ledger(loaded_duckdb, world, tmp_path):
    state = State(f"sqlite:///{tmp_path}/state.db")
    some = {"tables": ["engagements", "sink_ledger"], "state": state}
    world.change("AAAAAA", "AAAAAA-0-000")
    world.write(("AAAAAA", FIRST))
    loaded_duckdb.load(world, **some, run_id="run-2")
    (row,) = (
        row
        for row in deliveries(state)
        if (row["run_id"], row["object_name"]) == ("run-2", "engagements")
    )
    assert row == {
        "target": "warehouse",
        "object_name": "engagements",
        "run_id": "run-2",
        "inserted": 0,
        "updated": 1,
        "deleted": 0,
        "unchanged": 11,
        "rejected": 0,
        "finished_at": CLOCK.now(),
    }
    # The same run delivers once more: what it did before is not forgotten.
    loaded_duckdb.load(world, days=[], **some, run_id="run-2")
    loaded_duckdb.load(world, days=[("AAAAAA", FIRST)], **some, run_id="run-2")
    again = [row for row in deliveries(state) if row["object_name"] == "engagements"]
    assert [(row["updated"], row["unchanged"]) for row in again] == [(1, 3)]
    assert loaded_duckdb.load(world, **some, run_id="run-3").data.changed == 0
    runs = loaded_duckdb.execute("SELECT DISTINCT run_id FROM sink_ledger")
    assert runs == [("run-2",)]
    warehouse.publish_ledger(world.lake, state, run_id="run-3")
    published = world.lake.read_snapshot("sink_ledger")
    assert set(published.column("run_id").to_pylist()) == {"run-2", "run-3"}
    state.close()


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"tables": ["raw_engagements"]}, "There is no table raw_engagements to load"),
        ({"tombstones": "keep"}, "'delete' or 'flag'"),
    ],
)
def test_an_argument_that_makes_no_sense_is_one_sentence(
    duckdb_file, world, named, sentence
):
    with pytest.raises(ArgumentError, match=sentence):
        duckdb_file.load(world, **named)
