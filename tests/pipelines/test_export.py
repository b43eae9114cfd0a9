"""Export from the command line, against a real source, through the real assets.

Starting the command and the orchestrator costs more than a small export: the first
export, the one that fails and the night do it; the others run in this process.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date

import dagster as dg
import pytest
from made_place import Done, Place

from dagster_here import instance_in
from journeyport import environment, rehearsal
from journeyport.checklist import CERTIFIED, COUNTS_MATCH
from journeyport.lake import Lake
from journeyport.tables import DAILY, SNAPSHOTS
from pipelines import conformed, delivery, landing, nightly
from pipelines.resources import RESOURCES, Site

PLAN = rehearsal.Plan(days=3, engagements=240)
FIRST, SECOND, THIRD = (date(2026, 3, day) for day in (13, 14, 15))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("export")
    with rehearsal.servers(folder / "stage", PLAN) as (stage, _children):
        home = folder / "home"
        home.mkdir()
        environ = {
            name: value
            for name, value in stage.environ.items()
            if "SALESFORCE" not in name
        }
        ours = {"JOURNEYPORT_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
        yield Place(home, environ | ours)


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A copy of the place as the export left it; other tests go on from there."""
    return tmp_path_factory.mktemp("before") / "home"


@pytest.fixture(scope="module")
def exported(place, before) -> Done:
    done = place.run("export", "--from", str(FIRST), "--to", str(SECOND))
    shutil.copytree(place.home, before)
    return done


def test_an_export_that_delivers_everything_ends_with_0_and_one_json_line(exported):
    assert exported.code == 0, exported.told
    assert exported.report["status"] == "ok"
    assert exported.report["landing"]["account_days"] == {"PROVED": 4}
    assert exported.report["failures"] == []


def test_it_walks_exactly_the_days_given(place, exported):
    for account in rehearsal.ACCOUNTS:
        assert place.lake.days(account) == [FIRST, SECOND]
        assert place.lake.raw_days(account) == [FIRST, SECOND]


def test_a_crm_that_is_not_set_up_is_skipped_and_said_so(exported):
    assert exported.report["crm"]["skipped"].startswith("No CRM is set up")


def test_the_warehouse_holds_what_the_lake_holds(place, exported):
    for table in DAILY:
        ((rows,),) = place.warehouse(f"SELECT count(*) FROM {table.name}")
        assert rows == len(place.lake.read(table.name)), table.name


def test_every_day_has_its_own_row_count_in_dagster(place, exported):
    with instance_in(place.home / "dagster") as instance:
        for table in DAILY:
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(table.name)), limit=10
            ).records
            shown = {
                one.asset_materialization.partition: one.asset_materialization.metadata[
                    "dagster/row_count"
                ].value
                for one in records
            }
            expected = {
                str(day): sum(
                    len(place.lake.read_day(table.name, account, day))
                    for account in rehearsal.ACCOUNTS
                )
                for day in (FIRST, SECOND)
            }
            assert shown == expected


def test_a_failing_account_stops_no_other_and_the_export_ends_with_1(place, exported):
    done = place.run(
        "export",
        *("--from", str(THIRD), "--to", str(THIRD)),
        CLIENT_SECRET_GHIJKL="wrong",
    )
    assert done.code == 1
    (failure,) = done.report["failures"]
    assert failure["account"] == "GHIJKL"
    assert "Account GHIJKL does not sign in" in failure["reason"]
    assert failure["reason"] in done.told
    accounts = place.warehouse(
        f"SELECT DISTINCT account_id FROM engagements WHERE start_date >= '{THIRD}'"
    )
    assert accounts == [("ABCDEF",)]


def test_a_failing_account_ends_an_export_to_the_lake_alone_with_1_too(place, exported):
    done = place.here(
        "export",
        *("--from", str(FIRST), "--to", str(FIRST), "--only", "lake"),
        CLIENT_SECRET_GHIJKL="wrong",
    )
    assert done.code == 1
    assert done.report["status"] == "failed"
    (failure,) = done.report["failures"]
    assert "Account GHIJKL does not sign in" in failure["reason"]


