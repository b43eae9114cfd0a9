"""What a plan leaves: edits that it did not compare.

The reading of the other side moves on with each plan, also past records that this plan
is not about, keeps back or cannot send. What people did to those is not forgotten: they
count as unsure from then on and are read when a plan is about them.
"""

from collections.abc import Collection

from journeyport.crm.draft import Draft
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.otherside import OtherSide
from journeyport.state import crm as memory
from journeyport.state.crm import SENT


def keep_unread(
    draft: Draft, rule: ObjectRule, side: OtherSide, compared: Collection[str]
) -> None:
    """Let a later plan read what changed in records that this one did not compare.

    A customer's record that bears its key no longer is not the customer's until that is
    looked for afresh.
    """
    lost: list[tuple[str, str, None]] = []
    lost_keys: list[str] = []
    unsure: list[str] = []
    for key, entry in side.ledger.items():
        seen = side.changed.get(entry.record_id)
        if seen is None or entry.standing != SENT or key in compared:
            continue
        if rule.is_customer and seen.values.get(rule.external_id) != key:
            lost.append((entry.account_id, entry.customer_id, None))
            lost_keys.append(key)
            draft.present[rule.name].pop(key, None)
        elif entry.record_hash:
            unsure.append(key)
    if lost or unsure:
        org_id = draft.crm.org.id
        with draft.state.write() as connection:
            memory.doubt(connection, org_id, rule.name, unsure)
            memory.unbook(connection, org_id, rule.name, lost_keys)
            memory.match(connection, org_id, rule.name, lost, at=draft.now)
