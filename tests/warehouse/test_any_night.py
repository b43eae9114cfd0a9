"""Whatever happens in the nights, the warehouse ends as the lake is."""

import contextlib
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nights import FIRST, World, assert_equal

from journeyport import warehouse
from journeyport.lake import Lake

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
    st.tuples(st.lists(EVENTS, min_size=1, max_size=5), st.booleans(), st.booleans()),
    min_size=1,
    max_size=4,
)


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
    number = 0
    for events, by_days, twice in nights:
        touched = set()
        for event in events:
            number += 1
            touched |= happen(world, event, number)
        world.write(*sorted(touched), run_id=f"run-{number}")
        for target in targets:
            days = sorted(touched) if by_days else None
            target.load(world, days=days)
            if twice:
                assert target.load(world, days=days).data.changed == 0
    for target in targets:
        assert_equal(target, world)
        assert warehouse.verify(world.lake, target.url, deep=True).equal


@contextlib.contextmanager
def fresh(first_world: World):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(first_world.lake.url, folder / "lake")
        yield folder, World(Lake(folder / "lake"), dict(first_world.made))


def copies(folder: Path, loaded_file: Path, stack, copy_database):
    from conftest import Target

    (folder / "home").mkdir()
    shutil.copy(loaded_file, folder / "home")
    url = f"duckdb:///{folder}/home/{loaded_file.name}"
    return [Target("duckdb", url), stack.enter_context(copy_database())]


def any_nights(first_world, loaded_file, copy_database, nights) -> None:
    with fresh(first_world) as (folder, world), contextlib.ExitStack() as stack:
        live(world, copies(folder, loaded_file, stack, copy_database), nights)


SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=SHARED)
@given(nights=NIGHTS)
def test_any_nights_end_as_the_lake_is(first_world, loaded_file, copy_database, nights):
    any_nights(first_world, loaded_file, copy_database, nights)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@settings(max_examples=300, deadline=None, suppress_health_check=SHARED)
@given(nights=NIGHTS)
def test_very_many_nights_end_as_the_lake_is(
    first_world, loaded_file, copy_database, nights
):
    any_nights(first_world, loaded_file, copy_database, nights)
