"""The code location: loads as the server loads it, reads nothing, shows every table."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from made_days import walked

from journeyport import tables
from journeyport.schema import Layout
from journeyport.state import State, windows
from pipelines import catalogue, conformed, crm_jobs, nightly
from pipelines.definitions import defs

ROOT = Path(__file__).parents[2]

WATCH = """
import json, sys
import dagster
seen = []
home = tuple({sys.prefix, sys.base_prefix, *sys.argv[1].split(":")})
code = (".py", ".pyc", ".so")

def hook(event, args):
    if event == "open":
        path = str(args[0])
        if not (path.startswith(home) and path.endswith(code)):
            seen.append([event, path])
    elif event.startswith(("socket.", "sqlite3.", "subprocess.", "os.mkdir",
                           "os.rename", "os.remove", "shutil.", "tempfile.")):
        seen.append([event, repr(args)])

sys.addaudithook(hook)
import pipelines.definitions
print(json.dumps(seen))
"""


def test_importing_the_definitions_with_an_empty_environment_does_no_io(tmp_path):
    places = os.pathsep.join([str(ROOT / "src"), str(ROOT / "pipelines")])
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", WATCH, places],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert list(tmp_path.iterdir()) == []


def test_the_code_location_loads_as_the_server_loads_it_from_any_folder(tmp_path):
    command = Path(sys.executable).with_name("dagster")
    shipped = ROOT / "pipelines" / "workspace.yaml"
    done = subprocess.run(
        [command, "definitions", "validate", "--workspace", shipped],
        env={"PATH": os.environ["PATH"], "DAGSTER_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Validation successful for code location journeyport" in done.stdout


def specs():
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


@pytest.mark.parametrize(
    "table",
    [one for one in tables.TABLES if one.name != "customer_crm_ids"],
    ids=lambda table: table.name,
)
def test_every_table_is_an_asset_with_its_columns_and_personal_ones_tagged(table):
    spec = specs()[table.name]
    schema = spec.metadata["dagster/column_schema"]
    assert [column.name for column in schema.columns] == list(table.names)
    for column, declared in zip(schema.columns, table.columns, strict=True):
        assert ("pii" in column.tags) is declared.personal
        assert column.constraints.nullable is not declared.required
    by_day = table.layout in {Layout.RAW, Layout.DAILY}
    assert (spec.partitions_def is catalogue.DAYS) is by_day


def test_definitions_hold_no_logic():
    lines = (ROOT / "pipelines" / "definitions.py").read_text().splitlines()
    assert len(lines) < 120
    assert not [line for line in lines if line.startswith(("def ", "class ", "@"))]


def test_no_module_postpones_its_annotations():
    for module in (ROOT / "pipelines").glob("*.py"):
        assert "from __future__ import annotations" not in module.read_text()


def test_nothing_can_be_pointed_elsewhere_in_the_launchpad():
    schema = defs.resolve_job_def("nightly").run_config_schema.config_type.fields
    steps = schema["ops"].config_type.fields
    offered = {
        name: getattr(field.config_type.fields["config"].config_type, "fields", {})
        for name, field in steps.items()
    }
    assert set(offered) >= {"warehouse", "crm_plan", "raw_engagements"}
    assert not any(offered.values())
    site = schema["resources"].config_type.fields["site"].config_type.fields
    assert not getattr(site["config"].config_type, "fields", {})


def test_the_guards_stop_what_comes_after_them_and_no_other_check_does():
    for checks in defs.asset_checks:
        for spec in checks.check_specs:
            assert spec.blocking is (checks is conformed.checks)
            assert spec.description


def test_every_asset_has_an_owner_a_group_a_kind_and_a_description():
    for name, spec in specs().items():
        assert spec.owners, name
        assert spec.group_name != "default", name
        assert spec.kinds, name
        assert spec.description, name


def test_what_analysts_open_in_the_morning_has_a_deadline():
    deadlined = {name for name, spec in specs().items() if spec.freshness_policy}
    assert deadlined == {"engagements", "customers", "warehouse"}


def test_every_column_of_a_daily_table_leads_back_to_what_landed():
    for table in tables.DAILY:
        shown = catalogue.lineage(table, [tables.RAW_ENGAGEMENTS])
        deps = shown["dagster/column_lineage"].value.deps_by_column
        sourced = {column.name for column in table.columns if column.source}
        assert sourced <= set(deps), table.name
        raw = set(tables.RAW_ENGAGEMENTS.names)
        assert {dep.column_name for one in deps.values() for dep in one} <= raw


def test_the_crm_s_jobs_say_first_whether_they_write_and_where():
    first = {job.name: job.description.split(". ")[0] for job in crm_jobs.jobs("acme")}
    assert first == {
        "crm_1_check": "Writes nothing",
        "crm_2_plan": "Writes nothing",
        "crm_3_apply": "WRITES TO acme",
        "crm_4_undo": "WRITES TO acme",
        "crm_5_verify": "Writes nothing",
    }


def test_a_job_asks_for_what_to_do_and_why_and_for_nothing_else():
    asked = {}
    for name in (*(job.name for job in crm_jobs.JOBS), "release_day"):
        fields = defs.resolve_job_def(name).run_config_schema.config_type.fields
        (step,) = fields["ops"].config_type.fields.values()
        config = step.config_type.fields.get("config")
        asked[name] = set(getattr(config.config_type, "fields", ()) if config else ())
        given = fields["resources"].config_type.fields
        for resource in given.values():
            inner = resource.config_type.fields["config"].config_type
            assert not getattr(inner, "fields", {})
    assert asked == {
        "crm_1_check": set(),
        "crm_2_plan": {"days", "reason"},
        "crm_3_apply": {"plan_id", "reason", "confirm"},
        "crm_4_undo": {"plan_id", "reason"},
        "crm_5_verify": set(),
        "release_day": {"account", "day", "reason", "who"},
    }


def test_the_schedule_ships_stopped():
    assert nightly.nightly_schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def tick(monkeypatch, home, **values):
    ours = {"HOME": str(home), "ENV_FILE": "-", "ACCOUNTS": "ABCDEF"} | values
    for name, value in ours.items():
        monkeypatch.setenv(f"JOURNEYPORT_{name}", value)
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2026, 3, 20, 2, 30, tzinfo=UTC)
    )
    return nightly.nightly_schedule.evaluate_tick(context)


def test_a_tick_asks_for_one_run_from_the_frontier_to_the_open_day(
    monkeypatch, tmp_path
):
    state = State(f"sqlite:///{tmp_path / 'state.db'}")
    for number in range(1, 20):
        status = windows.HELD if number == 9 else windows.PROVED
        windows.finish_day(state, walked(date(2026, 3, number), status))
    state.close()
    result = tick(monkeypatch, tmp_path, CLOCK="2026-03-20T02:30:00Z")
    (request,) = result.run_requests
    assert request.partition_key is None
    assert request.tags[catalogue.RANGE_START] == "2026-03-09"
    assert request.tags[catalogue.RANGE_END] == "2026-03-20"


def test_a_first_tick_begins_with_the_look_back(monkeypatch, tmp_path):
    result = tick(
        monkeypatch, tmp_path, CLOCK="2026-03-20T02:30:00Z", LOOKBACK_DAYS="2"
    )
    (request,) = result.run_requests
    assert request.tags[catalogue.RANGE_START] == "2026-03-17"


def test_a_tick_without_settings_fails_with_the_setting_s_name(monkeypatch, tmp_path):
    with pytest.raises(dg.DagsterUserCodeExecutionError) as caught:
        tick(monkeypatch, tmp_path, ACCOUNTS="")
    assert "JOURNEYPORT_ACCOUNTS is missing" in str(caught.value.__cause__)


def test_a_run_without_days_says_how_to_choose_them():
    with pytest.raises(dg.Failure, match="No days were chosen"):
        catalogue.chosen_days(dg.DagsterRun(job_name="x", run_id="1"))
