"""The door of identity: from the lake's documents to the identity snapshots.

Order of the work: evidence, decisions, ids, history into the state, snapshots into the
lake, and last the mark that the version was published. A crash anywhere leaves a
history that gives the same ids again.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from journeyport.clock import Clock
from journeyport.identity import rows
from journeyport.identity.config import IdentityConfig
from journeyport.identity.evidence import Evidence, Weights, gather, weigh
from journeyport.identity.history import (
    Identifier,
    Ledger,
    Naming,
    name_customers,
    read_ledger,
)
from journeyport.identity.index import Index, opened
from journeyport.identity.indexed import Basis
from journeyport.identity.indexing import index_account
from journeyport.identity.journeys import journeys
from journeyport.identity.night import follow as follow_night
from journeyport.identity.publish import merge
from journeyport.identity.reading import (
    Documents,
    day_contents,
    read_documents,
    source_strengths,
)
from journeyport.identity.report import AccountReport, IdentityReport, counts
from journeyport.identity.rules import apply_rules, list_rules
from journeyport.identity.snapshots import VERSION, Carried, beside, carry
from journeyport.identity.standing import Outcome, settle
from journeyport.lake import Lake
from journeyport.schema import Table
from journeyport.state import State
from journeyport.state.identity import (
    HistoryEvent,
    IdentityVersion,
    OperatorRule,
    last_history_version,
    mark_published,
    read_history,
    read_version,
    record_version,
)
from journeyport.tables import (
    CUSTOMER_ID_HISTORY,
    CUSTOMER_ID_REDIRECTS,
    CUSTOMER_IDENTIFIERS,
    CUSTOMERS,
    ENGAGEMENT_CUSTOMERS,
    IDENTITY_LINKS,
    IDENTITY_REFUSALS,
    JOURNEY_ENGAGEMENTS,
    JOURNEYS,
)

IDENTITY_TABLES: tuple[Table, ...] = (
    ENGAGEMENT_CUSTOMERS,
    CUSTOMERS,
    CUSTOMER_IDENTIFIERS,
    IDENTITY_LINKS,
    IDENTITY_REFUSALS,
    JOURNEYS,
    JOURNEY_ENGAGEMENTS,
    CUSTOMER_ID_HISTORY,
    CUSTOMER_ID_REDIRECTS,
)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Decision:
    """Who is who in one account, decided but not yet written."""

    documents: Documents
    evidence: Evidence
    weights: Weights
    outcome: Outcome
    naming: Naming
    ledger: Ledger
    tables: Mapping[str, pa.Table]


def resolve(
    lake: Lake,
    state: State,
    config: IdentityConfig,
    *,
    accounts: Sequence[str],
    run_id: str,
    clock: Clock,
    progress: Progress | None = None,
    rebuild: bool = False,
) -> IdentityReport:
    """Resolve the accounts and publish every identity snapshot.

    Only what changed evidence and rules reach is resolved again, unless `rebuild` asks
    for all of it; both give the same.

    The same evidence under the same rules gives the same files byte for byte; a second
    call changes no file, no version and no history.
    """
    now = clock.now()
    before = {table.name: lake.read_snapshot(table.name) for table in IDENTITY_TABLES}
    reports: dict[str, AccountReport] = {}
    written: dict[str, list[pa.Table]] = {table.name: [] for table in IDENTITY_TABLES}
    # The index is kept only when the snapshots are written: a crash leaves the old one,
    # which no longer fits the version, and the next night rebuilds.
    with opened(state) as index:
        for number, account in enumerate(accounts):
            if progress:
                progress("identity", number, len(accounts))
            mine = {name: _of(data, account) for name, data in before.items()}
            job = _Job(lake, state, index, config, account, mine, now)
            tables, reports[account] = _account(job, run_id=run_id, follow=not rebuild)
            for name, part in tables.items():
                written[name].append(part.data)
        for table in IDENTITY_TABLES:
            others = _apart(before[table.name], accounts)
            whole = beside(table, others, written[table.name])
            lake.write_snapshot(table.name, whole, run_id=run_id)
    for account, report in reports.items():
        mark_published(state, account, report.version)
    if progress:
        progress("identity", len(accounts), len(accounts))
    return IdentityReport(reports)


def decide(
    lake: Lake,
    config: IdentityConfig,
    account: str,
    *,
    rules: Sequence[OperatorRule],
    ledger: Ledger,
    prior: Mapping[Identifier, str],
    version: int,
) -> Decision:
    """Who is who in one account, from its documents; writes nothing."""
    documents = read_documents(lake, account, config)
    evidence = gather(documents.engagements, documents.identifiers)
    weights = weigh(evidence, config, account, source_strengths(lake, account))
    outcome = settle(evidence, weights, apply_rules(rules, evidence, weights))
    naming = name_customers(
        evidence, weights, outcome, ledger, prior, account=account, version=version
    )
    tables = rows.decided(account, evidence, weights, outcome, naming.ids)
    tables[JOURNEYS.name], tables[JOURNEY_ENGAGEMENTS.name] = journeys(
        documents.engagements,
        tables[ENGAGEMENT_CUSTOMERS.name],
        tables[CUSTOMERS.name],
        gap_hours=config.episode_gap_hours,
    )
    return Decision(documents, evidence, weights, outcome, naming, ledger, tables)


def prior_customers(
    identifiers: pa.Table, version: IdentityVersion | None
) -> dict[Identifier, str]:
    """The customer each value was of, from the account's last snapshot.

    Empty where that snapshot is not the one of the last version: then the history's
    anchors alone say whose is whose.
    """
    if version is not None and not version.published:
        return {}
    own = identifiers.filter(pc.not_equal(identifiers["standing"], "SHARED"))
    return {
        (kind, value): customer
        for kind, value, customer in zip(
            own["identifier_type"].to_pylist(),
            own["value"].to_pylist(),
            own["customer_id"].to_pylist(),
            strict=True,
        )
    }


@dataclass(frozen=True)
class _Job:
    """What the work on one account needs."""

    lake: Lake
    state: State
    index: Index
    config: IdentityConfig
    account: str
    before: Mapping[str, pa.Table]
    now: datetime


@dataclass(frozen=True)
class _Work:
    """One account's tables, worked out anew or followed."""

    tables: Mapping[str, Carried]
    events: tuple[HistoryEvent, ...]
    customers: int
    followed: bool


