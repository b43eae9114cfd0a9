"""Alerts: how a run ended, read from Dagster's own record of it, and the sensor.

What is wrong, whom it is told and how often is said in `journeyport.alerts`. A run of
the daemon is looked at by the sensor; one of the command line looks at itself when it
ends, since cron has no daemon beside it.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from journeyport import environment
from journeyport.checklist import RULES
from journeyport.deployment import Deployment
from journeyport.errors import JourneyportError

if TYPE_CHECKING:
    from journeyport.alerts import Ended

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_FIRST = timedelta(days=1)
_GRACE = timedelta(seconds=3)
"""What Dagster writes about a run just after its end is waited for."""

_REMEMBERED = 200
_OURS = "dagster._core.definitions.events.Failure: "


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Tells what is wrong (a failure, a red check, rejects, drift, stale data, days "
        "held back) to Slack and by mail, once per cause, and calls the heartbeat's "
        "address after a delivered night. Where none is set up it only remembers; "
        "`journeyport alerts` shows it."
    ),
)
def alerts_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Look at the runs that ended since the last look, and at the state."""
    site = Deployment(environment.read)
    seen: dict[str, Any] = json.loads(context.cursor) if context.cursor else {}
    try:
        ends, cursor = _ended_since(context.instance, seen)
        wrong = tell(site, ends)
    except JourneyportError as error:
        return dg.SkipReason(str(error))
    finally:
        site.close()
    context.update_cursor(json.dumps(cursor))
    for sentence in wrong:
        context.log.warning(sentence)
    return dg.SkipReason(" ".join(wrong) or f"{len(ends)} run(s) looked at.")


def tell(site: Deployment, ends: "Iterable[Ended]") -> list[str]:
    """Look, remember, send; sentences about what could not be sent."""
    from journeyport import alerts

    alerting = site.alerting
    for one in [*ends, None]:
        alerts.look(
            site.state,
            site.clock,
            site.accounts,
            stale_after=alerting.stale_after,
            ended=one,
        )
    return alerts.tell(site.state, site.clock, alerting)


def after(site: Deployment, instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Tell how one run ended; whatever goes wrong with that is a sentence, too."""
    run = instance.get_run_by_id(run_id)
    try:
        return tell(site, [ended(instance, run)] if run is not None else [])
    except JourneyportError as error:
        return [str(error)]


def ended(instance: dg.DagsterInstance, run: dg.DagsterRun) -> "Ended":
    """How a run ended, by its events."""
    from journeyport.alerts import Ended, RedCheck, StepFailure

    kinds = {
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    }
    steps, red, passed = [], [], []
    for entry in instance.all_logs(run.run_id, of_type=kinds):
        event = entry.dagster_event
        if event is None:
            continue
        if event.is_step_failure:
            error = event.step_failure_data.error
            if error is None or "AssetCheckFailed" not in (error.cls_name or ""):
                steps.append(StepFailure(str(event.step_key), *_said(error)))
            continue
        check = event.asset_check_evaluation_data
        table, rule = check.asset_key.to_user_string(), check.check_name
        if check.passed:
            passed.append((table, rule))
            continue
        which = check.metadata.get("which")
        held_back = which.value if which is not None else ()
        sentence = RULES.get(rule) or check.description or "See the check in the UI."
        red.append(
            RedCheck(table, rule, sentence, tuple(map(str, held_back or ())))  # type: ignore[arg-type]
        )
    return Ended(
        _job(run.job_name),
        run.root_run_id or run.run_id,
        run.status is dg.DagsterRunStatus.SUCCESS,
        steps,
        red,
        passed,
    )


def why(event: dg.DagsterEvent) -> str:
    """Why a step failed, in a sentence without a value of anybody."""
    sentence, kind = _said(event.step_failure_data.error)
    return sentence or (
        f"It ended with {kind}, which nobody foresaw; the run in the UI has the trace."
    )


def _said(error: Any) -> tuple[str | None, str]:
    """A failure's own sentence; of any other error the type alone."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return None, "an error"
    message = str(error.message).strip().splitlines()[0]
    if error.cls_name == "Failure":
        return message.removeprefix(_OURS), ""
    return None, str(error.cls_name or "an error")


def _job(name: str) -> str:
    return "backfill" if name.startswith("__") else name


def _ended_since(
    instance: dg.DagsterInstance, seen: dict[str, Any]
) -> "tuple[list[Ended], dict[str, Any]]":
    """The runs that ended since a look, the oldest first, and where to go on.

    A run is looked at once, though its record may be written again.
    """
    now = datetime.now(UTC)
    since = datetime.fromisoformat(seen["since"]) if seen else now - _FIRST
    known: list[str] = seen.get("runs", [])
    records = instance.get_run_records(
        dg.RunsFilter(
            statuses=_FINISHED, updated_after=since, updated_before=now - _GRACE
        ),
        order_by="update_timestamp",
        ascending=True,
        limit=_REMEMBERED // 2,
    )
    ends = []
    for record in records:
        run = record.dagster_run
        since = max(since, record.update_timestamp)
        if run.run_id in known or run.tags.get(WILL_RETRY_TAG) == "true":
            continue
        known.append(run.run_id)
        ends.append(ended(instance, run))
    return ends, {"since": since.isoformat(), "runs": known[-_REMEMBERED:]}
