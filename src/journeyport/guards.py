"""What must hold of an account-day before it is delivered.

Keys are unique, children have parents, the rows match the counts of the documents, and
no table lost more than a set share of its rows. An account-day that fails is held back
alone; whether it was proved complete is the certificate's matter, not this module's.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from journeyport.checklist import (
    COUNTS_MATCH,
    KEYS_UNIQUE,
    NOT_SHRUNK,
    PARENTS_THERE,
)
from journeyport.clock import Clock
from journeyport.errors import ArgumentError
from journeyport.lake import Lake, Manifest
from journeyport.schema import Table
from journeyport.state import State
from journeyport.state import verdicts as kept
from journeyport.tables import DAILY

_COUNTED = {
    "engagement_identifiers": "identifier_count",
    "engagement_channels": "channel_count",
    "engagement_topics": "topic_count",
    "participants": "participant_count",
    "agent_notes": "note_count",
    "engagement_data": "data_count",
    "engagement_attributes": "attribute_count",
    "queue_segments": "queue_count",
    "transfers": "transfer_count",
}

_FEW = 20
"""Tables of fewer rows may shrink freely: a single erasure is a large share of them."""


@dataclass(frozen=True)
class Finding:
    """A rule that an account-day breaks.

    Attributes:
        rule: one of the checklist.
        table: where.
        rows: how many rows break it.
    """

    rule: str
    table: str
    rows: int


@dataclass(frozen=True)
class Verdict:
    """What the guards say of one account-day; sound when there are no findings."""

    account: str
    day: date
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """It may be delivered, as far as the guards go."""
        return not self.findings


def judge(
    lake: Lake,
    state: State,
    account_days: Sequence[tuple[str, date]],
    *,
    shrink_limit: float,
    run_id: str,
    clock: Clock,
) -> list[Verdict]:
    """Judge account-days; what did not change since the last verdict keeps it.

    Args:
        lake: where the tables are.
        state: where verdicts are kept, and what was there before.
        account_days: those to judge; one without a manifest has no verdict.
        shrink_limit: the share of a table's rows that may vanish.
        run_id: the run that asks.
        clock: the time.
    """
    result = []
    for account, day in account_days:
        manifest = lake.manifest(account, day)
        if manifest is None:
            continue
        print_ = fingerprint(manifest)
        before = kept.last(state, account, day)
        if before is not None and before.fingerprint == print_:
            findings = tuple(Finding(**one) for one in before.findings)
        else:
            accepted = before.rows if before else {}
            findings = (
                *_look(lake, account, day),
                *_shrunk(manifest, accepted, shrink_limit),
            )
            rows = {name: facts.rows for name, facts in manifest.tables.items()}
            kept.keep(
                state,
                account,
                day,
                kept.Kept(
                    print_,
                    rows if not findings else accepted,
                    [vars(finding) for finding in findings],
                ),
                run_id=run_id,
                now=clock.now(),
            )
        result.append(Verdict(account, day, findings))
    return result


def standing(lake: Lake, state: State, account: str, day: date) -> list[Finding]:
    """What the guards last found wrong with an account-day as it is now."""
    manifest = lake.manifest(account, day)
    last = kept.last(state, account, day)
    if manifest is None or last is None or last.fingerprint != fingerprint(manifest):
        return []
    return [Finding(**one) for one in last.findings]


def accept(
    lake: Lake, state: State, account: str, day: date, *, run_id: str, clock: Clock
) -> None:
    """Take an account-day as it is now, by somebody's word; other files are judged.

    Raises:
        ArgumentError: two rows share a key, which no target takes.
    """
    manifest = lake.manifest(account, day)
    findings = standing(lake, state, account, day)
    if manifest is None or not findings:
        return
    if any(one.rule == KEYS_UNIQUE for one in findings):
        raise ArgumentError(
            f"{day} of account {account} holds rows that share a key, which no target "
            f"takes; make its tables again: journeyport export --from {day} --to "
            f"{day} --from-raw."
        )
    rows = {name: facts.rows for name, facts in manifest.tables.items()}
    verdict = kept.Kept(fingerprint(manifest), rows, [])
    kept.keep(state, account, day, verdict, run_id=run_id, now=clock.now())


def fingerprint(manifest: Manifest) -> str:
    """A name for exactly these files."""
    whole = hashlib.sha256()
    for name in sorted(manifest.tables):
        whole.update(f"{name} {manifest.tables[name].sha256}\n".encode())
    return whole.hexdigest()


def _look(lake: Lake, account: str, day: date) -> list[Finding]:
    parents = lake.read_day("engagements", account, day)
    living = parents.filter(pc.invert(parents.column("is_deleted")))
    ids = living.column("engagement_id").combine_chunks()
    found = []
    for table in DAILY:
        rows = (
            parents
            if table.name == "engagements"
            else lake.read_day(table.name, account, day, _columns(table))
        )
        twice = rows.num_rows - len(
            rows.select(list(table.key)).group_by(list(table.key)).aggregate([])
        )
        orphans = 0
        if table.parent:
            known = pc.is_in(rows.column("engagement_id"), ids)
            orphans = rows.num_rows - (pc.sum(known).as_py() or 0)
        wrong = _miscounted(table.name, living, rows)
        for rule, count in (
            (KEYS_UNIQUE, twice),
            (PARENTS_THERE, orphans),
            (COUNTS_MATCH, wrong),
        ):
            if count:
                found.append(Finding(rule, table.name, count))
    return found


def _columns(table: Table) -> list[str]:
    return list(dict.fromkeys((*table.key, "engagement_id")))


def _miscounted(table: str, living: pa.Table, rows: pa.Table) -> int:
    """Engagements whose count of entries differs from the rows there are."""
    column = _COUNTED.get(table)
    if column is None:
        return 0
    told = living.select(["engagement_id", column])
    there = rows.group_by("engagement_id").aggregate([([], "count_all")])
    joined = told.join(there, "engagement_id")
    present = pc.fill_null(joined.column("count_all"), 0)
    return pc.sum(pc.not_equal(joined.column(column), present)).as_py() or 0


def _shrunk(
    manifest: Manifest, before: Mapping[str, int], limit: float
) -> list[Finding]:
    found = []
    for name, rows in before.items():
        facts = manifest.tables.get(name)
        now = facts.rows if facts else 0
        if rows >= _FEW and now < rows * (1 - limit):
            found.append(Finding(NOT_SHRUNK, name, rows - now))
    return found
