"""What an apply came to, for people and for metadata; not a single value in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from journeyport.crm.protocol import Calls, Org

APPLIED, AWAITING, PARTIAL = "APPLIED", "AWAITING_CONFIRMATION", "PARTIAL"


@dataclass(frozen=True)
class ApplyReport:
    """What an apply did.

    Attributes:
        plan_id: the plan.
        org: the org.
        status: APPLIED, AWAITING_CONFIRMATION (the first records are written: look at
            them, then confirm) or PARTIAL (some were not sent: apply again).
        created: records made, per object.
        updated: records changed, per object.
        rejected: refusals as (object, code, reason, how many).
        suppressed: records that the suppression list kept back.
        unsent: actions of the plan that are still to be sent.
        accepted: the numbers of the plan's actions that were accepted now.
        calls: requests made, reads and writes.
        red: more was rejected than the guard allows.
    """

    plan_id: str
    org: Org
    status: str
    created: Mapping[str, int]
    updated: Mapping[str, int]
    rejected: tuple[tuple[str, str, str, int], ...]
    suppressed: int
    unsent: int
    accepted: tuple[int, ...]
    calls: Calls
    red: bool

    @property
    def writes(self) -> int:
        """Records written."""
        return sum(self.created.values()) + sum(self.updated.values())

    @property
    def facts(self) -> dict[str, Any]:
        """The report without a single value, for logs and metadata."""
        return {
            "plan": self.plan_id,
            "org": self.org.id,
            "org_kind": self.org.kind,
            "status": self.status,
            "created": dict(self.created),
            "updated": dict(self.updated),
            "rejected": sum(many for *_, many in self.rejected),
            "rejected_by_reason": [list(item) for item in self.rejected],
            "suppressed": self.suppressed,
            "unsent": self.unsent,
            "read_calls": self.calls.reads,
            "write_calls": self.calls.writes,
        }

    def text(self) -> str:
        """The report for a person to read."""
        lines = [f"{self.status} plan {self.plan_id} in {self.org.name}"]
        for name in sorted({*self.created, *self.updated}):
            made, changed = self.created.get(name, 0), self.updated.get(name, 0)
            lines.append(f"  {name}: {made} made, {changed} changed")
        for object_name, code, reason, many in self.rejected:
            lines.append(f"  rejected {many} × {object_name} {code}: {reason}")
        if self.suppressed:
            lines.append(f"  {self.suppressed} kept back by the suppression list")
        if self.unsent:
            lines.append(f"  {self.unsent} still to be sent")
        lines.append(
            f"  {self.calls.writes} write calls, {self.calls.reads} read calls"
        )
        if self.status == AWAITING:
            lines.append(
                "  The first records are in the org: look at them there, then apply "
                "the same plan again with --confirm."
            )
        return "\n".join(lines)
