"""Releasing a held account-day: certified, receipted, delivered by the next night.

What a release does to a certificate is said in `extract.certificate`.
"""

from datetime import date

from journeyport import extract, guards, receipts
from journeyport.errors import ArgumentError
from journeyport.night import Run
from journeyport.state import pending
from journeyport.state.receipts import Actor, Receipt


def release(
    run: Run, account: str, day: date, *, reason: str, who: str | None = None
) -> str:
    """Let a held account-day be delivered; a sentence on what happens next.

    Args:
        run: the run.
        account: the account.
        day: the UTC day.
        reason: why; certified.
        who: who decides, where nobody vouches for the user; certified.

    Raises:
        ArgumentError: the day is not held, or no name or reason is given.
    """
    name = run.actor.user or (who or "").strip()
    if not name:
        raise ArgumentError(
            "A release needs a name: nothing says who you are, so write it into `who`."
        )
    found = guards.standing(run.lake, run.state, account, day)
    guards.accept(run.lake, run.state, account, day, run_id=run.run_id, clock=run.clock)
    extract.release(
        run.state, account, day, who=name, reason=reason, proved=bool(found)
    )
    pending.note(run.state, [(account, day)])
    receipts.write(
        run.lake,
        run.state,
        Receipt(
            "RELEASE",
            run.clock.now(),
            Actor(name, run.actor.origin),
            run.run_id,
            reason,
            account_id=account,
            day=day,
            counts={f"{one.table}: {one.rule}": one.rows for one in found},
        ),
    )
    return (
        f"{day} of account {account} is released by {name}; the next night delivers "
        "it, and so does an export or a backfill of that day."
    )
