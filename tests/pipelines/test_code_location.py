"""The code location: loads as the server loads it, reads nothing, shows every table."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from journeyport import tables
from journeyport.schema import Layout
from journeyport.state import State, windows
from journeyport.state.windows import WalkedDay
from pipelines import catalogue, nightly
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


def test_the_checks_stop_what_comes_after_them():
    (checks,) = [
        one for one in defs.asset_checks if isinstance(one, dg.AssetChecksDefinition)
    ]
    for spec in checks.check_specs:
        assert spec.blocking
        assert spec.description


def test_the_schedule_ships_stopped():
    assert nightly.nightly_schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def walked(day, status):
    at = datetime(2026, 3, 20, tzinfo=UTC)
    return WalkedDay(
        account="ABCDEF",
        day=day,
        status=status,
        proof="PROVEN",
        coverage="all engagements",
        began_at=at,
        claim_from=at,
        claim_to=at,
        source_clock=True,
        walked_at=at,
        run_id="r",
        calls=1,
        found=0,
        breaches={},
        dropped={},
    )


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
