"""Errors of the database, as sentences; and what is tried again."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from nights import CLOCK, FIRST, assert_equal

from journeyport import warehouse
from journeyport.errors import (
    AccessError,
    LeaseError,
    PermanentError,
    SettingsError,
    TransientError,
)
from journeyport.state import State
from journeyport.state.leases import held
from journeyport.warehouse import duckdb_file as duckdb_entry
from journeyport.warehouse.loading import lease_name


def load(world, url, **named):
    return warehouse.load(world.lake, str(url), run_id="run-2", clock=CLOCK, **named)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("no url at all", "no URL of a warehouse on offer"),
        ("mysql://host/db", "no URL of a warehouse on offer"),
        ("duckdb:///:memory:", "names no DuckDB file"),
        ("duckdb:///md:elsewhere", "names no DuckDB file"),
    ],
)
def test_a_url_that_is_not_on_offer_is_refused(world, url, sentence):
    with pytest.raises(SettingsError, match=sentence):
        load(world, url)


def shown(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


@pytest.fixture
def asking(server, database):
    """A role whose password the server asks for."""

    engine = sa.create_engine(database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        (hba,) = connection.execute(sa.text("SHOW hba_file")).one()
        for statement in (
            "DROP ROLE IF EXISTS guarded",
            "CREATE ROLE guarded LOGIN PASSWORD 'right'",
        ):
            connection.execute(sa.text(statement))
        before = Path(hba).read_text()
        Path(hba).write_text("local all guarded scram-sha-256\n" + before)
        connection.execute(sa.text("SELECT pg_reload_conf()"))
        yield database.set(username="guarded", password="wrong")
        Path(hba).write_text(before)
        connection.execute(sa.text("SELECT pg_reload_conf()"))
    engine.dispose()


def test_a_wrong_password_is_one_sentence_without_it(asking, world):
    with pytest.raises(AccessError, match="refuses the user or the password") as caught:
        load(world, shown(asking))
    assert "wrong" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(AccessError, match="holds none"):
        load(world, shown(asking).replace(":wrong@", "@"))
    # The right one signs in, and then lacks the right to make tables.
    with pytest.raises(AccessError, match="lacks a right"):
        load(world, shown(asking.set(password="right")))


def test_a_database_that_is_not_there_is_one_sentence(server, world):
    with pytest.raises(SettingsError, match="does not exist"):
        load(world, shown(server.set(database="nowhere")))


def test_a_server_that_is_not_there_is_tried_again_and_told(server, tmp_path, world):
    nowhere = server.update_query_dict({"host": str(tmp_path)})
    with pytest.raises(TransientError, match="could not be made or was cut"):
        load(world, shown(nowhere), attempts=2)


def trigger(target, error: str, times: int) -> None:
    """Make the server raise an error of its own, the first times it is asked."""
    function = f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') <= {times} THEN
                RAISE EXCEPTION 'secret value' USING ERRCODE = '{error}';
            END IF;
            RETURN NULL;
        END $$
        """
    made = """
        CREATE TRIGGER refuse AFTER UPDATE ON journeys
        FOR EACH STATEMENT EXECUTE FUNCTION refuse()
        """
    for statement in ("CREATE SEQUENCE tries", function, made):
        target.execute(statement)


FEW = ["engagements", "engagement_identifiers", "journeys"]
"""The last one raises the error, when the others are written already."""


def few_changed(world) -> None:
    """Change a row in each of a few tables."""
    world.tables = frozenset(FEW)
    world.change("AAAAAA", "AAAAAA-0-000")
    world.write(("AAAAAA", FIRST))


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        ("disk_full", PermanentError, "disk of the PostgreSQL warehouse is full"),
        ("insufficient_privilege", AccessError, "lacks a right"),
        ("query_canceled", TransientError, "statement was cancelled"),
        ("check_violation", PermanentError, "refuses a value"),
    ],
)
def test_an_error_half_way_is_a_sentence_and_leaves_nothing(
    loaded_postgresql, world, error, kind, sentence
):
    trigger(loaded_postgresql, error, 1)
    few_changed(world)
    before = loaded_postgresql.rows(FEW)
    with pytest.raises(kind, match=sentence) as caught:
        loaded_postgresql.load(world, tables=FEW)
    assert "secret value" not in str(caught.value)
    assert loaded_postgresql.rows(FEW) == before
    loaded_postgresql.load(world, tables=FEW)
    assert_equal(loaded_postgresql, world)


