"""`journeyport backfill`: chosen days and tables, from the lake alone."""

import json
import os
import sys
from contextlib import closing

import pytest
from nights import CLOCK, FIRST, assert_equal

from certified import prove
from journeyport import cli
from journeyport.state import State

DAYS = ("--from", "2026-03-01", "--to", "2026-03-02")
SOME = ["engagements", "engagement_identifiers", "participants"]


@pytest.fixture
def home(world, duckdb_file, tmp_path, monkeypatch):
    """An installation whose lake is the world's, and whose source there is none."""
    for name in [name for name in os.environ if name.startswith("JOURNEYPORT_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": tmp_path,
        "ACCOUNTS": "AAAAAA,BBBBBB",
        "CLOCK": "2026-03-20T03:00:00Z",
        "WAREHOUSE_URL": duckdb_file.url,
    }.items():
        monkeypatch.setenv(f"JOURNEYPORT_{name}", str(value))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def backfill(home, monkeypatch, capfd):
    """Runs the command; its exit code, its JSON line and what it said."""

    def run(*arguments: str) -> tuple[int, dict, str]:
        monkeypatch.setattr(sys, "argv", ["journeyport", "backfill", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        said = capfd.readouterr()
        return code, json.loads(said.out) if said.out else {}, said.err

    return run


@pytest.fixture
def state(home):
    with closing(State(f"sqlite:///{home}/state.db")) as state:
        yield state


def test_chosen_days_and_tables_alone_are_loaded(backfill, world, duckdb_file, state):
    prove(world.lake, state, CLOCK.now())
    code, line, said = backfill(*DAYS[:3], "2026-03-01", "--tables", ", ".join(SOME))
    assert code == 0, said
    assert sorted(line["tables"]) == sorted(SOME)
    days = duckdb_file.execute("SELECT DISTINCT start_date::DATE FROM engagements")
    assert days == [(FIRST,)]
    there = "SELECT count(*) FROM information_schema.tables WHERE table_name = "
    assert duckdb_file.execute(f"{there} 'customers'") == [(0,)]
    code, line, _ = backfill(*DAYS, "--tables", ",".join(SOME))
    assert code == 0
    world.tables = frozenset(SOME)
    assert_equal(duckdb_file, world)


def test_a_value_altered_by_hand_is_healed_by_rewriting(
    backfill, world, duckdb_file, state
):
    prove(world.lake, state, CLOCK.now())
    wanted = (*DAYS, "--tables", "engagements")
    assert backfill(*wanted)[0] == 0
    duckdb_file.execute("UPDATE engagements SET status = 'altered'")
    # The hashes say that nothing changed.
    assert backfill(*wanted)[1]["data"]["unchanged"] > 0
    altered = "SELECT DISTINCT status FROM engagements"
    assert duckdb_file.execute(altered) == [("altered",)]
    assert backfill(*wanted, "--rewrite")[0] == 0
    world.tables = frozenset({"engagements"})
    assert_equal(duckdb_file, world)


def test_a_day_held_back_stays_as_it_was_and_is_named(
    backfill, world, duckdb_file, state
):
    prove(world.lake, state, CLOCK.now(), ("AAAAAA", FIRST))
    code, line, said = backfill(*DAYS, "--tables", "engagements")
    assert code == 1
    assert "2026-03-01 of account AAAAAA" in said
    assert line["days"] == 3
    accounts = "SELECT DISTINCT account_id FROM engagements WHERE start_date < "
    assert duckdb_file.execute(f"{accounts} '{DAYS[3]}'") == [("BBBBBB",)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([*DAYS, "--tables", "engagement"], "There is no table engagement to load"),
        ([*DAYS, "--tables", "raw_engagements"], "There is no table raw_engagements"),
        ([*DAYS, "--tables", ""], "names no table"),
        (["--from", "2026-03-10", "--to", "2026-03-11"], "The lake holds no day from"),
        (["--from", "2026-03-02", "--to", "2026-03-01"], "swap them"),
    ],
)
def test_a_wrong_choice_is_one_sentence(backfill, home, arguments, sentence):
    code, _, said = backfill(*arguments)
    assert code == 2
    assert sentence in said
    assert said.count("\n") == 1
    assert not (home / "home").exists()