def test_an_export_from_raw_asks_the_source_nothing(place, exported):
    done = place.here(
        "export",
        *("--from", str(FIRST), "--to", str(SECOND), "--from-raw", "--only", "lake"),
        SOURCE_URL="http://127.0.0.1:9",
    )
    assert done.code == 0, done.told
    assert "landing" not in done.report
    assert done.report["tables"]["changed"] == 0
    assert "warehouse" not in done.report


def test_from_raw_and_the_state_alone_the_lake_is_there_again(
    place, exported, before, tmp_path
):
    home = tmp_path / "home"
    raw = "lake/raw_engagements"
    shutil.copytree(before / raw, home / raw)
    with (
        closing(sqlite3.connect(before / "state.db")) as kept,
        closing(sqlite3.connect(home / "state.db")) as copy,
    ):
        kept.backup(copy)
    restored = Place(home, place.environ | {"JOURNEYPORT_HOME": str(home)})
    # Half the days alone would retire the customers of the others: all are made.
    done = restored.here(
        "export",
        *("--from", str(FIRST), "--to", str(FIRST), "--from-raw", "--only", "lake"),
        SOURCE_URL="http://127.0.0.1:9",
    )
    assert done.code == 0, done.told
    # When a row of identity changed last is the rebuild's own.
    own = {"_run_id", "_extracted_at", "_row_hash", "identity_version"}
    for table in (*DAILY, *SNAPSHOTS):
        names = [name for name in table.names if name not in own]
        rows = [
            sorted(map(repr, read(each.lake, table).select(names).to_pylist()))
            for each in (Place(before, place.environ), restored)
        ]
        assert rows[0] == rows[1], table.name


def read(lake, table):
    """All rows of a table of the lake."""
    return (lake.read if table in DAILY else lake.read_snapshot)(table.name)


def test_a_dry_run_writes_nothing(place, exported):
    before = {path: path.stat().st_mtime_ns for path in place.home.rglob("*.parquet")}
    done = place.run("export", "--from", str(FIRST), "--to", str(THIRD), "--dry-run")
    assert done.code == 0, done.told
    assert sum(done.report["engagements"].values()) == PLAN.engagements
    assert done.report["targets"] == ["lake", "warehouse"]
    after = {path: path.stat().st_mtime_ns for path in place.home.rglob("*.parquet")}
    assert after == before


def test_a_certificate_can_be_shown_and_checked(place, exported):
    asked = ("--account", "ABCDEF", "--day", str(FIRST))
    done = place.run("certificate", *asked)
    assert done.code == 0
    assert "PROVED" in done.out
    assert "Verified" in done.out


def test_a_night_catches_up_what_failed_before_and_ends_with_0(place, exported):
    done = place.run("nightly")
    assert done.code == 0, done.told
    assert done.report["status"] == "ok"
    assert done.report["landing"]["account_days"] == {"PROVED": 6, "PARTIAL": 2}
    ((rows,),) = place.warehouse("SELECT count(*) FROM engagements")
    assert rows == PLAN.engagements


@pytest.fixture
def spoilt(place, exported, tmp_path):
    """A copy of the home whose first day lost participants, in some accounts."""

    def spoil(*accounts: str) -> Place:
        home = tmp_path / "home"
        shutil.copytree(place.home, home)
        lake = Lake(home / "lake")
        for account in accounts:
            tables = {
                table.name: lake.read_day(table.name, account, FIRST) for table in DAILY
            }
            tables["participants"] = tables["participants"].slice(3)
            facts = lake.manifest(account, FIRST).facts
            lake.write_day(account, FIRST, tables, run_id="spoilt", facts=facts)
        return Place(home, place.environ | {"JOURNEYPORT_HOME": str(home)})

    return spoil


def guarded(place: Place) -> dg.ExecuteInProcessResult:
    """The checks and the warehouse alone, for the first day."""
    site = Site(lambda: environment.read(place.environ))
    selection = dg.AssetSelection.assets("warehouse") | (
        dg.AssetSelection.checks_for_assets(*[table.name for table in DAILY])
    )
    defs = dg.Definitions(
        assets=[conformed.daily_tables, delivery.warehouse],
        asset_checks=[conformed.checks],
        jobs=[dg.define_asset_job("guarded", selection)],
        resources={"site": site},
    )
    try:
        return defs.resolve_job_def("guarded").execute_in_process(
            partition_key=str(FIRST), raise_on_error=False
        )
    finally:
        site.close()


