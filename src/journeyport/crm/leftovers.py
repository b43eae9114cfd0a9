"""What a plan leaves: edits it did not compare, refusals that no longer stand.

The reading of the other side moves on with each plan, also past records that this plan
is not about, keeps back or cannot send. What people did to those is not forgotten: they
count as unsure from then on and are read when a plan is about them.
"""

from collections.abc import Collection

from journeyport.crm.draft import Draft
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.match import Keys
from journeyport.crm.otherside import OtherSide
from journeyport.crm.source import Wanted
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


def drop_refusals(
    draft: Draft, rule: ObjectRule, wanted: Wanted, side: OtherSide, keys: Keys
) -> None:
    """Let go of refusals whose record is as accepted, deleted or not delivered."""
    refused = memory.refused(draft.state, rule.name)
    if not refused:
        return
    hashes = {r.key: r.hash for r in wanted.records if r.key in refused}
    standing = {item.key for item in wanted.foreseen} | keys.retired.keys()
    over: list[str] = []
    for key, account in refused.items():
        entry = side.ledger.get(key)
        if key in standing:
            continue
        if key not in hashes:
            is_over = draft.source.covers(account)
        elif entry is not None and entry.standing == SENT:
            is_over = entry.record_hash == hashes[key]
        else:  # people deleted it; a customer may meet another record
            is_over = entry is not None and not rule.is_customer
        if is_over:
            over.append(key)
    if over:
        with draft.state.write() as connection:
            memory.wake(connection, draft.crm.org.id, rule.name, over)
            memory.settle_rejects(connection, rule.name, over)
