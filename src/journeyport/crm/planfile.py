"""A plan: what would be written, record by record, kept as a file only its owner reads.

Values live in this file and nowhere else. How a plan comes about is said in `plan`, how
it is carried out in `push`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import mapping_of
from journeyport.crm.protocol import Operation, Org, Parent, Value, Write
from journeyport.crm.source import Foreseen, Selection
from journeyport.errors import ArgumentError, StaleError

FORM = 2
"""The version of the file's form."""


@dataclass(frozen=True)
class Action:
    """One record to be written.

    Attributes:
        number: its place in the plan, from 0.
        object_name: the object.
        operation: by which key it is written.
        key: the external id.
        record_id: the record; None: it is made.
        account_id: the account.
        customer_id: the customer.
        hash: of the record as it should be.
        after: fields to set, lookups aside.
        before: what those fields, the lookups and the external id hold now.
        parents: lookups to set.
        is_farewell: says on a record that its customer has become another one.
        names: what the suppression list may call its customer.
    """

    number: int
    object_name: str
    operation: Operation
    key: str
    record_id: str | None
    account_id: str
    customer_id: str
    hash: str
    after: Mapping[str, Value]
    before: Mapping[str, Value]
    parents: Mapping[str, Parent] = field(default_factory=dict)
    is_farewell: bool = False
    names: tuple[str, ...] = ()

    @property
    def creates(self) -> bool:
        """Whether the record is not there yet."""
        return self.record_id is None

    def write(self) -> Write:
        """The action as the CRM is given it."""
        return Write(self.number, self.key, self.record_id, self.after, self.parents)


@dataclass(frozen=True)
class Plan:
    """A plan.

    Attributes:
        plan_id: its name; also the file's.
        org: for which org.
        mapping_hash: under which mapping.
        mapping: that mapping: an undo goes by it, whatever the mapping is by then.
        run_id: the run that made it.
        made_at: when.
        expires_at: until when it may be applied.
        selection: what it is about.
        actions: what would be written, parents first.
        foreseen: records the CRM would refuse; not sent.
        counts: records by what becomes of them, per object.
        matches: customers by standing.
        unmatched: the customers that are MANY, TAKEN or CONTESTED, with what they met.
        changes: how often each field would change, per object.
        calls: API calls foreseen, reads included.
        storage_mb: data storage foreseen.
        refusals: the guards that forbid it, in words; empty: none.
        frontiers: up to when the other side's changes are in it, per object.
        path: its file.
        reads: API calls made to plan it.
    """

    plan_id: str
    org: Org
    mapping_hash: str
    mapping: CrmMapping
    run_id: str
    made_at: datetime
    expires_at: datetime
    selection: Selection
    actions: tuple[Action, ...]
    foreseen: tuple[Foreseen, ...]
    counts: Mapping[str, Mapping[str, int]]
    matches: Mapping[str, int]
    unmatched: tuple[Mapping[str, Any], ...]
    changes: Mapping[str, Mapping[str, int]]
    calls: int
    storage_mb: float
    refusals: tuple[str, ...]
    frontiers: Mapping[str, datetime]
    path: Path
    reads: int = 0

    @property
    def creates(self) -> int:
        """How many records would be made."""
        return sum(action.creates for action in self.actions)

    @property
    def updates(self) -> int:
        """How many records would be changed."""
        return len(self.actions) - self.creates

    @property
    def facts(self) -> dict[str, Any]:
        """The plan without a single value, for logs and metadata."""
        return {
            "plan": self.plan_id,
            "org": self.org.id,
            "org_name": self.org.name,
            "org_kind": self.org.kind,
            "mapping": self.mapping_hash,
            "expires_at": self.expires_at.isoformat(),
            "creates": self.creates,
            "updates": self.updates,
            "rejects_foreseen": len(self.foreseen),
            "matches": dict(self.matches),
            "counts": {name: dict(count) for name, count in self.counts.items()},
            "changes": {name: dict(count) for name, count in self.changes.items()},
            "calls": self.calls,
            "reads": self.reads,
            "storage_mb": self.storage_mb,
            "refusals": list(self.refusals),
        }

    def text(self) -> str:
        """The plan for a person to read, without a single value."""
        lines = [
            f"Plan {self.plan_id} for {self.org.name} ({self.org.id}, {self.org.kind})",
            f"  mapping {self.mapping_hash}, good until {self.expires_at:%F %H:%M} UTC",
            "  customers: " + _listed(self.matches),
        ]
        for name, count in self.counts.items():
            lines.append(f"  {name}: {_listed(count)}")
            changed = self.changes.get(name)
            if changed:
                lines.append(f"    fields: {_listed(changed)}")
        for code, many in _by_code(self.foreseen).items():
            lines.append(f"  would be refused, not sent: {many} × {code}")
        lines.append(
            f"  {self.creates} to make, {self.updates} to change, about "
            f"{self.calls} API calls and {self.storage_mb:g} MB; {self.reads} calls "
            "were made to plan it"
        )
        lines += [f"  REFUSED: {sentence}" for sentence in self.refusals]
        lines.append(f"  values: {self.path.with_suffix('.csv')}")
        return "\n".join(lines)