def warned(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], str]:
    """The checks that failed, with their severity."""
    return {
        (one.asset_key.to_user_string(), one.check_name): one.severity.value
        for one in result.get_asset_check_evaluations()
        if not one.passed
    }


def test_a_check_that_holds_everything_back_blocks_delivery(spoilt):
    place = spoilt(*rehearsal.ACCOUNTS)
    result = guarded(place)
    assert not result.success
    assert warned(result) == {
        ("participants", COUNTS_MATCH): "ERROR",
        ("engagements", CERTIFIED): "ERROR",
    }
    assert not [
        event
        for event in result.all_events
        if event.is_step_success and event.step_key == "warehouse"
    ]


def test_a_check_that_holds_one_account_back_lets_the_others_pass(spoilt):
    place = spoilt("GHIJKL")
    before = place.warehouse("SELECT account_id, count(*) FROM participants GROUP BY 1")
    result = guarded(place)
    assert not result.success  # though the other account was served, see below
    assert warned(result) == {
        ("participants", COUNTS_MATCH): "WARN",
        ("engagements", CERTIFIED): "WARN",
    }
    (loaded,) = result.asset_materializations_for_node("warehouse")
    assert loaded.metadata["account-days"].value == 1
    after = place.warehouse("SELECT account_id, count(*) FROM participants GROUP BY 1")
    assert sorted(after) == sorted(before)


DATA = {"rejected_records", "customer_id_history"}
"""Tables of the state that hold documents or values of customers on purpose."""

DATA_FILES = (".parquet", ".duckdb", "identity-index.db")
"""Files that are the data."""


def texts_of(home):
    """All that is written beside the data: logs, events, certificates, the state."""
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        data = name.endswith(DATA_FILES) or name.startswith("state.db")
        if path.is_file() and not data:
            yield name, path.read_bytes()
    with sqlite3.connect(home / "state.db") as state:
        tables = state.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            rows = state.execute(f'SELECT * FROM "{table}"').fetchall()
            if table not in DATA:
                yield f"state.db/{table}", repr(rows).encode()


def test_no_secret_and_no_value_is_in_anything_but_the_data(place, exported):
    # After the runs above: some that went well, some with a wrong secret.
    secrets = {
        value.encode()
        for name, value in place.environ.items()
        if name.startswith("JOURNEYPORT_")
        and any(word in name for word in ("SECRET", "APP_KEY", "PASSWORD"))
    }
    columns = ["raw_value", "value"]
    found = place.lake.read("engagement_identifiers", columns=columns)
    values = {
        value.encode()
        for column in columns
        for value in found.column(column).to_pylist()
        if value is not None and len(value) > 8
    }
    assert len(secrets) >= 3
    assert len(values) > 100
    texts = dict(texts_of(place.home))
    texts |= {f"output {n}": text.encode() for n, text in enumerate(place.said)}
    names = " ".join(texts)
    for part in ("dagster/", "logs/", "certificates/", "state.db/account_days"):
        assert part in names
    token = re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}")
    held = {
        name
        for name, text in texts.items()
        if token.search(text) or any(value in text for value in secrets | values)
    }
    assert not held


def test_a_backfill_of_the_lake_ends_red_by_a_failing_account_too(place, exported):
    wrong = {"JOURNEYPORT_CLIENT_SECRET_GHIJKL": "wrong"}
    site = Site(lambda: environment.read(place.environ | wrong))
    defs = dg.Definitions(
        assets=[landing.raw_engagements, conformed.daily_tables],
        asset_checks=[conformed.checks],
        jobs=[nightly.lake],
        resources=RESOURCES | {"site": site},
    )
    try:
        result = defs.resolve_job_def("lake").execute_in_process(
            partition_key=str(FIRST), raise_on_error=False
        )
    finally:
        site.close()
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "guards"
    error = failed.step_failure_data.error
    assert "Account GHIJKL does not sign in" in error.message
    assert error.stack == []
