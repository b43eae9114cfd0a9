"""From raw documents to the daily tables, and to the snapshots that follow from them.

A day is always made again from raw, never merged in place: the same raw documents
under the same rules give the same files.
"""

from journeyport.normalise.day import (
    AccountRules,
    DayReport,
    Reject,
    conform_day,
    conform_days,
    stale_days,
)
from journeyport.normalise.snapshots import conform_snapshots

__all__ = [
    "AccountRules",
    "DayReport",
    "Reject",
    "conform_day",
    "conform_days",
    "conform_snapshots",
    "stale_days",
]
