"""The state's own schema: opened by a later release, it follows; by an earlier, not."""

import pytest
import sqlalchemy as sa

from journeyport.errors import PermanentError
from journeyport.state import State
from journeyport.state.store import SCHEMA_VERSION

FIRST = (
    "ALTER TABLE crm_suppressions DROP COLUMN identity_version",
    "ALTER TABLE crm_ledger ADD COLUMN is_ours BOOLEAN",
    "ALTER TABLE crm_writes DROP COLUMN kept",
    "DROP TABLE alerts",
    "UPDATE schema_version SET version = 1",
    "INSERT INTO crm_suppressions VALUES ('ABCDEF:c1', 'dpo', 'objected', 0)",
)
"""From the present schema back to the first one; a table came later, too."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    database = request.getfixturevalue("database")
    return database.render_as_string(hide_password=False)


def run(state, *statements):
    with state.write() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def shape(state):
    found = sa.inspect(state.engine)
    return {
        name: {column["name"] for column in found.get_columns(name)}
        for name in found.get_table_names()
    }


def test_a_state_of_the_first_release_follows_and_keeps_its_rows(url, tmp_path):
    first = State(url)
    wanted = shape(first)
    run(first, *FIRST)
    # Opened while the other is: what it wrote last may be in SQLite's log alone.
    later = State(url)
    assert shape(later) == wanted
    with later.read() as connection:
        rows = connection.execute(sa.text("SELECT * FROM crm_suppressions")).all()
        version = connection.scalar(sa.text("SELECT version FROM schema_version"))
    assert rows == [("ABCDEF:c1", "dpo", "objected", 0, None)]
    assert version == SCHEMA_VERSION
    later.close()
    first.close()
    if later.path is not None:
        copy = tmp_path / "state.db.version-1"
        assert copy.stat().st_mode & 0o777 == 0o600
        with sa.create_engine(f"sqlite:///{copy}").connect() as connection:
            assert connection.scalar(sa.text("SELECT subject FROM crm_suppressions"))
    State(url).close()


def test_a_state_that_a_newer_release_wrote_is_left_alone(url):
    state = State(url)
    run(state, "UPDATE schema_version SET version = 99")
    state.close()
    with pytest.raises(PermanentError, match="schema version 99"):
        State(url)
