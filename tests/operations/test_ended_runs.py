"""How runs ended, read from Dagster's own events, by commands and by the sensor."""

import json

import dagster as dg
import pytest
from typer.testing import CliRunner

from journeyport import cli, environment
from journeyport.deployment import Deployment
from pipelines import alerts
from pipelines.words import RefusedError

SECRET = "ada@shop.example +49301234567"


@dg.op
def refuse():
    raise RefusedError("The warehouse cannot be reached; look at its address.")


@dg.op
def stumble():
    raise ValueError(SECRET)


@dg.asset
def engagements():
    pass


@dg.asset_check(asset=engagements, name="keys_unique")
def red():
    which = ["ABCDEF 2026-03-15 3"]
    return dg.AssetCheckResult(passed=False, metadata={"which": which})


@dg.asset_check(asset=engagements, name="parents_there")
def green():
    return dg.AssetCheckResult(passed=True)


@dg.job(name="nightly")
def refused():
    refuse()


@dg.job(name="nightly")
def stumbled():
    stumble()


@dg.job(name="nightly")
def delivered():
    pass


@pytest.fixture
def kept():
    with dg.DagsterInstance.ephemeral() as kept:
        yield kept


@pytest.fixture
def site(tmp_path, web, monkeypatch):
    values = {"HOME": tmp_path / "home", "ENV_FILE": "-", "ACCOUNTS": "ABCDEF"}
    values |= {"ALERT_SLACK_URL": web.url, "ALERT_HEARTBEAT_URL": f"{web.url}/on"}
    for name, value in values.items():
        monkeypatch.setenv(f"JOURNEYPORT_{name}", str(value))
    site = Deployment(environment.read)
    yield site
    site.close()


def run(kept, job):
    return job.execute_in_process(instance=kept, raise_on_error=False).run_id


def test_a_refusal_is_told_in_its_own_words(kept, site, web):
    assert alerts.after(site, kept, run(kept, refused)) == []
    (message,) = web.posted
    assert "The warehouse cannot be reached; look at its address." in message


def test_of_an_unforeseen_error_nothing_but_its_type_is_told(kept, site, web):
    ended = stumbled.execute_in_process(instance=kept, raise_on_error=False)
    alerts.after(site, kept, ended.run_id)
    (message,) = web.posted
    assert "The step stumble ended with ValueError" in message
    (failed,) = [event for event in ended.all_events if event.is_step_failure]
    told = alerts.why(failed)  # on the one line that a command ends with
    assert told.startswith("It ended with ValueError, which nobody foresaw")
    assert not [word for word in SECRET.split() if word in message + told]


def test_a_check_s_verdict_is_read_from_its_evaluation(kept):
    checks = [red, green]
    done = dg.materialize([engagements, *checks], instance=kept, raise_on_error=False)
    ended = alerts.ended(kept, kept.get_run_by_id(done.run_id))
    assert ended.job == "backfill"
    assert ended.passed == [("engagements", "parents_there")]
    (broken,) = ended.red
    assert (broken.table, broken.rule) == ("engagements", "keys_unique")
    assert broken.held_back == ("ABCDEF 2026-03-15 3",)


def test_a_run_whose_process_died_is_told(kept, site, web):
    lost = kept.create_run_for_job(refused, status=dg.DagsterRunStatus.STARTED)
    kept.report_run_failed(lost)
    alerts.after(site, kept, lost.run_id)
    (message,) = web.posted
    assert "its process was killed or never started" in message


def looked(kept, cursor=None):
    context = dg.build_sensor_context(instance=kept, cursor=cursor)
    skipped = alerts.alerts_sensor(context)
    assert isinstance(skipped, dg.SkipReason)
    return skipped.skip_message, context.cursor


def test_the_sensor_looks_at_each_run_once(kept, site, web, monkeypatch):
    monkeypatch.setattr(alerts, "_GRACE", alerts._GRACE * 0)
    run(kept, refused)
    said, cursor = looked(kept)
    assert said == "1 run(s) looked at."
    assert len(web.posted) == 1
    said, cursor = looked(kept, cursor)
    assert said == "0 run(s) looked at."
    known = json.loads(cursor)["runs"]
    assert known == [one.run_id for one in kept.get_runs()]


def test_a_crash_that_is_tried_again_is_not_told(kept, site, web, monkeypatch):
    monkeypatch.setattr(alerts, "_GRACE", alerts._GRACE * 0)
    kept.add_run_tags(run(kept, refused), {"dagster/will_retry": "true"})
    said, _cursor = looked(kept)
    assert said == "0 run(s) looked at."
    assert web.posted == []


def test_missing_settings_are_the_sensor_s_word_not_its_failure(
    kept, site, monkeypatch
):
    monkeypatch.delenv("JOURNEYPORT_ACCOUNTS")
    assert "JOURNEYPORT_ACCOUNTS is missing" in looked(kept)[0]


def test_the_command_lists_what_stands_and_ends_with_1_until_it_is_over(
    kept, site, web
):
    alerts.after(site, kept, run(kept, refused))
    shown = CliRunner().invoke(cli.app, ["alerts"])
    assert shown.exit_code == 1
    said = " ".join(shown.output.split())
    assert "A run failed: The warehouse cannot be reached" in said
    assert len(web.posted) == 1
    alerts.after(site, kept, run(kept, delivered))
    assert CliRunner().invoke(cli.app, ["alerts"]).exit_code == 0
    assert web.beats == ["/on"]


def test_a_trial_stands_for_nothing(site, web):
    shown = CliRunner().invoke(cli.app, ["alerts", "--try"])
    assert (shown.exit_code, shown.output) == (0, "slack: sent\n")
    assert "This is a trial" in web.posted[0]
