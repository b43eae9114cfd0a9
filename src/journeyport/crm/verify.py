"""What drifted since the last accepted push; nothing is mended or written down."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from journeyport.clock import Clock
from journeyport.crm.compare import difference
from journeyport.crm.draft import fitting
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.protocol import Crm, Org, Parent
from journeyport.crm.source import Selection, Source
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state.crm import SENT


@dataclass(frozen=True)
class DriftReport:
    """How far the CRM stands from what it accepted.

    Attributes:
        org: the org.
        counts: per object: in step, drifted, gone, and rows no longer in the lake.
        fields: per object, how many records drifted in each field.
    """

    org: Org
    counts: Mapping[str, Mapping[str, int]]
    fields: Mapping[str, Mapping[str, int]]

    @property
    def ok(self) -> bool:
        """Whether nothing drifted and nothing is gone."""
        return not any(c.get("drifted") or c.get("gone") for c in self.counts.values())

    @property
    def facts(self) -> dict[str, Any]:
        """The report without a single value."""
        return {
            "org": self.org.id,
            "counts": {name: dict(count) for name, count in self.counts.items()},
            "fields": {name: dict(count) for name, count in self.fields.items()},
        }

    def text(self) -> str:
        """The report for a person to read."""
        lines = [f"{self.org.name} ({self.org.id}, {self.org.kind})"]
        for name, count in self.counts.items():
            told = ", ".join(f"{many} {what}" for what, many in count.items() if many)
            lines.append(f"  {name}: {told or 'nothing was ever sent'}")
            lines += [
                f"    {field_name}: {many} differ"
                for field_name, many in self.fields.get(name, {}).items()
            ]
        lines.append("  in step" if self.ok else "  drifted: the next plan says more")
        return "\n".join(lines)


def verify(
    lake: Lake, state: State, crm: Crm, mapping: CrmMapping, *, clock: Clock
) -> DriftReport:
    """Read every record of the ledger and compare it with what it should be.

    Args:
        lake: what should be.
        state: the ledger.
        crm: what is; signed in.
        mapping: what becomes what.
        clock: the time, for the retention.
    """
    source = Source(lake, mapping, Selection(clock.now()))
    counts: dict[str, Mapping[str, int]] = {}
    fields: dict[str, Mapping[str, int]] = {}
    for rule in mapping.objects:
        found = _object(source, state, crm, mapping, rule)
        counts[rule.name], fields[rule.name] = found
    return DriftReport(crm.org, counts, fields)


def _object(
    source: Source, state: State, crm: Crm, mapping: CrmMapping, rule: ObjectRule
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    shape = fitting(crm, rule)
    ledger = {
        key: entry
        for key, entry in memory.ledger(state, crm.org.id, rule.name).items()
        if entry.standing == SENT
    }
    wanted = {record.key: record for record in source.wanted(rule, shape).records}
    parents = {
        (parent.object_name, key): entry.record_id
        for parent in rule.parents
        for key, entry in memory.ledger(state, crm.org.id, parent.object_name).items()
    }
    ids = sorted(entry.record_id for entry in ledger.values())
    seen = {s.id: s for s in crm.find(rule.name, "Id", ids, rule.names)}
    count: Counter[str] = Counter()
    drifted: Counter[str] = Counter()
    for key, entry in ledger.items():
        record, now = wanted.get(key), seen.get(entry.record_id)
        if now is None:
            count["gone"] += 1
        elif record is None:
            count["no longer in the lake"] += 1
        else:
            found = difference(
                rule,
                shape,
                record,
                now,
                parents=_parents(mapping, rule, record.parents),
                parent_ids={
                    parent.name: parents.get(
                        (parent.object_name, record.parents.get(parent.name, ""))
                    )
                    for parent in rule.parents
                },
            )
            count["drifted" if found else "in step"] += 1
            drifted.update([*found.after, *found.parents])
    return dict(count), dict(sorted(drifted.items()))


def _parents(
    mapping: CrmMapping, rule: ObjectRule, keys: Mapping[str, str]
) -> dict[str, Parent]:
    found: dict[str, Parent] = {}
    for parent in rule.parents:
        target = mapping.rule(parent.object_name)
        if target is not None and parent.name in keys:
            found[parent.name] = Parent(
                parent.object_name, target.external_id, parent.name, keys[parent.name]
            )
    return found
