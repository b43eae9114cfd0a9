"""One account-day from raw to its tables: choose, screen, parse, derive, write."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import HASH_VERSION, conform, unchunked
from journeyport.lake import DayWriter, Lake
from journeyport.normalise.columns import Columns, parse
from journeyport.normalise.documents import COUNTS, Rules, tables_of
from journeyport.normalise.screening import Fault
from journeyport.normalise.values import NORMALISER_VERSION, local
from journeyport.normalise.versions import Workspace, documents, fingerprint
from journeyport.tables import BY_NAME, DAILY, ENGAGEMENTS, MOVED

BATCH = 10_000
"""Documents parsed at once: what memory costs, and nothing else, depends on it."""

KNOWN_VALUES = {
    ("engagements", "status"): ("CREATED", "ACTIVE", "COMPLETED"),
    ("engagements", "direction"): ("INBOUND", "OUTBOUND"),
    ("participants", "participant_type"): ("EXTERNAL", "AGENT", "TREATMENT"),
    ("participants", "source_state"): ("ACTIVE", "HELD", "DROPPED"),
    ("participants", "automation_type"): ("SELF_SERVICE", "TREATMENT", "CHATBOT"),
    ("transfers", "transfer_type"): (
        "TRANSFER_TO_AGENT",
        "TRANSFER_TO_QUEUE",
        "TRANSFER_TO_EXTERNAL",
        "CONSULT_TRANSFER_TO_QUEUE",
    ),
}
"""The values published for a column; others are kept and named in the drift."""


@dataclass(frozen=True)
class AccountRules:
    """What an account's settings say about its documents.

    Attributes:
        account_id: the account.
        region: two letters, for phone numbers without a country code.
        timezone: the zone of local dates and hours.
    """

    account_id: str
    region: str = "US"
    timezone: str = "UTC"


@dataclass(frozen=True)
class Reject:
    """A document that became no rows.

    Attributes:
        account_id: the account.
        day: the UTC day.
        record_key: the engagement's id.
        field: path in the document; empty: the whole.
        code: a short code.
        reason: in words, without any value.
        payload: the document; None: too large to keep twice, it stays in raw.
    """

    account_id: str
    day: date
    record_key: str
    field: str
    code: str
    reason: str
    payload: str | None


@dataclass(frozen=True)
class DayReport:
    """What came of an account-day.

    Attributes:
        account: the account.
        day: the UTC day.
        documents: current versions read.
        rows: rows per table.
        rejects: documents that became no rows.
        changed: files or facts differ from what was there.
        drift: unknown fields and values by name, counted.
        stale: why what was there before was made by other rules; empty: it was not.
    """

    account: str
    day: date
    documents: int
    rows: Mapping[str, int]
    rejects: list[Reject]
    changed: bool
    drift: Mapping[str, int]
    stale: tuple[str, ...] = ()


@dataclass
class Progress:
    """What has come of a day's documents so far."""

    documents: int = 0
    rejects: list[Reject] = field(default_factory=list)
    drift: Counter[str] = field(default_factory=Counter)


def conform_day(
    lake: Lake,
    account: AccountRules,
    day: date,
    *,
    run_id: str,
    strengths: Mapping[str, str],
    policy: str = "",
    batch: int = BATCH,
) -> DayReport:
    """Write all daily tables of an account-day from its raw documents.

    Args:
        lake: where both are.
        account: the account's rules.
        day: the UTC day.
        run_id: the run, for the manifest; rows carry the run that landed them.
        strengths: identifier strengths in use, by type.
        policy: the field policy in force, for the manifest.
        batch: documents at once; the result does not depend on it.
    """
    return next(
        conform_days(
            lake,
            account,
            [day],
            run_id=run_id,
            strengths=strengths,
            policy=policy,
            batch=batch,
        )
    )


def conform_days(
    lake: Lake,
    account: AccountRules,
    days: Iterable[date],
    *,
    run_id: str,
    strengths: Mapping[str, str],
    policy: str = "",
    batch: int = BATCH,
) -> Iterator[DayReport]:
    """`conform_day` for several days, one after the other, in one workspace."""
    rules = Rules(account.account_id, account.region, account.timezone, strengths)
    with Workspace() as workspace:
        for day in days:
            yield _conform(lake, workspace, rules, day, run_id, policy, batch)


def _conform(  # noqa: PLR0917 - the doors above name them
    lake: Lake,
    workspace: Workspace,
    rules: Rules,
    day: date,
    run_id: str,
    policy: str,
    batch: int,
) -> DayReport:
    progress, digest = Progress(), hashlib.sha256()
    stale = tuple(_reasons(lake, rules, day))
    with lake.day_writer(rules.account_id, day) as writer:
        for part in documents(lake, workspace, rules.account_id, day, batch):
            digest.update(fingerprint(part))
            write_part(writer, rules, day, part, progress)
        drift = dict(sorted(progress.drift.items()))
        facts = facts_of(rules, policy) | {
            "raw_fingerprint": digest.hexdigest(),
            "documents": progress.documents,
            "rejected": len(progress.rejects),
            "drift": drift,
        }
        manifest = writer.commit(run_id=run_id, facts=facts)
    return DayReport(
        rules.account_id,
        day,
        progress.documents,
        {name: table.rows for name, table in manifest.tables.items()},
        progress.rejects,
        manifest.changed,
        drift,
        stale,
    )


