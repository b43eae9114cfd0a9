"""What the watch-list says of some engagements, however long it is beside them."""

from datetime import UTC, date, datetime

import pytest

from journeyport.state import State, watch

NOW = datetime(2026, 3, 6, tzinfo=UTC)


def entry(name: str) -> watch.Watched:
    return watch.Watched(name, date(2026, 3, 5), watch.OPEN, NOW, NOW)


@pytest.mark.parametrize("listed", [0, 1, 3, 40])
@pytest.mark.parametrize("asked", [["e1"], ["e1", "e2", "none"], ["none"], []])
def test_only_those_asked_for_are_found(tmp_path, listed, asked):
    state = State(f"sqlite:///{tmp_path}/state.db")
    names = [f"e{number}" for number in range(listed)]
    watch.put(state, "ABCDEF", [entry(name) for name in names])
    watch.put(state, "GHIJKL", [entry("none")])
    found = watch.of_ids(state, "ABCDEF", asked)
    assert found == {name: entry(name) for name in asked if name in names}
    state.close()
