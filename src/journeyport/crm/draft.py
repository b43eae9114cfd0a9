"""A plan in the making: what the objects share while they are gone through in order.

Also what is booked without a call: a record that the CRM holds already as it should be.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from journeyport.crm.compare import Difference
from journeyport.crm.guards import Reads
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.planfile import Action
from journeyport.crm.protocol import Crm, Operation, Shape
from journeyport.crm.soql import both_forms
from journeyport.crm.source import Foreseen, Record, Source
from journeyport.crm.suppression import Names
from journeyport.errors import SettingsError
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state.crm import Entry


@dataclass
class Draft:
    """A plan in the making, shared by the objects in their order."""

    crm: Crm
    state: State
    source: Source
    mapping: CrmMapping
    run_id: str
    now: datetime
    suppressed: frozenset[str]
    names: Names
    reads: Reads
    actions: list[Action] = field(default_factory=list)
    foreseen: list[Foreseen] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    changes: dict[str, Counter[str]] = field(default_factory=dict)
    matches: Counter[str] = field(default_factory=Counter)
    unmatched: list[dict[str, Any]] = field(default_factory=list)
    frontiers: dict[str, datetime] = field(default_factory=dict)
    present: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """Per object, the external ids that are or will be there, with the record id."""

    def add(
        self,
        rule: ObjectRule,
        record: Record,
        record_id: str | None,
        found: Difference,
        *,
        is_farewell: bool = False,
    ) -> None:
        """Put one action into the plan."""
        self.actions.append(
            Action(
                number=len(self.actions),
                object_name=rule.name,
                operation=Operation.UPDATE if record_id else Operation.UPSERT,
                key=record.key,
                record_id=record_id,
                account_id=record.account_id,
                customer_id=record.customer_id,
                hash=record.hash,
                after=found.after,
                before=found.before,
                parents=found.parents,
                is_farewell=is_farewell,
                names=tuple(sorted(self.names.of(record.customer))),
            )
        )
        self.changes[rule.name].update([*found.after, *found.parents])


def fitting(crm: Crm, rule: ObjectRule) -> Shape:
    """The object, with every field the mapping names.

    Raises:
        SettingsError: the object or a field is not there.
    """
    shape = crm.describe(rule.name)
    if shape is None:
        raise SettingsError(
            f"The org has no object {rule.name}, or this user may not see it; run "
            "`journeyport crm check`."
        )
    for name in (*rule.names, *(m.field for m in rule.matches)):
        if name not in shape.fields:
            raise SettingsError(
                f"The org has no field {rule.name}.{name}, or this user may not see "
                "it; run `journeyport crm check`."
            )
    return shape


def is_suppressed(draft: Draft, record: Record, record_id: str | None) -> bool:
    """Whether the suppression list names the record, its key or its customer."""
    if not draft.suppressed:
        return False
    ids = both_forms(record_id) if record_id else ()
    called = {record.key, *ids, *draft.names.of(record.customer)}
    return not draft.suppressed.isdisjoint(called)


def entry_of(record: Record, record_id: str) -> Entry:
    """The ledger's entry for a record that the CRM holds."""
    return Entry(
        record.key, record_id, record.hash, record.account_id, record.customer_id
    )


def settle(
    draft: Draft,
    rule: ObjectRule,
    settled: Sequence[Entry],
    *,
    is_farewell: bool = False,
) -> None:
    """Book records that the CRM was found to hold as they should be."""
    if not settled:
        return
    org_id = draft.crm.org.id
    keys = [entry.record_key for entry in settled]
    with draft.state.write() as connection:
        memory.book(
            connection, org_id, rule.name, settled, run_id=draft.run_id, at=draft.now
        )
        memory.wake(connection, org_id, rule.name, keys)
        memory.settle_rejects(connection, rule.name, keys)
        if rule.is_customer:
            found = [
                (e.account_id, e.customer_id, None if is_farewell else e.record_id)
                for e in settled
            ]
            memory.match(connection, org_id, rule.name, found, at=draft.now)
