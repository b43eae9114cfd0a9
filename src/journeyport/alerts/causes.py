"""What is wrong: by how a run ended, and by what the state says at any time.

Each finder gives the causes it found and the beginnings of the keys it looked for, so
that what is over can be forgotten. No sentence holds a value of anybody.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from journeyport.checklist import CERTIFIED, NOTHING_NEW
from journeyport.state import (
    State,
    alerts,
    drift,
    failures,
    rejects,
    verdicts,
    windows,
)
from journeyport.state.alerts import Cause

NIGHTS = "nightly"
"""The job whose success is a delivered night."""

FAILURES = ("nightly", "export", "lake", "backfill")
"""The jobs whose every failure is told; of others, only what nobody could foresee."""

_DELIVERABLE = (windows.PROVED, windows.PARTIAL, windows.RELEASED)
_SHOWN = 5

Found = tuple[list[Cause], list[str]]


@dataclass(frozen=True)
class StepFailure:
    """A step that failed.

    Attributes:
        step: its name.
        sentence: what it said, where it is one of our own sentences.
        kind: the error's type, where it is not: its text may hold anything.
    """

    step: str
    sentence: str | None
    kind: str = ""


@dataclass(frozen=True)
class RedCheck:
    """A check that did not pass.

    Attributes:
        table: the table.
        rule: the check's name.
        sentence: what it holds to.
        held_back: what it holds back, as `ACCOUNT YYYY-MM-DD …`.
    """

    table: str
    rule: str
    sentence: str
    held_back: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        job: nightly, export, backfill, or another job's name.
        run_id: the run; for a run that repeats another, the first one's.
        succeeded: it ended green.
        steps: the steps that failed.
        red: the checks that did not pass.
        passed: table and rule of those that did.
    """

    job: str
    run_id: str
    succeeded: bool
    steps: Sequence[StepFailure] = ()
    red: Sequence[RedCheck] = ()
    passed: Sequence[tuple[str, str]] = field(default=())


def after_run(state: State, ended: Ended) -> Found:
    """What a run's end says is wrong."""
    causes = [*_failures(state, ended), *_checks(state, ended)]
    # A delivered night leaves nothing undone of whatever failed before it.
    judged = [
        "failure/"
        if ended.succeeded and ended.job == NIGHTS
        else f"failure/{ended.job}/"
    ]
    judged += [f"check/{one.table}/{one.rule}" for one in ended.red]
    # A run that passes may have looked at other days than those that do not.
    still = verdicts.broken(state)
    judged += [f"check/{t}/{r}" for t, r in ended.passed if (t, r) not in still]
    return causes, judged


def _failures(state: State, ended: Ended) -> list[Cause]:
    if ended.succeeded:
        return []
    kept = failures.of_run(state, ended.run_id)
    causes = [
        Cause(
            "failure",
            ended.job,
            f"{one.account} {one.stage} {_print(one.reason)}",
            one.reason,
        )
        for one in kept
        # Days held back, and rules broken, are causes of their own.
        if one.stage != "guards" and not (one.stage == "proof" and one.day)
    ]
    said = [one.reason for one in kept]
    for failed in ended.steps:
        # A run that holds something back repeats the first of it where it ends.
        known = failed.sentence is not None and any(
            reason in failed.sentence for reason in said
        )
        if known or (failed.sentence is not None and ended.job not in FAILURES):
            continue
        sentence = failed.sentence or (
            f"The step {failed.step} ended with {failed.kind}, which nobody foresaw; "
            "its trace is in the run's log."
        )
        subject = f"{failed.step} {_print(sentence)}"
        causes.append(Cause("failure", ended.job, subject, sentence))
    if not (causes or said or ended.steps or ended.red):
        causes.append(
            Cause(
                "failure",
                ended.job,
                "died",
                "The run ended without a word: its process was killed or never "
                "started. The state is whole; start it again, or leave it to the next "
                "night.",
            )
        )
    return causes