def _account(
    job: _Job, *, run_id: str, follow: bool
) -> tuple[Mapping[str, Carried], AccountReport]:
    account = job.account
    held = read_version(job.state, account)
    version = _next_version(job, held)
    strengths = source_strengths(job.lake, account)
    fingerprint = _fingerprint(job.config, account, strengths)
    operators = _numbers(list_rules(job.state, account, now=job.now))
    content = day_contents(job.lake, account)
    work = None
    if follow and held is not None and held.published:
        basis = Basis(held.version, fingerprint, operators, _told(job.before))
        work = _follow(job, basis, content, strengths, version)
    if work is None:
        work = _rebuild(job, held, version)
    changed = bool(work.events) or any(
        table.changed or table.gone for table in work.tables.values()
    )
    kept = version if changed or held is None else held.version
    if changed or held is None or held.fingerprint != fingerprint:
        record_version(
            job.state,
            account,
            version=IdentityVersion(kept, fingerprint, published=False),
            events=work.events,
            run_id=run_id,
            now=job.now,
        )
    tables = work.tables
    told = _told({name: table.data for name, table in tables.items()})
    job.index.set_basis(account, Basis(kept, fingerprint, operators, told), content)
    engagements = tables[ENGAGEMENT_CUSTOMERS.name].data
    return tables, AccountReport(
        account=account,
        version=kept,
        changed=changed,
        engagements=counts(engagements, "resolution"),
        customers=counts(tables[CUSTOMERS.name].data, "resolution"),
        events=dict(Counter(event.event for event in work.events)),
        refusals=counts(tables[IDENTITY_REFUSALS.name].data, "rule"),
        rows={name: len(table.data) for name, table in tables.items()},
        touched=work.customers,
        followed=work.followed,
    )


