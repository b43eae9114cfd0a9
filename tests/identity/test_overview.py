"""What is shown after a night, and the laws that the tables themselves can show."""

import pyarrow as pa
import pytest

from journeyport.identity import broken_laws, overview
from journeyport.identity.overview import LAWS


@pytest.fixture
def resolved(world, contact):
    world.put(
        contact("1", "a1 e1 phoneNumbers=+15550142"),
        contact("2", "a2 phoneNumbers=+15550142", 5),
        contact("3", "phoneNumbers=+15550142", 6),
        contact("4", "e2", 7),
        contact("5", "e1 e2", 8),
    )
    world.resolve()
    return world


def test_the_overview_counts_and_masks(resolved):
    found = overview(resolved.lake, "ABCDEF")
    assert found.engagements == {"AMBIGUOUS": 1, "RESOLVED": 4}
    assert found.coverage == 0.8
    assert found.sizes == {1: 1, 3: 1}
    assert found.largest[0][0] == resolved.of("a1")
    (shared,) = found.shared
    assert (shared.masked, shared.candidates, shared.engagements) == ("+1…42", 2, 3)
    assert overview(resolved.lake, "GHIJKL").coverage == 0


def test_tables_just_written_keep_every_law(resolved):
    assert broken_laws(resolved.lake, resolved.config) == {}


def test_a_broken_table_is_told_by_its_law(resolved):
    rows = resolved.lake.read_snapshot("customer_identifiers").to_pylist()
    linked = next(row for row in rows if row["standing"] == "LINKED")
    thief = linked | {"customer_id": "Cthief"}
    resolved.lake.write_snapshot(
        "customer_identifiers", pa.Table.from_pylist([*rows, thief]), run_id="x"
    )
    broken = broken_laws(resolved.lake, resolved.config)
    assert broken == {"an identifier is one customer's own": 1}
    assert set(broken) <= set(LAWS)