def _checks(state: State, ended: Ended) -> list[Cause]:
    causes = []
    for one in ended.red:
        if one.rule == NOTHING_NEW:  # what is new is a cause of its own, by name
            continue
        held_back = one.held_back
        if one.rule == CERTIFIED:
            held_back = tuple(each for each in held_back if not _is_held(state, each))
            if not held_back:
                continue
        days = f" Held back: {_some(held_back)}." if held_back else ""
        sentence = f"{one.table}, {one.rule}: not so: {one.sentence}{days}"
        causes.append(Cause("check", one.table, one.rule, sentence))
    return causes


def standing(
    state: State, accounts: Iterable[str], *, stale_after: timedelta, now: datetime
) -> Found:
    """What the state says is wrong, whatever ran last."""
    held, behind = [], []
    first_walk = None
    for account in accounts:
        walked = windows.days_of(state, account)
        held += [_held(account, one) for one in walked if one.status == windows.HELD]
        if walked:
            began = min(one.walked_at for one in walked)
            first_walk = min(began, first_walk or began)
            behind += _behind(account, walked, stale_after, now)
    behind += _undelivered(state, first_walk, stale_after, now)
    causes = [*held, *behind, *_rejects(state), *_drift(state)]
    return causes, ["held/", "stale/", "rejects/"]


def _held(account: str, walked: windows.WalkedDay) -> Cause:
    why = ", ".join(walked.breaches) or "no answer could be used"
    return Cause(
        "held",
        account,
        walked.day.isoformat(),
        f"{walked.day} of account {account} is held back: it could not be proved "
        f"complete ({why}).",
    )


def _behind(
    account: str,
    walked: Sequence[windows.WalkedDay],
    stale_after: timedelta,
    now: datetime,
) -> list[Cause]:
    ends = [one.claim_to for one in walked if one.status in _DELIVERABLE]
    end = max(ends, default=min(one.claim_from for one in walked))
    if now - end <= stale_after:
        return []
    sentence = (
        f"Account {account}: what is proved ends at {end:%Y-%m-%d %H:%M} UTC, "
        f"more than {_hours(stale_after)} ago."
    )
    return [Cause("stale", "data", account, sentence)]


def _undelivered(
    state: State, first_walk: datetime | None, stale_after: timedelta, now: datetime
) -> list[Cause]:
    delivered = alerts.last_delivered(state)
    since = delivered or first_walk
    if since is None or now - since <= stale_after:
        return []
    told = "since" if delivered else "yet; the first walk was at"
    sentence = (
        f"No night was delivered {told} {since:%Y-%m-%d %H:%M} UTC, more than "
        f"{_hours(stale_after)} ago."
    )
    return [Cause("stale", "data", "nights", sentence)]


def _rejects(state: State) -> list[Cause]:
    return [
        Cause(
            "rejects",
            f"{account} {stage}",
            f"{name} {code}",
            f"Account {account}: {number} record(s) of {name} are refused with "
            f"{code}; the rows are in rejected_records.",
        )
        for (account, stage, name, code), number in rejects.counted(state).items()
    ]


def _drift(state: State) -> list[Cause]:
    return [
        Cause(
            "drift",
            one.account,
            one.name,
            f"Account {one.account}, first on {one.day}: {one.name}. It is kept.",
        )
        for one in drift.all_seen(state)
    ]


def _is_held(state: State, which: str) -> bool:
    account, day, *_rest = which.split()
    held: Mapping[str, str] = {
        one.day.isoformat(): one.status for one in windows.days_of(state, account)
    }
    return held.get(day) == windows.HELD


def _print(sentence: str) -> str:
    """A fingerprint in which days and counts do not matter: they differ each night."""
    words = re.sub(r"\d+", "#", sentence)
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def _some(which: Sequence[str]) -> str:
    more = f" and {len(which) - _SHOWN} more" if len(which) > _SHOWN else ""
    return ", ".join(which[:_SHOWN]) + more


def _hours(length: timedelta) -> str:
    return f"{length.total_seconds() / 3600:g} hours"