def facts_of(rules: Rules, policy: str) -> dict[str, object]:
    """What besides raw and the tables' versions decides a day's rows."""
    return {
        "normaliser_version": NORMALISER_VERSION,
        "row_hash_version": HASH_VERSION,
        "region": rules.region,
        "timezone": rules.timezone,
        "strengths": dict(sorted(rules.strengths.items())),
        "policy": policy,
    }


def write_part(
    writer: DayWriter,
    rules: Rules,
    day: date,
    part: pa.Table,
    progress: Progress,
) -> None:
    """Write some documents' rows to all daily tables.

    Args:
        writer: of that day.
        rules: the account's.
        day: the UTC day.
        part: rows of raw in the order of their ids, behind those of parts before.
        progress: what is counted and rejected goes there.
    """
    progress.documents += len(part)
    # What moved to another day stands there, and not as deleted here.
    moved = pc.fill_null(
        pc.equal(part.column("deleted_reason"), MOVED), fill_value=False
    )
    dead = part.filter(pc.and_not(part.column("is_deleted"), moved))
    live = part
    if pc.any(part.column("is_deleted")).as_py():
        live = part.filter(pc.invert(part.column("is_deleted")))
    payloads = unchunked(live.column("payload"))
    fits = unchunked(live.column("fits"))
    seen, fields = parse(payloads, fits, rules.account_id)
    progress.drift.update(seen.drift)
    kept = live.drop_columns(["payload", "fits"])
    if seen.faults:
        kept = kept.filter(
            pa.array([place not in seen.faults for place in range(len(live))])
        )
    made = tables_of(fields, kept, rules)
    for place, fault in sorted(seen.faults.items()):
        progress.rejects.append(_reject(rules, day, live, place, fault))
    for table in DAILY:
        rows = conform(table, made[table.name])
        if table is ENGAGEMENTS and len(dead):
            rows = pa.concat_tables([rows, _tombstones(dead, rules)])
            rows = rows.sort_by("engagement_id")
        _name_new_values(table.name, rows, progress.drift)
        writer.write(table.name, rows)


def _reject(
    rules: Rules, day: date, live: pa.Table, place: int, fault: Fault
) -> Reject:
    row = live.slice(place, 1).select(["engagement_id", "payload"]).to_pylist()[0]
    return Reject(
        rules.account_id,
        day,
        row["engagement_id"],
        fault.field,
        fault.code,
        fault.reason,
        None if fault.code == "TOO_LARGE" else row["payload"],
    )


def _tombstones(dead: pa.Table, rules: Rules) -> pa.Table:
    """Deleted engagements: when they were and that they are gone, nothing else."""
    start = unchunked(dead.column("start_date"))
    dates, hours, weekdays = local(start, rules.timezone)
    nothing = pa.repeat(pa.scalar(0, pa.int64()), len(dead))
    columns: Columns = {
        "account_id": pa.repeat(pa.scalar(rules.account_id), len(dead)),
        "local_date": dates,
        "local_hour": hours,
        "local_weekday": weekdays,
        **dict.fromkeys(COUNTS, nothing),
    }
    same = [name for name in dead.column_names if name in ENGAGEMENTS.names]
    table = pa.table(columns | {name: dead.column(name) for name in same})
    return conform(ENGAGEMENTS, table)


def _name_new_values(name: str, rows: pa.Table, drift: Counter[str]) -> None:
    for (table, column), known in KNOWN_VALUES.items():
        if table != name:
            continue
        counted = pc.value_counts(rows.column(column)).to_pylist()
        for entry in counted:
            value = entry["values"]
            if value is not None and value not in known:
                drift[f"new value {table}.{column}={value[:64]}"] += entry["counts"]


def stale_days(
    lake: Lake, account: AccountRules, strengths: Mapping[str, str]
) -> dict[date, list[str]]:
    """The account's days that other rules wrote than those in force, and why.

    A day without manifest is stale too: its raw documents were never conformed.
    """
    rules = Rules(account.account_id, account.region, account.timezone, strengths)
    found = {
        day: _reasons(lake, rules, day) for day in lake.raw_days(account.account_id)
    }
    return {day: reasons for day, reasons in found.items() if reasons}


def _reasons(lake: Lake, rules: Rules, day: date) -> list[str]:
    """Why what is there of a day is not what the rules in force would make of it."""
    manifest = lake.manifest(rules.account_id, day)
    if manifest is None:
        return ["never normalised"]
    wanted = facts_of(rules, "")
    del wanted["policy"]  # applied at landing: raw decides, not the setting
    reasons = [
        f"table {table.name} is now version {BY_NAME[table.name].version}"
        for table in DAILY
        if table.name not in manifest.tables
        or manifest.tables[table.name].version != BY_NAME[table.name].version
    ]
    reasons += [
        f"{name} changed"
        for name, value in wanted.items()
        if manifest.facts.get(name) != value
    ]
    return reasons
