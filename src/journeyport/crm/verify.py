"""What drifted since the last accepted push; nothing is mended in the CRM.

Records that are no longer delivered are counted apart: older than the retention, or
deleted at the source, merged or in doubt by now. They stay in the CRM, for nothing of
ours deletes there; the findings name them, so that the org's owner can.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from journeyport.clock import Clock
from journeyport.crm.compare import difference
from journeyport.crm.draft import fitting
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.protocol import Crm, Org, Parent, Shape
from journeyport.crm.source import Selection, Source
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state.crm import SENT

IN_STEP, DRIFTED, GONE = "in step", "drifted", "gone"

PAST, ABSENT = "past retention", "no longer delivered"


@dataclass(frozen=True)
class DriftReport:
    """How far the CRM stands from what it accepted.

    Attributes:
        org: the org.
        counts: per object: in step, drifted, gone, past retention, no longer delivered.
        fields: per object, how many records drifted in each field.
        findings: each record that is not in step: object, key, record id, what, where.
    """

    org: Org
    counts: Mapping[str, Mapping[str, int]]
    fields: Mapping[str, Mapping[str, int]]
    findings: tuple[tuple[str, ...], ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing drifted and nothing is gone."""
        return not any(c.get(DRIFTED) or c.get(GONE) for c in self.counts.values())

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
    findings: list[tuple[str, ...]] = []
    for rule in mapping.objects:
        found = _object(source, state, crm, mapping, rule)
        counts[rule.name] = dict(Counter(what for _, _, what, _ in found))
        fields[rule.name] = dict(
            sorted(Counter(name for *_, names in found for name in names).items())
        )
        findings += [
            (rule.name, key, record_id, what, " ".join(names))
            for key, record_id, what, names in found
            if what != IN_STEP
        ]
    return DriftReport(crm.org, counts, fields, tuple(findings))


def _object(
    source: Source, state: State, crm: Crm, mapping: CrmMapping, rule: ObjectRule
) -> list[tuple[str, str, str, list[str]]]:
    """Each record of the ledger: key, record id, how it stands, drifted fields."""
    shape = fitting(crm, rule)
    ledger = {
        key: entry
        for key, entry in memory.ledger(state, crm.org.id, rule.name).items()
        if entry.standing == SENT
    }
    wanted = {record.key: record for record in source.wanted(rule, shape).records}
    old = _past_retention(source, rule, shape, set(ledger) - set(wanted))
    parents = {
        (parent.object_name, key): entry.record_id
        for parent in rule.parents
        for key, entry in memory.ledger(state, crm.org.id, parent.object_name).items()
    }
    ids = sorted(entry.record_id for entry in ledger.values())
    seen = {s.id: s for s in crm.find(rule.name, "Id", ids, rule.names)}
    told: list[tuple[str, str, str, list[str]]] = []
    for key, entry in ledger.items():
        record, now = wanted.get(key), seen.get(entry.record_id)
        names: list[str] = []
        if now is None:
            what = GONE
        elif record is None:
            what = PAST if key in old else ABSENT
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
            names = [*found.after, *found.parents]
            what = DRIFTED if found else IN_STEP
        told.append((key, entry.record_id, what, names))
    return told


def _past_retention(
    source: Source, rule: ObjectRule, shape: Shape, keys: Collection[str]
) -> frozenset[str]:
    """Those of the keys whose records are in the lake and only too old."""
    if not keys or rule.retention_days is None:
        return frozenset()
    whole = replace(rule, retention_days=None)
    there = {record.key for record in source.wanted(whole, shape).records}
    return frozenset(there.intersection(keys))


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