def test_a_deadlock_is_tried_again_by_itself(loaded_postgresql, world):
    trigger(loaded_postgresql, "deadlock_detected", 2)
    few_changed(world)
    assert loaded_postgresql.load(world, tables=FEW).retries == 2
    assert_equal(loaded_postgresql, world)


def test_a_deadlock_that_never_ends_is_told(loaded_postgresql, world):
    trigger(loaded_postgresql, "deadlock_detected", 99)
    few_changed(world)
    with pytest.raises(TransientError, match="blocked each other"):
        loaded_postgresql.load(world, attempts=2, tables=FEW)


_HOLDING = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_file_that_another_process_holds_is_waited_for(
    loaded_duckdb, world, monkeypatch
):
    path = sa.engine.make_url(loaded_duckdb.url).database
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDING, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "held\n"
        monkeypatch.setattr(duckdb_entry, "PATIENCE", 0.1)
        with pytest.raises(LeaseError, match="Another process holds"):
            loaded_duckdb.load(world)
        monkeypatch.setattr(duckdb_entry, "PATIENCE", 60)
        letting_go = threading.Timer(0.5, process.stdin.close)
        letting_go.start()
        assert loaded_duckdb.load(world).data.changed == 0
        letting_go.join()
    finally:
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()


def test_a_file_that_is_no_database_is_named(tmp_path, world):
    path = tmp_path / "notes.duckdb"
    path.write_text("not a database, but somebody's notes " * 200)
    with pytest.raises(SettingsError, match="is no DuckDB database"):
        load(world, f"duckdb:///{path}")
    assert path.read_text().startswith("not a database")


_FULL = """
import resource, signal, sys
sys.path.insert(0, sys.argv[1])
from nights import CLOCK
from journeyport import warehouse
from journeyport.errors import PermanentError
from journeyport.lake import Lake
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    warehouse.load(Lake(sys.argv[2]), sys.argv[3], run_id="run-1", clock=CLOCK)
except PermanentError as error:
    print(error)
"""


def test_a_full_disk_under_the_file_is_a_sentence(duckdb_file, world):
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", _FULL, here, world.lake.url, duckdb_file.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("The disk under the warehouse file is full"), done
    duckdb_file.load(world)
    assert warehouse.verify(world.lake, duckdb_file.url, deep=True).equal


def test_a_second_run_is_refused_while_the_first_holds_the_lease(
    loaded_duckdb, world, tmp_path
):
    state = State(f"sqlite:///{tmp_path}/state.db")
    name = lease_name(loaded_duckdb.url)
    with (
        held(state, [name], run_id="other", clock=CLOCK),
        pytest.raises(LeaseError, match="Run other holds warehouse/"),
    ):
        loaded_duckdb.load(world, state=state, run_id="run-2")
    assert loaded_duckdb.load(world, state=state, run_id="run-2").data.changed == 0
    state.close()


def test_a_lease_names_the_target_without_its_password():
    with_it = lease_name("postgresql://user:secret@host/db")
    assert with_it == lease_name("postgresql://user:other@host/db")
    assert with_it != lease_name("postgresql://user:secret@host/db2")


def test_two_loads_at_once_end_as_one_would(loaded, world):
    for name in ("AAAAAA-0-000", "AAAAAA-0-001"):
        world.change("AAAAAA", name)
    world.write(("AAAAAA", FIRST))
    reports = []
    threads = [
        threading.Thread(target=lambda: reports.append(loaded.load(world)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.tables["engagements"].updated for r in reports) == [0, 2]
    assert_equal(loaded, world)


def test_sentences_hold_no_word_of_the_driver(loaded_postgresql, world):
    """A value of a row stands in PostgreSQL's own message; it must not in ours."""
    loaded_postgresql.execute(
        "ALTER TABLE journeys ADD CONSTRAINT narrow CHECK (episode_count IS NULL) "
        "NOT VALID"
    )
    world.change("AAAAAA", "AAAAAA-0-000")
    world.write(("AAAAAA", FIRST))
    with pytest.raises(PermanentError) as caught:
        loaded_postgresql.load(world)
    assert "AAAAAA" not in str(caught.value)
    assert caught.value.__suppress_context__
