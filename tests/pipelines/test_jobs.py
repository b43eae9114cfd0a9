"""The jobs without a CRM behind them: releasing a day, wrong turns, who did it."""

import json
from datetime import date

import dagster as dg
import pytest
from made_days import walked

from journeyport import environment
from journeyport.lake import Lake
from journeyport.state import State, pending, windows
from pipelines import attribution, crm_jobs, release
from pipelines.resources import RESOURCES, Site

DAY = date(2026, 3, 14)
SET = {
    "JOURNEYPORT_ENV_FILE": "-",
    "JOURNEYPORT_ACCOUNTS": "ABCDEF",
    "JOURNEYPORT_CLOCK": "2026-03-16T06:00:00Z",
}


@pytest.fixture
def run(tmp_path):
    """Run one of the jobs on an empty house, in this process."""

    def start(job, *, user=None, more=None, **config):
        environ = SET | {"JOURNEYPORT_HOME": str(tmp_path)} | (more or {})
        site = Site(lambda: environment.read(environ))
        defs = dg.Definitions(
            jobs=[*crm_jobs.JOBS, release.release_day],
            resources=RESOURCES | {"site": site},
        )
        step = job.rpartition("_")[2] if job != "release_day" else "release"
        tags = {attribution.BY: attribution.UI, attribution.USER: user or ""}
        try:
            return defs.resolve_job_def(job).execute_in_process(
                run_config={"ops": {step: {"config": config}}} if config else {},
                tags=tags,
                raise_on_error=False,
            )
        finally:
            site.close()

    return start


def said(result):
    """The sentence with which a run ended, which must be all that it says."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    error = failed.step_failure_data.error
    assert not result.success
    assert error.stack == []
    assert error.cause is None
    return error.message.strip()


@pytest.fixture
def held(tmp_path):
    """A state with one account-day that could not be proved."""
    state = State(f"sqlite:///{tmp_path / 'state.db'}")
    windows.finish_day(state, walked(DAY, windows.HELD))
    yield state
    state.close()


ASKED = {"account": "ABCDEF", "day": str(DAY), "reason": "a known outage"}


def test_a_held_day_is_released_by_whom_the_proxy_names_and_leaves_a_receipt(
    run, held, tmp_path
):
    assert run("release_day", user="ada", **ASKED, who="somebody else").success
    assert windows.day_of(held, "ABCDEF", DAY).status == windows.RELEASED
    assert pending.of(held, "ABCDEF") == [DAY]
    (receipt,) = Lake(tmp_path / "lake").read_snapshot("receipts").to_pylist()
    told = ("action", "user_name", "origin", "reason", "account_id", "day")
    assert [receipt[name] for name in told] == [
        *("RELEASE", "ada", "UI", "a known outage", "ABCDEF", DAY),
    ]
    assert json.loads(receipt["counts"]) == {}


def test_where_nobody_vouches_for_the_user_a_release_asks_for_a_name(run, held):
    sentence = said(run("release_day", **ASKED))
    assert sentence.startswith("A release needs a name")
    assert run("release_day", **ASKED, who="Ada").success


def test_a_day_that_is_not_held_is_not_released(run, held):
    # There is one account: nobody has to name it.
    asked = ASKED | {"day": "2026-03-13", "account": ""}
    sentence = said(run("release_day", user="ada", **asked))
    assert "2026-03-13 of account ABCDEF is not held" in sentence


@pytest.mark.parametrize(
    ("days", "part"),
    [
        ("2027-01-01", "The last day 2027-01-01 has not begun yet"),
        ("2026-03-15 to 2026-03-14", "The last day 2026-03-14 comes before"),
        ("2026-02-30", "The first day 2026-02-30 is no day"),
        ("", "Say which days to plan for"),
        ("last month", "No CRM is set up: set JOURNEYPORT_SALESFORCE_DOMAIN"),
    ],
)
def test_a_wrong_turn_of_a_plan_is_one_sentence_and_no_traceback(run, days, part):
    assert part in said(run("crm_2_plan", days=days, reason="to see"))


def test_a_plan_an_apply_and_an_undo_ask_for_what_they_need(run):
    assert "needs a reason" in said(run("crm_2_plan", days="2026-03-14", reason=" "))
    for job in ("crm_3_apply", "crm_4_undo"):
        assert "Say which plan" in said(run(job, plan_id="", reason="because"))


def test_a_setting_that_is_wrong_is_named(run):
    more = {
        "JOURNEYPORT_SALESFORCE_DOMAIN": "acme.my",
        "JOURNEYPORT_SALESFORCE_BASE_URL": "http://127.0.0.1:9",
    }
    sentence = said(run("crm_1_check", more=more))
    assert "JOURNEYPORT_SALESFORCE_CLIENT_ID is missing" in sentence


def tagged(**tags):
    return dg.DagsterRun(job_name="nightly", run_id="r", tags=tags)


def test_only_the_schedule_and_cron_are_unattended():
    schedule = {"dagster/schedule_name": "nightly"}
    by_cron = {attribution.BY: attribution.COMMAND_LINE}
    assert attribution.is_unattended(tagged(**schedule))
    assert attribution.is_unattended(tagged(**by_cron))
    assert not attribution.is_unattended(tagged())
    # Somebody may type the schedule's tag into the Launchpad.
    by_hand = schedule | {attribution.BY: attribution.UI}
    assert not attribution.is_unattended(tagged(**by_hand))


def test_a_night_that_somebody_repeats_is_attended():
    again = dg.DagsterRun(
        job_name="nightly",
        run_id="again",
        root_run_id="r",
        parent_run_id="r",
        tags={"dagster/schedule_name": "nightly"},
    )
    assert not attribution.is_unattended(again)


def test_who_acted_is_told_by_the_run_s_tags():
    user = {attribution.USER: "ada"}
    for tags, told in (
        ({attribution.BY: attribution.UI} | user, ("ada", "UI")),
        ({attribution.BY: attribution.UI, attribution.USER: ""}, (None, "UI")),
        ({attribution.BY: attribution.COMMAND_LINE} | user, ("ada", "COMMAND_LINE")),
        ({"dagster/schedule_name": "nightly"}, (None, "SCHEDULE")),
    ):
        actor = attribution.actor(tags)
        assert (actor.user, actor.origin) == told
