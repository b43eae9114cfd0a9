"""Dagster's instance: its folder, its storage on both databases, and its clean-up."""

import os
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import yaml

from dagster_here import instance_in
from journeyport import environment, instance, up
from journeyport.errors import ArgumentError, SettingsError
from pipelines import attribution, upkeep
from pipelines.definitions import defs
from pipelines.storage import OpenEventLog

URL = "JOURNEYPORT_DAGSTER_URL"


def test_every_line_of_the_shipped_file_stands_beside_its_reason():
    lines = instance.shipped("dagster.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        _name, _, value = line.partition(":")
        if value.strip() and not line.lstrip().startswith("#"):
            above = [one.lstrip() for one in lines[max(0, number - 2) : number]]
            beside = "#" in line or any(one.startswith("#") for one in above)
            assert beside, line


def test_a_file_that_nobody_changed_follows_an_upgrade(tmp_path, monkeypatch):
    folder = instance.prepared(tmp_path, None)
    file = folder / "dagster.yaml"
    assert file.read_text().endswith(instance.shipped("dagster.yaml").read_text())
    newer = tmp_path / "newer.yaml"
    newer.write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setattr(instance, "shipped", lambda name: newer)
    instance.prepared(tmp_path, None)
    assert yaml.safe_load(file.read_text()) == {"telemetry": {"enabled": False}}


def test_a_file_that_somebody_changed_is_left_as_it_is(tmp_path, monkeypatch):
    file = instance.prepared(tmp_path, None) / "dagster.yaml"
    mine = file.read_text() + "# mine\n"
    file.write_text(mine)
    monkeypatch.setattr(instance, "shipped", lambda name: tmp_path / "nowhere")
    instance.prepared(tmp_path, None)
    assert file.read_text() == mine


def test_a_changed_file_of_another_release_is_told(tmp_path, monkeypatch):
    folder = instance.prepared(tmp_path, None)
    file = folder / "dagster.yaml"
    assert instance.behind(folder) is None
    file.write_text(file.read_text() + "# mine\n")
    assert instance.behind(folder) is None
    newer = tmp_path / "newer.yaml"
    newer.write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setattr(instance, "shipped", lambda name: newer)
    assert "began as another release's" in instance.behind(folder)
    file.unlink()
    instance.prepared(tmp_path, None)
    file.write_text(file.read_text() + "# mine\n")
    assert instance.behind(folder) is None


def test_a_changed_file_without_the_named_database_is_one_sentence(tmp_path):
    file = instance.prepared(tmp_path, None) / "dagster.yaml"
    file.write_text("telemetry:\n  enabled: false\n")
    with pytest.raises(SettingsError, match="was changed by somebody and has no `stor"):
        instance.prepared(tmp_path, None, "postgresql+psycopg2://u@127.0.0.1/x")


def test_a_database_whose_driver_is_left_open_is_refused():
    environ = {URL: "postgresql://u@127.0.0.1/x", "JOURNEYPORT_ENV_FILE": "-"}
    with pytest.raises(SettingsError, match=r"must begin with postgresql\+psycopg2"):
        environment.read(environ)


def test_a_part_that_there_is_not_is_one_sentence():
    with pytest.raises(ArgumentError, match="--only takes webserver, daemon, viewer"):
        up.own(3000, "scheduler")


@pytest.fixture(scope="module")
def database(make_database):
    """A PostgreSQL database; its URL as Dagster must be given it."""
    with make_database() as made:
        url = made.set(drivername="postgresql+psycopg2")
        yield url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request, tmp_path, monkeypatch):
    """Dagster's instance as it is shipped, on either database."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("database")
        monkeypatch.setenv(URL, url)
    folder = instance.prepared(tmp_path, None, url)
    with instance_in(folder) as kept:
        yield kept


DAYS = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-03")


@dg.asset(partitions_def=DAYS)
def daily():
    pass


@dg.asset
def whole():
    pass


def made(kept, asset, day=None):
    done = dg.materialize([asset], instance=kept, partition_key=day)
    return done.run_id


def test_the_instance_queues_runs_and_notes_who_started_them(kept):
    assert isinstance(kept.run_coordinator, attribution.AttributingRunCoordinator)
    config = kept.get_concurrency_config()
    assert config.run_queue_config.max_concurrent_runs == 2
    assert config.pool_config.default_pool_limit == 1
    assert config.pool_config.pool_granularity.value == "run"
    assert kept.run_retries_enabled
    assert kept.run_retries_max_retries == 1
    assert not kept.run_retries_retry_on_asset_or_op_failure
    assert kept.run_monitoring_enabled
    assert not kept.telemetry_enabled
    in_files = isinstance(kept.event_log_storage, OpenEventLog)
    assert in_files is (URL not in os.environ)


def test_the_clean_up_forgets_what_is_old_and_keeps_what_is_shown(kept):
    first, again = made(kept, daily, "2026-03-01"), made(kept, daily, "2026-03-01")
    second = made(kept, daily, "2026-03-02")
    before, after = made(kept, whole), made(kept, whole)
    in_future = datetime.now(UTC) + timedelta(minutes=1)
    assert upkeep.forget(kept, datetime.now(UTC) - timedelta(days=90)) == (0, 0)
    assert upkeep.forget(kept, in_future) == (2, 3)
    assert {run.run_id for run in kept.get_runs()} == {again, second, after}
    for gone in (first, before):
        assert kept.all_logs(gone) == []
    shown = kept.get_materialized_partitions(daily.key)
    assert shown == {"2026-03-01", "2026-03-02"}
    assert kept.get_latest_materialization_event(whole.key).run_id == after
    assert upkeep.forget(kept, in_future) == (0, 3)


def test_dagster_s_own_storage_open_at_once_sees_the_same_events(tmp_path):
    folder = instance.prepared(tmp_path, None)
    with instance_in(folder) as ours:
        assert isinstance(ours.event_log_storage, OpenEventLog)
        first = made(ours, daily, "2026-03-01")
        (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        with instance_in(folder) as dagsters:
            assert not isinstance(dagsters.event_log_storage, OpenEventLog)
            second = made(dagsters, daily, "2026-03-02")
            third = made(ours, whole)
            for kept in (ours, dagsters):
                assert {run.run_id for run in kept.get_runs()} == {first, second, third}
                shown = kept.get_materialized_partitions(daily.key)
                assert shown == {"2026-03-01", "2026-03-02"}
                latest = kept.get_latest_materialization_event(whole.key)
                assert latest.run_id == third
                assert kept.all_logs(second)


def test_the_job_is_there_and_its_schedule_ships_stopped():
    assert defs.resolve_job_def("upkeep").description.startswith("Writes nothing")
    (schedule,) = [one for one in defs.schedules if one.name == "upkeep"]
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
