"""Customers that have become one: what their records in the CRM are told.

The children follow by their parents' external ids, which is part of their own records.
A record of a merged customer keeps everything but the one field that says which
customer it has become; nobody deletes or merges it, and its external id is never
written again.
"""

import hashlib
import json
from collections.abc import Mapping

from journeyport.crm.compare import Difference
from journeyport.crm.draft import Draft, entry_of, is_suppressed, settle
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.match import Keys
from journeyport.crm.otherside import OtherSide
from journeyport.crm.source import Record
from journeyport.state.crm import SENT, Entry


def farewells(
    mapping: CrmMapping,
    rule: ObjectRule,
    keys: Keys,
    ledger: Mapping[str, Entry],
) -> list[tuple[Record, Entry]]:
    """What the records of merged customers should say, with the ledger's entries."""
    if rule.merged_into is None:
        return []
    found: list[tuple[Record, Entry]] = []
    for key, living in sorted(keys.retired.items()):
        entry = ledger.get(key)
        if living is not None and entry is not None and entry.standing == SENT:
            found.append(
                (_farewell(mapping.hash, rule.merged_into, entry, living), entry)
            )
    return found


def _farewell(mapping_hash: str, name: str, entry: Entry, living: str) -> Record:
    values = {name: living}
    text = json.dumps([mapping_hash, "merged", values], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    return Record(
        entry.record_key, entry.account_id, entry.customer_id, values, {}, digest
    )


def say_farewells(
    draft: Draft, rule: ObjectRule, keys: Keys, side: OtherSide
) -> set[str]:
    """Say on a merged customer's record which customer it has become.

    Returns:
        The external ids of the records that say so, or will.
    """
    if rule.merged_into is None:
        return set()
    here = draft.present[rule.name]
    taken = {a.record_id for a in draft.actions if a.object_name == rule.name}
    taken |= {here[key] for key in here if key in keys.living}
    due: list[tuple[Record, str]] = []
    for record, entry in farewells(draft.mapping, rule, keys, side.ledger):
        is_said = entry.record_hash == record.hash
        is_touched = entry.record_id in side.changed
        if entry.record_id in taken or (is_said and not is_touched):
            continue
        if not is_suppressed(draft, record, entry.record_id):
            due.append((record, entry.record_id))
    ids = [record_id for _, record_id in due]
    seen = {s.id: s for s in draft.crm.find(rule.name, "Id", ids, rule.names)}
    settled: list[Entry] = []
    done: set[str] = set()
    for record, record_id in due:
        now = seen.get(record_id)
        if now is None or now.values.get(rule.external_id) != record.key:
            continue  # deleted, or somebody else's by now
        done.add(record.key)
        said = now.values.get(rule.merged_into)
        if record.values[rule.merged_into] == said:
            settled.append(entry_of(record, record_id))
            continue
        draft.counts[rule.name]["merged away"] += 1
        before = {rule.external_id: record.key, rule.merged_into: said}
        found = Difference(dict(record.values), before)
        draft.add(rule, record, record_id, found, is_farewell=True)
    settle(draft, rule, settled, is_farewell=True)
    return done
