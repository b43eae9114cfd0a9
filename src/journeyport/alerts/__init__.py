"""Alerts: what is wrong, told once to whoever must know, and the sign of life.

`causes` finds what is wrong, `messages` puts it into words, `channels` sends it. What
was told before is remembered in `journeyport.state.alerts`. Nothing here stops a run:
a message that cannot be sent is sent by the next look.
"""

from journeyport.alerts.causes import (
    FAILURES,
    NIGHTS,
    Ended,
    RedCheck,
    StepFailure,
    after_run,
    standing,
)
from journeyport.alerts.channels import Alerting, Mail
from journeyport.alerts.messages import RUNBOOK, Message
from journeyport.alerts.tell import look, open_causes, tell, try_out

__all__ = [
    "FAILURES",
    "NIGHTS",
    "RUNBOOK",
    "Alerting",
    "Ended",
    "Mail",
    "Message",
    "RedCheck",
    "StepFailure",
    "after_run",
    "look",
    "open_causes",
    "standing",
    "tell",
    "try_out",
]
