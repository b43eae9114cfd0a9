"""Loading, over every warehouse on offer."""

from datetime import timedelta

import pytest
from nights import FIRST, World, content

from journeyport.schema import Layout
from journeyport.tables import TABLES

DELIVERED = [table.name for table in TABLES if table.layout is not Layout.RAW]


def assert_equal(target, world: World, **named) -> None:
    there = target.rows()
    assert list(there) == DELIVERED
    for table in DELIVERED:
        assert there[table] == content(world, table, **named), table


def test_a_first_load_delivers_every_table_but_raw(target, world):
    report = target.load(world)
    assert list(report.tables) == DELIVERED
    assert report.data.inserted > 500
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
    assert report.tables["engagements"].unchanged == 3
    assert report.tables["engagements"].inserted == 0
    assert_equal(loaded, world)


def test_an_engagement_that_left_its_day_is_only_in_the_new_one(loaded, world):
    world.change("AAAAAA", "AAAAAA-0-000", day=FIRST + timedelta(days=2))
    world.write(("AAAAAA", FIRST), ("AAAAAA", FIRST + timedelta(days=2)))
    # The old day is not even named.
    report = loaded.load(world, days=[("AAAAAA", FIRST + timedelta(days=2))])
    assert report.tables["engagements"].updated == 1
    assert_equal(loaded, world)
    assert loaded.load(world, days=[("AAAAAA", FIRST)]).data.changed == 0
