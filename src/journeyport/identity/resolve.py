"""The door of identity: from the lake's documents to the identity snapshots.

Order of the work: evidence, decisions, ids, history into the state, snapshots into the
lake, and last the mark that the version was published. A crash anywhere leaves a
history that gives the same ids again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from journeyport.identity.journeys import journeys
from journeyport.identity.reading import read_documents, source_strengths
from journeyport.identity.rules import apply_rules, list_rules
from journeyport.identity.snapshots import Carried, beside, carry
from journeyport.identity.standing import Outcome, settle
from journeyport.lake import Lake
from journeyport.schema import Table
from journeyport.state import State
from journeyport.state.identity import (
    IdentityVersion,
    OperatorRule,
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
class AccountReport:
    """What one account's identity came to.

    Attributes:
        version: the identity version that now holds.
        changed: whether any row of any identity table changed.
        engagements: how many RESOLVED, PROVISIONAL, AMBIGUOUS and NONE.
        customers: how many RESOLVED and PROVISIONAL.
        events: how many ids were MINTED, MERGED, SPLIT, RETIRED, ANCHORED this time.
        refusals: how many links each rule refuses.
        rows: rows per table.
    """

    account: str
    version: int
    changed: bool
    engagements: Mapping[str, int]
    customers: Mapping[str, int]
    events: Mapping[str, int]
    refusals: Mapping[str, int]
    rows: Mapping[str, int]


@dataclass(frozen=True)
class IdentityReport:
    """What a night's identity came to, account by account."""

    accounts: Mapping[str, AccountReport] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything changed in any account."""
        return any(report.changed for report in self.accounts.values())


@dataclass(frozen=True)
class Decision:
    """Who is who in one account, decided but not yet written."""

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
) -> IdentityReport:
    """Resolve the accounts and publish every identity snapshot.

    The same evidence under the same rules gives the same files byte for byte; a second
    call changes no file, no version and no history.
    """
    now = clock.now()
    before = {table.name: lake.read_snapshot(table.name) for table in IDENTITY_TABLES}
    reports: dict[str, AccountReport] = {}
    written: dict[str, list[pa.Table]] = {table.name: [] for table in IDENTITY_TABLES}
    for number, account in enumerate(accounts):
        if progress:
            progress("identity", number, len(accounts))
        mine = {name: _of(data, account) for name, data in before.items()}
        carried, reports[account] = _account(
            lake, state, config, account, mine, run_id=run_id, now=now
        )
        for name, part in carried.items():
            written[name].append(part.data)
    for table in IDENTITY_TABLES:
        others = before[table.name].filter(
            pc.invert(
                pc.is_in(
                    before[table.name]["account_id"],
                    value_set=pa.array(list(accounts), pa.string()),
                )
            )
        )
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
    return Decision(evidence, weights, outcome, naming, ledger, tables)


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


def _account(
    lake: Lake,
    state: State,
    config: IdentityConfig,
    account: str,
    before: Mapping[str, pa.Table],
    *,
    run_id: str,
    now: datetime,
) -> tuple[dict[str, Carried], AccountReport]:
    held = read_version(state, account)
    history = read_history(state, account)
    version = _next_version(held, before)
    decision = decide(
        lake,
        config,
        account,
        rules=list_rules(state, account, now=now),
        ledger=read_ledger(history),
        prior=prior_customers(before[CUSTOMER_IDENTIFIERS.name], held),
        version=version,
    )
    events = decision.naming.events
    history += events
    tables = {
        **decision.tables,
        **rows.remembered(account, history, read_ledger(history)),
    }
    carried = {
        table.name: carry(table, tables[table.name], before[table.name], version)
        for table in IDENTITY_TABLES
    }
    changed = bool(events) or any(
        table.changed or table.gone for table in carried.values()
    )
    kept = version if changed or held is None else held.version
    if changed or held is None or held.fingerprint != config.fingerprint(account):
        record_version(
            state,
            account,
            version=IdentityVersion(kept, config.fingerprint(account), published=False),
            events=events,
            run_id=run_id,
            now=now,
        )
    return carried, AccountReport(
        account=account,
        version=kept,
        changed=changed,
        engagements=_counts(decision.tables[ENGAGEMENT_CUSTOMERS.name], "resolution"),
        customers=_counts(decision.tables[CUSTOMERS.name], "resolution"),
        events=dict(Counter(event.event for event in events)),
        refusals=_counts(decision.tables[IDENTITY_REFUSALS.name], "rule"),
        rows={name: len(table.data) for name, table in carried.items()},
    )


def _next_version(held: IdentityVersion | None, before: Mapping[str, pa.Table]) -> int:
    """The version that a change gets; one that was never published is used again."""
    if held is not None:
        return held.version + 1 if held.published else held.version
    seen = [pc.max(data["identity_version"]).as_py() or 0 for data in before.values()]
    return max(seen, default=0) + 1


def _of(data: pa.Table, account: str) -> pa.Table:
    return data.filter(pc.equal(data["account_id"], account))


def _counts(data: pa.Table, column: str) -> dict[str, int]:
    counted = pc.value_counts(data[column]).to_pylist()
    return {item["values"]: item["counts"] for item in
            sorted(counted, key=lambda item: str(item["values"]))}  # fmt: skip
