"""Whatever happens in the nights, the warehouse ends as the lake is."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nights import FIRST, World, assert_equal, delivered
from target import Target

from journeyport import warehouse
from journeyport.lake import Lake
from journeyport.warehouse import difference

ENGAGEMENTS = [
    (a, f"{a}-{n}-{i:03d}")
    for a in ("AAAAAA", "BBBBBB")
    for n in (0, 1)
    for i in (0, 1, 2)
]
EVENTS = st.one_of(
    st.tuples(st.just("change"), st.sampled_from(ENGAGEMENTS)),
    st.tuples(st.just("delete"), st.sampled_from(ENGAGEMENTS)),
    st.tuples(st.just("move"), st.sampled_from(ENGAGEMENTS), st.integers(0, 3)),
    st.tuples(st.just("add"), st.sampled_from(["AAAAAA", "BBBBBB"]), st.integers(0, 3)),
    st.tuples(st.just("forget"), st.sampled_from(ENGAGEMENTS)),
)
NIGHTS = st.lists(
    st.tuples(
        st.lists(EVENTS, min_size=1, max_size=5),
        *(st.booleans() for _ in range(3)),
    ),
    min_size=3,
    max_size=5,
)
SOME = (
    "engagements",
    "engagement_identifiers",
    "participants",  # parts of its key may be null
    "engagement_customers",  # a snapshot, of engagements
    "customers",
    "rejected_records",
)
"""A table of each sort."""


def happen(world: World, event: tuple, number: int) -> set:
    """One event; the account-days it touched."""
    kind, what, *rest = event
    if kind == "add":
        day = FIRST + timedelta(days=rest[0])
        world.add(what, day, f"added-{number}")
        return {(what, day)}
    if what not in world.made:
        return set()
    before = world.made[what]
    touched = {(before.account, before.day)}
    if kind == "forget":
        del world.made[what]
    elif kind == "move":
        world.change(*what, day=FIRST + timedelta(days=rest[0]))
    else:
        world.change(*what, is_deleted=kind == "delete")
    after = world.made.get(what, before)
    return touched | {(after.account, after.day)}


def live(world: World, targets: list, nights: list) -> None:
    number, tables = 0, sorted(world.tables)
    for events, by_days, twice, much in nights:
        touched = set()
        for event in events:
            number += 1
            touched |= happen(world, event, number)
        world.write(*sorted(touched), run_id=f"run-{number}")
        days = sorted(touched) if by_days else None
        with pytest.MonkeyPatch.context() as patch:
            # As if many rows changed: deleted and inserted, not written over.
            patch.setattr(difference, "BULK_ROWS", 0 if much else 10_000)
            for target in targets:
                target.load(world, days=days, tables=tables)
                if twice:
                    report = target.load(world, days=days, tables=tables)
                    assert report.data.changed == 0
    for target in targets:
        assert_equal(target, world)
        found = warehouse.verify(world.lake, target.url, deep=True, tables=tables)
        assert found.equal


@contextlib.contextmanager
def fresh(first_world: World, tables: Iterable[str]):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(first_world.lake.url, folder / "lake")
        yield (
            folder,
            World(Lake(folder / "lake"), dict(first_world.made), frozenset(tables)),
        )


def copies(folder: Path, loaded_file: Path, stack, copy_database):
    (folder / "home").mkdir()
    shutil.copy(loaded_file, folder / "home")
    url = f"duckdb:///{folder}/home/{loaded_file.name}"
    return [Target("duckdb", url), stack.enter_context(copy_database())]


def any_nights(first_world, loaded_file, copy_database, nights, tables) -> None:
    with (
        fresh(first_world, tables) as (folder, world),
        contextlib.ExitStack() as stack,
    ):
        live(world, copies(folder, loaded_file, stack, copy_database), nights)


SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=SHARED)
@given(nights=NIGHTS)
def test_any_nights_end_as_the_lake_is(first_world, loaded_file, copy_database, nights):
    any_nights(first_world, loaded_file, copy_database, nights, delivered())


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(10))
@settings(max_examples=11, deadline=None, suppress_health_check=SHARED)
@given(nights=NIGHTS)
def test_very_many_nights_end_as_the_lake_is(
    first_world, loaded_file, copy_database, part, nights
):
    """In parts that say how far they are; the first example of each is the least."""
    any_nights(first_world, loaded_file, copy_database, nights, SOME)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(5))
@settings(max_examples=3, deadline=None, suppress_health_check=SHARED)
@given(nights=NIGHTS)
def test_many_nights_over_all_tables_end_as_the_lake_is(
    first_world, loaded_file, copy_database, part, nights
):
    any_nights(first_world, loaded_file, copy_database, nights, delivered())
