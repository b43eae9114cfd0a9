"""What an apply or undo came to, for people and metadata; not a value in it."""

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


@dataclass(frozen=True)
class UndoReport:
    """What an undo did.

    Attributes:
        plan_id: the plan whose apply was taken back.
        org: the org.
        restored: records brought back to what they held, per object.
        deleted: records deleted that the apply had made, per object.
        kept: records left as they are, by object and why.
        edits: fields that people changed since and that were left to them.
        rejected: records that the CRM would not take back, by object and reason.
    """

    plan_id: str
    org: Org
    restored: Mapping[str, int]
    deleted: Mapping[str, int]
    kept: Mapping[tuple[str, str], int]
    edits: int
    rejected: Mapping[tuple[str, str], int]

    @property
    def facts(self) -> dict[str, Any]:
        """The report without a single value."""
        return {
            "plan": self.plan_id,
            "org": self.org.id,
            "restored": dict(self.restored),
            "deleted": dict(self.deleted),
            "kept": [[*what, many] for what, many in self.kept.items()],
            "edits_left": self.edits,
            "rejected": [[*what, many] for what, many in self.rejected.items()],
        }

    def text(self) -> str:
        """The report for a person to read."""
        lines = [f"Took back plan {self.plan_id} in {self.org.name}"]
        lines += [
            f"  {name}: {self.restored.get(name, 0)} restored, "
            f"{self.deleted.get(name, 0)} deleted"
            for name in sorted({*self.restored, *self.deleted})
        ]
        for (name, why), many in sorted(self.kept.items()):
            lines.append(f"  {name}: {many} left as they are: {why}")
        for (name, why), many in sorted(self.rejected.items()):
            lines.append(f"  {name}: {many} could not be taken back: {why}")
        if self.edits:
            lines.append(f"  {self.edits} fields that people changed since stay theirs")
        lines.append("  The night only plans until an apply is approved again.")
        return "\n".join(lines)
