"""Whoever types tags in the UI does not become somebody else by them."""

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.run_coordinator.base import SubmitRunContext

from journeyport import instance
from pipelines import attribution

TYPED = {
    attribution.USER: "mallory",
    attribution.BY: attribution.COMMAND_LINE,
    "dagster/schedule_name": "nightly",
}
PLACE = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("journeyport"), "all")


@dg.job(name="nightly")
def night():
    pass


@pytest.fixture
def queued(tmp_path, monkeypatch):
    """Queue a run of the night as the daemon does; the run as it then is."""
    monkeypatch.setenv("DAGSTER_HOME", str(instance.prepared(tmp_path, None)))
    with dg.DagsterInstance.get() as kept:

        def queue(**tags):
            origin = RemoteJobOrigin(PLACE, "nightly")
            code = dg.reconstructable(night).get_python_origin()
            run = kept.create_run_for_job(
                night, tags=tags, remote_job_origin=origin, job_code_origin=code
            )
            kept.run_coordinator.submit_run(SubmitRunContext(run, None))
            return kept.get_run_by_id(run.run_id)

        yield queue


def test_what_is_typed_in_the_backfill_dialog_is_nobody_and_no_night(queued):
    run = queued(**TYPED, **{"dagster/backfill": "abcdefgh"})
    actor = attribution.actor(run.tags)
    assert (actor.user, actor.origin) == (None, "UI")
    assert not attribution.is_unattended(run)


def test_a_night_of_the_schedule_stays_one(queued):
    run = queued(**{"dagster/schedule_name": "nightly"})
    assert attribution.is_unattended(run)
