"""What of a record would change, by each field's rule; pure.

`always` fields are brought to our value, `empty_only` fields are filled once; an empty
value of ours changes nothing, unless the rule says `clear`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from journeyport.crm.mapping import Nulls, ObjectRule, Overwrite
from journeyport.crm.protocol import Parent, Seen, Shape, Value
from journeyport.crm.source import Record
from journeyport.crm.values import same


@dataclass
class Difference:
    """The fields that would change, and what they and the external id hold now."""

    after: dict[str, Value] = field(default_factory=dict)
    before: dict[str, Value] = field(default_factory=dict)
    parents: dict[str, Parent] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.after or self.parents)


def difference(
    rule: ObjectRule,
    shape: Shape,
    record: Record,
    seen: Seen | None,
    *,
    parents: Mapping[str, Parent],
    parent_ids: Mapping[str, str | None],
) -> Difference:
    """Compare a record as it should be with what the CRM holds.

    Args:
        rule: the object's mapping.
        shape: what the CRM says about the object.
        record: as it should be.
        seen: as it is; None: it is not there.
        parents: its parents, by lookup field.
        parent_ids: the CRM's ids of those, None where not known yet.
    """
    found = Difference()
    now: Mapping[str, Value] = seen.values if seen is not None else {}
    if seen is not None:  # an apply looks whether the record is still the same one's
        found.before[rule.external_id] = now.get(rule.external_id)
        if now.get(rule.external_id) != record.key:
            found.after[rule.external_id] = record.key
    for each in rule.fields:
        wanted, held = record.values[each.name], now.get(each.name)
        blank = wanted is None
        if blank and (each.nulls is Nulls.LEAVE or held in (None, "")):
            continue
        if each.overwrite is Overwrite.EMPTY_ONLY and held not in (None, ""):
            continue
        if seen is None or not same(shape.fields[each.name], wanted, held):
            _set(found, each.name, wanted, now)
    if rule.merged_into and now.get(rule.merged_into) not in (None, ""):
        _set(found, rule.merged_into, None, now)
    for name, parent in parents.items():
        known = parent_ids.get(name)
        here = str(now.get(name) or "")
        if known is None or known[:15] != here[:15]:
            found.parents[name] = parent
            found.before[name] = now.get(name)
    return found


def missing(rule: ObjectRule, shape: Shape, found: Difference) -> list[str]:
    """The fields without which the CRM makes no record of this object."""
    given = {rule.external_id, *found.parents}
    given |= {name for name, value in found.after.items() if value is not None}
    return sorted(
        name for name, f in shape.fields.items() if f.required and name not in given
    )


def _set(found: Difference, name: str, value: Value, now: Mapping[str, Value]) -> None:
    found.after[name] = value
    found.before[name] = now.get(name)
