"""What is ours in the target, and how it follows a changed declaration."""

import json
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from nights import FIRST, assert_equal

from journeyport import warehouse
from journeyport.errors import PermanentError
from journeyport.warehouse.catalogue import MADE


def test_a_table_that_is_not_ours_is_named_and_left_alone(target, world):
    target.execute("CREATE TABLE engagements (mine TEXT)")
    target.execute("INSERT INTO engagements VALUES ('kept')")
    with pytest.raises(PermanentError, match="already has table engagements that"):
        target.load(world)
    assert target.execute("SELECT mine FROM engagements") == [("kept",)]
    with target.connection() as connection:
        assert sa.inspect(connection).get_table_names() == ["engagements"]


def test_a_view_that_is_not_ours_is_named_and_left_alone(target, world):
    target.execute("CREATE VIEW journey_timeline AS SELECT 1 AS mine")
    with pytest.raises(PermanentError, match="journey_timeline"):
        target.load(world)
    assert target.execute("SELECT mine FROM journey_timeline") == [(1,)]


def test_a_table_that_somebody_altered_is_named_and_left_alone(loaded, world):
    loaded.execute("ALTER TABLE agents ADD COLUMN mine TEXT")
    world.change("AAAAAA", "AAAAAA-0-000")
    world.write(("AAAAAA", FIRST))
    before = loaded.rows()
    with pytest.raises(PermanentError, match="the columns of table agents"):
        loaded.load(world)
    assert loaded.rows() == before


def made_before(target, table: str, change) -> None:
    """Make the warehouse remember an older declaration of the table."""
    made = sa.table(MADE, *(sa.column(n) for n in ("name", "declared", "reflected")))
    with target.connection() as connection:
        here = made.c.name == table
        row = connection.execute(sa.select(made).where(here)).one()
        declared, reflected = json.loads(row.declared), json.loads(row.reflected)
        change(declared, reflected)
        connection.execute(
            sa.update(made)
            .where(here)
            .values(declared=json.dumps(declared), reflected=json.dumps(reflected))
        )


def test_a_column_declared_since_is_added_and_may_be_null(loaded, world):
    # A table made before the column was declared; nothing but its rows depends on it.
    loaded.execute("ALTER TABLE queues DROP COLUMN first_seen_at")

    def without(declared, reflected):
        del declared["first_seen_at"]
        reflected[:] = [column for column in reflected if "first_seen_at" not in column]

    made_before(loaded, "queues", without)
    loaded.load(world)
    with loaded.connection() as connection:
        added = sa.inspect(connection).get_columns("queues")[-1]
    assert (added["name"], added["nullable"]) == ("first_seen_at", True)
    loaded.load(world, tables=["queues"], rewrite=True)
    assert_equal(loaded, world)
    assert loaded.load(world).data.changed == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda declared, _: declared.update(queue_name=["integer", False]),
            "queues.queue_name was a integer and is now a string",
        ),
        (
            lambda declared, _: declared.update(queue_name=["string", True]),
            "queues.queue_name may now be null",
        ),
        (
            lambda declared, _: declared.update(gone=["string", False]),
            "queues.gone is no longer declared",
        ),
    ],
    ids=["retyped", "narrowed", "dropped"],
)
def test_a_change_the_rows_cannot_follow_is_refused(
    loaded_duckdb, world, change, sentence
):
    made_before(loaded_duckdb, "queues", change)
    before = loaded_duckdb.rows()
    with pytest.raises(PermanentError, match=sentence + ".*; rename or drop queues"):
        loaded_duckdb.load(world)
    assert loaded_duckdb.rows() == before


def test_the_duckdb_file_is_its_owners_alone(duckdb_file, world, tmp_path):
    warehouse.load(
        world.lake, duckdb_file.url, run_id="run-1", clock=_Looking(tmp_path)
    )
    path = tmp_path / "home" / "warehouse.duckdb"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


class _Looking:
    """A clock that looks at the file while the load is under way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def now(self):
        from nights import CLOCK

        path = self.folder / "home" / "warehouse.duckdb"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return CLOCK.now()


def test_a_schema_of_its_own_can_be_named(loaded_postgresql, world):
    loaded_postgresql.execute('CREATE SCHEMA "Contact Centre"')
    named = {"schema": "Contact Centre"}
    assert loaded_postgresql.load(world, **named).data.inserted > 150
    assert loaded_postgresql.load(world, **named).data.changed == 0
    report = warehouse.verify(world.lake, loaded_postgresql.url, True, **named)
    assert report.equal
    (rows,) = loaded_postgresql.execute(
        'SELECT count(*) FROM "Contact Centre".engagements_with_customer'
    )
    assert rows == (12,)
