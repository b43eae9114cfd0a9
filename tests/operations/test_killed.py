"""A run whose process was killed is called failed, and what started it goes on."""

import logging
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG, MAX_RETRIES_TAG, WILL_RETRY_TAG
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from dagster_here import instance_in
from journeyport import instance
from pipelines import worker

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="Processes are looked for where there is /proc."
)


@dg.job(executor_def=worker.in_process)
def nothing():
    pass


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Dagster's instance as it is shipped."""
    folder = instance.prepared(tmp_path_factory.mktemp("killed"), None)
    with (
        pytest.MonkeyPatch.context() as patch,
        instance_in(folder) as kept,
    ):
        patch.setenv("DAGSTER_HOME", str(folder))
        yield kept


@pytest.fixture(scope="module")
def mine():
    """What this process notes of itself, in five words."""
    return worker.noted("run")[worker.PROCESS].split()


@pytest.fixture(scope="module")
def dead(mine):
    """What a process noted of itself that was killed."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        noted = [*mine[:3], str(process.pid), worker._began(process.pid)]
        assert not worker.is_gone(tagged(noted))
        process.kill()
    return noted


def tagged(words, **more):
    tags = {worker.PROCESS: " ".join(words)}
    return dg.DagsterRun(job_name="nightly", run_id="run", tags=tags | more)


def test_the_process_of_a_run_is_there_until_it_is_killed(kept, mine, dead):
    for noted, status in ((mine, WorkerStatus.RUNNING), (dead, WorkerStatus.NOT_FOUND)):
        health = kept.run_launcher.check_run_worker_health(tagged(noted))
        assert health.status is status


def test_another_process_with_the_number_of_a_killed_one_is_another(mine, dead):
    assert worker.is_gone(tagged([*mine[:4], dead[4]]))
    assert worker.is_gone(tagged([*mine[:2], "another-boot", *mine[3:]]))


def test_a_run_that_noted_nothing_of_itself_is_left_alone(dead):
    assert not worker.is_gone(dg.DagsterRun(job_name="nightly", run_id="run"))
    # What repeats a run begins with its tags.
    assert not worker.is_gone(tagged(["another-run", *dead[1:]]))


def test_a_command_on_another_machine_is_left_alone_and_a_daemon_s_run_is_gone(mine):
    elsewhere = [mine[0], "another-machine", *mine[2:]]
    assert not worker.is_gone(tagged(elsewhere))
    assert worker.is_gone(tagged(elsewhere, **{GRPC_INFO_TAG: "{}"}))


def test_each_run_notes_its_process(kept, mine):
    with dg.execute_job(dg.reconstructable(nothing), instance=kept) as done:
        noted = kept.get_run_by_id(done.run_id).tags[worker.PROCESS]
    assert noted == " ".join([done.run_id, *mine[1:]])


@pytest.mark.parametrize(
    ("by", "again"), [({}, "true"), ({MAX_RETRIES_TAG: "0"}, "false")]
)
def test_a_killed_run_is_failed_and_the_daemon_repeats_its_own(kept, dead, by, again):
    run = kept.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    noted = " ".join([run.run_id, *dead[1:]])
    kept.add_run_tags(run.run_id, {worker.PROCESS: noted, **by})
    record = kept.get_run_record_by_id(run.run_id)
    monitor_started_run(kept, None, record, logging.getLogger("test"))
    run = kept.get_run_by_id(run.run_id)
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags[WILL_RETRY_TAG] == again
