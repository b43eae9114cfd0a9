"""What people did in the CRM since it was last read: edits, merges, deletions.

Read incrementally, by SystemModstamp over the living and the binned, of records that
carry a mark of ours. What follows from an edit is decided where records are
compared; deletions and merges are facts and are written down here at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from journeyport.crm.mapping import OWN_PREFIX, ObjectRule
from journeyport.crm.protocol import Crm, Seen
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state.crm import GONE, MOVED, SENT, Entry

OVERLAP = timedelta(minutes=10)
"""Read again from before the frontier: a stamp is older than its commit."""

MARKING = frozenset({"string", "datetime", "double"})
"""Types that can be asked for `!= null`; a checkbox is never null."""

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class OtherSide:
    """What the CRM says now.

    Attributes:
        ledger: what it accepted, its own deletions and merges worked in.
        changed: living records of the ledger that changed, by id.
        frontier: up to when this holds, by the org's own clock.
    """

    ledger: Mapping[str, Entry]
    changed: Mapping[str, Seen]
    frontier: datetime


def look(
    crm: Crm, state: State, rule: ObjectRule, *, run_id: str, at: datetime
) -> OtherSide:
    """Read what changed in one object.

    Args:
        crm: where.
        state: holds the ledger and the frontier.
        rule: the object's mapping.
        run_id: the run that reads.
        at: now, by our clock.
    """
    org_id = crm.org.id
    ledger = memory.ledger(state, org_id, rule.name)
    frontier = crm.newest(rule.name) or BEGINNING
    if not ledger:
        return OtherSide(ledger, {}, frontier)
    since = memory.frontier(state, org_id, rule.name) or BEGINNING
    frontier = max(frontier, since)
    by_id = {entry.record_id: entry for entry in ledger.values()}
    changed: dict[str, Seen] = {}
    moved: list[Entry] = []
    names = rule.names
    reading = max(since - OVERLAP, BEGINNING)
    for seen in crm.changes(rule.name, _marks(crm, rule), reading, names):
        entry = by_id.get(seen.id)
        if entry is None:
            continue
        if not seen.is_deleted:
            changed[seen.id] = seen
            if entry.standing != SENT:  # people took it out of the bin again
                moved.append(replace(entry, standing=SENT, moved_to=None))
        elif entry.standing == SENT or (seen.master_id and entry.standing == GONE):
            standing = MOVED if seen.master_id else GONE
            moved.append(replace(entry, standing=standing, moved_to=seen.master_id))
    if moved:
        with state.write() as connection:
            memory.book(connection, org_id, rule.name, moved, run_id=run_id, at=at)
            if rule.is_customer:
                gone = [
                    (e.account_id, e.customer_id, None)
                    for e in moved
                    if e.standing != SENT
                ]
                memory.match(connection, org_id, rule.name, gone, at=at)
    return OtherSide(
        {**ledger, **{entry.record_key: entry for entry in moved}}, changed, frontier
    )


def _marks(crm: Crm, rule: ObjectRule) -> tuple[str, ...]:
    """The fields by which a record of ours is known, its external id taken off too."""
    shape = crm.describe(rule.name)
    own = [
        field.name
        for field in rule.fields
        if shape is not None
        and field.name.startswith(OWN_PREFIX)
        and shape.fields[field.name].type in MARKING
    ]
    return (rule.external_id, *own[:2])