def save(plan: Plan) -> None:
    """Write the plan's file, for its owner only."""
    folder = plan.path.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    body = {"form": FORM, **asdict(plan)}
    draft = plan.path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(body, file, default=_plain, ensure_ascii=False)
    draft.replace(plan.path)


def load(folder: Path, plan_id: str) -> Plan:
    """Read a plan's file.

    Raises:
        ArgumentError: there is no such plan.
        StaleError: another release wrote it, or it is damaged.
    """
    path = folder / f"{plan_id}.json"
    if path.parent != folder or not path.is_file():
        raise ArgumentError(f"There is no plan {plan_id}; `crm plan` makes one.")
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # its own text would quote the file
        raise StaleError(
            f"The file of plan {plan_id} is damaged; make a new plan."
        ) from None
    if body.pop("form", None) != FORM:
        raise StaleError(f"Plan {plan_id} is of another release; make a new one.")
    body["org"] = Org(**body["org"])
    body["mapping"] = mapping_of(body["mapping"])
    for name in ("made_at", "expires_at"):
        body[name] = datetime.fromisoformat(body[name])
    body["selection"] = _selection(body["selection"])
    body["actions"] = tuple(_action(item) for item in body["actions"])
    body["foreseen"] = tuple(Foreseen(**item) for item in body["foreseen"])
    body["unmatched"] = tuple(body["unmatched"])
    body["refusals"] = tuple(body["refusals"])
    body["frontiers"] = {
        name: datetime.fromisoformat(at) for name, at in body["frontiers"].items()
    }
    body["path"] = path
    return Plan(**body)


def _action(item: dict[str, Any]) -> Action:
    item["operation"] = Operation(item["operation"])
    item["names"] = tuple(item["names"])
    item["parents"] = {name: Parent(**p) for name, p in item["parents"].items()}
    return Action(**item)


def _selection(item: dict[str, Any]) -> Selection:
    days, customers = item["days"], item["customers"]
    return Selection(
        datetime.fromisoformat(item["as_of"]),
        None
        if days is None
        else frozenset((account, date.fromisoformat(day)) for account, day in days),
        None if customers is None else frozenset((a, c) for a, c in customers),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(value)
    return str(value)


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{many} {name}" for name, many in counts.items() if many]
    return ", ".join(shown) or "none"


def _by_code(foreseen: tuple[Foreseen, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in foreseen:
        name = f"{item.code} on {item.object_name}.{item.field}"
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))


def clear_out(folder: Path, before: datetime) -> int:
    """Remove the plans made before then, values and all; returns how many files."""
    removed = 0
    for path in folder.glob("*Z-*.*"):
        stamp = path.name.split("-", 1)[0]
        try:
            made = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            continue
        if made < before:
            path.unlink()
            removed += 1
    return removed