def _rebuild(job: _Job, held: IdentityVersion | None, version: int) -> _Work:
    """From all evidence."""
    history = read_history(job.state, job.account)
    rules = list_rules(job.state, job.account, now=job.now)
    decision = decide(
        job.lake,
        job.config,
        job.account,
        rules=rules,
        ledger=read_ledger(history),
        prior=prior_customers(job.before[CUSTOMER_IDENTIFIERS.name], held),
        version=version,
    )
    history += decision.naming.events
    tables = {
        **decision.tables,
        **rows.remembered(job.account, history, read_ledger(history).redirects),
    }
    index_account(
        job.index,
        job.account,
        decision.documents,
        (decision.evidence, decision.weights, decision.outcome, decision.naming),
        listed=job.config.candidates_listed,
        ruled=[side for rule in rules for side in (rule.left, rule.right)],
    )
    return _Work(
        {
            table.name: carry(
                table, tables[table.name], job.before[table.name], version
            )
            for table in IDENTITY_TABLES
        },
        decision.naming.events,
        len(decision.naming.ids),
        followed=False,
    )


def _follow(
    job: _Job,
    basis: Basis,
    content: Mapping[str, str],
    strengths: Mapping[str, str],
    version: int,
) -> _Work | None:
    """From what changed since the index was made; None: it is not of this version."""
    held = job.index.basis(job.account)
    if held is None or replace(held, operators=basis.operators) != basis:
        return None
    before = job.index.days(job.account)
    changed = sorted(
        day
        for day in before.keys() | content.keys()
        if before.get(day) != content.get(day)
    )
    turned = set(held.operators.split(",")) ^ set(basis.operators.split(","))
    if not changed and not turned:
        same = {name: Carried(data, 0, 0) for name, data in job.before.items()}
        return _Work(same, (), 0, followed=True)
    touched = follow_night(
        job.lake,
        job.state,
        job.index,
        job.config,
        job.account,
        strengths=strengths,
        changed=changed,
        rules=list_rules(job.state, job.account, now=job.now),
        turned=[
            rule
            for rule in list_rules(job.state, job.account)
            if str(rule.number) in turned
        ],
        version=version,
    )
    if touched is None:
        return None
    tables = merge(
        job.before,
        touched,
        account=job.account,
        gap_hours=job.config.episode_gap_hours,
        version=version,
    )
    return _Work(tables, touched.naming.events, len(touched.customers), followed=True)


def _fingerprint(
    config: IdentityConfig, account: str, strengths: Mapping[str, str]
) -> str:
    """Of all rules that hold, the source's strengths included."""
    text = config.fingerprint(account) + json.dumps(strengths, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _told(tables: Mapping[str, pa.Table]) -> str:
    """Rows and last version of each table: whether snapshots are those last written."""
    return ";".join(
        f"{len(tables[table.name])},{pc.max(tables[table.name][VERSION])}"
        for table in IDENTITY_TABLES
    )


def _numbers(rules: Sequence[OperatorRule]) -> str:
    return ",".join(str(rule.number) for rule in rules)


def _next_version(job: _Job, held: IdentityVersion | None) -> int:
    """The version that a change gets; one that was never published is used again.

    Where the state holds no version, it goes on from snapshots and history.
    """
    if held is not None:
        return held.version + 1 if held.published else held.version
    seen = [pc.max(data[VERSION]).as_py() or 0 for data in job.before.values()]
    return max(*seen, last_history_version(job.state, job.account)) + 1


def _apart(data: pa.Table, accounts: Sequence[str]) -> pa.Table:
    known = pa.array(list(accounts), pa.string())
    return data.filter(pc.invert(pc.is_in(data["account_id"], value_set=known)))


def _of(data: pa.Table, account: str) -> pa.Table:
    return data.filter(pc.equal(data["account_id"], account))
