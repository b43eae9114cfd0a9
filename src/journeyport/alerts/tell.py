"""Looking, remembering and telling: every cause once per channel, until it is over."""

from collections.abc import Iterable
from datetime import timedelta

from journeyport.alerts import causes
from journeyport.alerts.causes import NIGHTS, Ended
from journeyport.alerts.channels import Alerting
from journeyport.alerts.messages import RUNBOOK, Message, written
from journeyport.clock import Clock
from journeyport.errors import TransientError
from journeyport.state import State, alerts

_LATE = timedelta(hours=6)


def look(
    state: State,
    clock: Clock,
    accounts: Iterable[str],
    *,
    stale_after: timedelta,
    ended: Ended | None = None,
) -> None:
    """Find what is wrong now and remember it; forget what is over.

    Args:
        state: the state.
        clock: the time.
        accounts: the accounts.
        stale_after: the deadline of fresh data.
        ended: a run that has just ended; None: none has.
    """
    now = clock.now()
    if ended is not None:
        if ended.succeeded and ended.job == NIGHTS:
            alerts.note_delivered(state, ended.run_id, now=now)
        found, judged = causes.after_run(state, ended)
        alerts.keep(state, found, judged, now=now)
    found, judged = causes.standing(state, accounts, stale_after=stale_after, now=now)
    alerts.keep(state, found, judged, now=now)


def tell(state: State, clock: Clock, alerting: Alerting) -> list[str]:
    """Send what was not sent yet; sentences about what could not be.

    Args:
        state: the state.
        clock: the time.
        alerting: where it goes.
    """
    wrong = []
    channels = alerting.channels
    told: dict[str, set[str]] = {}
    mine = alerts.claim(state, channels, now=clock.now())
    try:
        for name, send in channels.items():
            waiting = [one.cause for one in mine if name not in one.told]
            for message in written(waiting):
                try:
                    send(message)
                except TransientError as error:
                    wrong.append(str(error))
                    break  # the next look tries again, from here on
                for key in message.keys:
                    told.setdefault(key, set()).add(name)
    finally:
        if mine:
            alerts.release(state, mine, told)
    wrong += _beat(state, clock, alerting)
    return wrong


def open_causes(state: State) -> list[str]:
    """A line for each cause that stands, but for what is news and no fault."""
    return [
        f"{one.raised_at:%Y-%m-%d %H:%M} UTC  {RUNBOOK[one.cause.kind]}: "
        f"{one.cause.sentence}"
        for one in alerts.standing(state)
        if one.cause.kind != "drift"
    ]


def try_out(alerting: Alerting) -> dict[str, str]:
    """Send a message that says it is a trial; how each channel took it."""
    message = Message(
        "This is a trial",
        ("Nothing is wrong: somebody tried whether alerts arrive here.",),
        (),
        next(iter(RUNBOOK.values())),
    )
    results = {}
    for name, send in alerting.channels.items():
        try:
            send(message)
            results[name] = "sent"
        except TransientError as error:
            results[name] = str(error)
    return results


def _beat(state: State, clock: Clock, alerting: Alerting) -> list[str]:
    now = clock.now()
    nights = alerts.untold_nights(state)
    # A sign of life that comes late would hide that there was none.
    late = [run for run, at in nights.items() if now - at > _LATE]
    if late:
        alerts.note_told(state, late, now=now)
    if len(nights) == len(late) or not alerting.heartbeat_url:
        return []
    try:
        alerting.beat()
    except TransientError as error:
        return [str(error)]
    alerts.note_told(state, nights, now=now)
    return []
