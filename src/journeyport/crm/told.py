"""What a job of the CRM came to, in words and counts; not a single value in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from journeyport.crm.planfile import Plan
from journeyport.crm.protocol import Org


@dataclass(frozen=True)
class Told:
    """What one job came to.

    Attributes:
        org: the org it was about.
        wrote: something was written to the org.
        ok: nobody needs to look.
        paragraph: the result in one paragraph.
        rows: records by what became of them; `check` counts its findings.
        file: the rows with their values, readable by their owner only; None: there
            are none.
        plan_id: the plan that was made, applied or taken back; None: no plan.
        details: the result in lines.
        facts: the result as data, for metadata and receipts.
    """

    org: Org
    wrote: bool
    ok: bool
    paragraph: str
    rows: Mapping[str, int]
    file: Path | None
    plan_id: str | None
    details: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def named(org: Org) -> str:
    """The org as a person knows it."""
    return f"{org.name} ({org.id}, {org.kind})"


def listed(rows: Mapping[str, int], none: str = "nothing") -> str:
    """Counts in words; zeros are left out."""
    return ", ".join(f"{many} {what}" for what, many in rows.items() if many) or none


def planned_rows(made: Plan) -> dict[str, int]:
    """A plan's records by what would become of them."""
    rows = {
        f"{name} {what}": many
        for name, counts in made.counts.items()
        for what, many in counts.items()
        if many and what != "wanted"
    }
    rows["would be refused, not sent"] = len(made.foreseen)
    return rows


def planned(made: Plan, days: str) -> str:
    """A plan in one paragraph; `days` says which days it covers."""
    if made.refusals:
        last = f"It may not be applied: {' '.join(made.refusals)}"
    elif made.actions:
        last = (
            f"To write it, apply plan {made.plan_id} before "
            f"{made.expires_at:%Y-%m-%d %H:%M} UTC, with a reason."
        )
    else:
        last = "There is nothing to apply."
    unmatched = {
        f"customers met {word}": made.matches.get(standing, 0)
        for standing, word in (
            ("NONE", "no record"),
            ("MANY", "several records"),
            ("TAKEN", "another customer's record"),
            ("CONTESTED", "a record that others claim too"),
        )
    }
    met = f" {listed(unmatched)}." if any(unmatched.values()) else ""
    changed = {
        f"{name} {what}": made.counts[name].get(what, 0)
        for name in made.counts
        for what in ("to make", "to change", "merged away")
    }
    refused = f" {len(made.foreseen)} would be refused and are not sent."
    return (
        f"Wrote nothing. Plan {made.plan_id} for {named(made.org)} covers {days}: "
        f"{listed(changed, 'no record would change')}, about {made.calls} API calls "
        f"and {made.storage_mb:g} MB.{met}"
        f"{refused if made.foreseen else ''} {last}"
    )
