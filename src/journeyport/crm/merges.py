"""Customers that have become one: what their records in the CRM are told.

The children follow by their parents' external ids, which is part of their own records.
A record of a merged customer keeps everything but the one field that says which
customer it has become; nobody deletes or merges it, and its external id is never
written again.
"""

import hashlib
import json
from collections.abc import Mapping

from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.match import Keys
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
