"""Small worlds for identity: a lake of hand-written engagements, a state, a clock."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from journeyport.arrow import conform
from journeyport.clock import SetClock
from journeyport.identity import IdentityConfig, load_config, resolve
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.tables import (
    ENGAGEMENT_CHANNELS,
    ENGAGEMENT_IDENTIFIERS,
    ENGAGEMENT_TOPICS,
    ENGAGEMENTS,
    PARTICIPANTS,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNT = "ABCDEF"
PACKAGED = load_config()
TYPES = {"a": "accountIds", "e": "emailAddresses", "p": "phoneNumbers"}


@dataclass(frozen=True)
class Contact:
    """One engagement: `values` are like a1, e2, p3; `minute` counts from NOON."""

    name: str
    values: tuple[str, ...]
    minute: int = 0
    channel: str = "Voice"
    topic: str | None = None
    status: str = "COMPLETED"
    deleted: bool = False
    calling: str | None = None

    @property
    def start(self) -> datetime:
        return NOON + timedelta(minutes=self.minute)


def identifier(value: str) -> tuple[str, str]:
    """`e1` is the e-mail e1; a longer `type=value` is taken as it stands."""
    if "=" in value:
        kind, _, rest = value.partition("=")
        return kind, rest
    return TYPES[value[0]], value


def _day_tables(account: str, contacts: Iterable[Contact]) -> dict[str, pa.Table]:
    lineage = {"_extracted_at": NOON, "_run_id": "run"}
    rows: dict[str, list[dict]] = {
        table.name: []
        for table in (
            ENGAGEMENTS,
            ENGAGEMENT_IDENTIFIERS,
            ENGAGEMENT_CHANNELS,
            ENGAGEMENT_TOPICS,
            PARTICIPANTS,
        )
    }
    counts = {c.name: 0 for c in ENGAGEMENTS.columns if c.name.endswith("_count")}
    for contact in sorted(contacts, key=lambda contact: contact.name):
        own = {
            "account_id": account,
            "engagement_id": contact.name,
            "start_date": contact.start,
            **lineage,
        }
        rows["engagements"].append(
            own
            | counts
            | {
                "status": contact.status,
                "local_date": contact.start.date(),
                "local_hour": contact.start.hour,
                "local_weekday": contact.start.isoweekday(),
                "is_deleted": contact.deleted,
            }
        )
        if contact.deleted:
            continue
        seen: dict[str, int] = {}
        for kind, value in sorted(map(identifier, contact.values)):
            ordinal = seen[kind] = seen.get(kind, -1) + 1
            broken = value.startswith("?")
            rows["engagement_identifiers"].append(
                own
                | {
                    "identifier_type": kind,
                    "ordinal": ordinal,
                    "raw_value": value,
                    "value": None if broken else value,
                    "is_valid": not broken,
                    "strength": "WEAK",
                    "normaliser_version": 1,
                }
            )
        rows["engagement_channels"].append(
            own | {"ordinal": 0, "channel_id": contact.channel}
        )
        if contact.topic:
            rows["engagement_topics"].append(
                own | {"ordinal": 0, "topic": contact.topic}
            )
        if contact.calling:
            rows["participants"].append(
                own
                | {
                    "ordinal": 0,
                    "occurrence": 0,
                    "role": "CUSTOMER",
                    "state": "DROPPED",
                    "calling_number": contact.calling,
                }
            )
    by_name = {
        table.name: table
        for table in (
            ENGAGEMENTS,
            ENGAGEMENT_IDENTIFIERS,
            ENGAGEMENT_CHANNELS,
            ENGAGEMENT_TOPICS,
            PARTICIPANTS,
        )
    }
    return {
        name: conform(by_name[name], pa.Table.from_pylist(found))
        for name, found in rows.items()
        if found
    }


@dataclass
class World:
    """A lake and a state with what happened so far."""

    lake: Lake
    state: State
    config: IdentityConfig
    clock: SetClock = field(default_factory=lambda: SetClock(NOON))
    contacts: dict[str, dict[str, Contact]] = field(default_factory=dict)
    runs: int = 0
    held: set[tuple[str, date]] | None = None

    def write_held(self) -> None:
        """Write what `held` gathered, each day once."""
        held, self.held = self.held or set(), None
        for account, day in sorted(held):
            self._write(account, [day])

    def put(self, *contacts: Contact, account: str = ACCOUNT) -> None:
        """Add contacts or put them in place of those of the same name."""
        held = self.contacts.setdefault(account, {})
        days = {held[c.name].start.date() for c in contacts if c.name in held}
        held.update({contact.name: contact for contact in contacts})
        self._write(account, days | {contact.start.date() for contact in contacts})

    def drop(self, *names: str, account: str = ACCOUNT) -> None:
        """Contacts that were never there after all."""
        held = self.contacts[account]
        self._write(account, {held.pop(name).start.date() for name in names})

    def _write(self, account: str, days: Iterable[date]) -> None:
        if self.held is not None:
            self.held |= {(account, day) for day in days}
            return
        for day in days:
            mine = [c for c in self.contacts[account].values() if c.start.date() == day]
            self.lake.write_day(
                account, day, _day_tables(account, mine), run_id="run", facts={}
            )

    def resolve(self, accounts: Iterable[str] = (ACCOUNT,), **kwargs):
        self.runs += 1
        return resolve(
            self.lake,
            self.state,
            self.config,
            accounts=list(accounts),
            run_id=f"run-{self.runs}",
            clock=self.clock,
            **kwargs,
        )

    def rows(self, table: str, account: str = ACCOUNT) -> list[dict]:
        found = self.lake.read_snapshot(table).to_pylist()
        return [row for row in found if row["account_id"] == account]

    def customers(self, account: str = ACCOUNT) -> dict[str, set[str]]:
        """Own values by customer id."""
        found: dict[str, set[str]] = {}
        for row in self.rows("customer_identifiers", account):
            if row["standing"] != "SHARED":
                found.setdefault(row["customer_id"], set()).add(row["value"])
        return found

    def groups(self, account: str = ACCOUNT) -> set[frozenset[str]]:
        """Own values of each customer, ids left out."""
        return set(map(frozenset, self.customers(account).values()))

    def of(self, value: str, account: str = ACCOUNT) -> str | None:
        """The customer a value is of."""
        for customer, values in self.customers(account).items():
            if value in values:
                return customer
        return None

    def engagement(self, name: str, account: str = ACCOUNT) -> dict:
        for row in self.rows("engagement_customers", account):
            if row["engagement_id"] == name:
                return row
        raise KeyError(name)

    def refusals(self, account: str = ACCOUNT) -> dict[tuple[str, str], str]:
        return {
            (row["left_value"], row["right_value"]): row["rule"]
            for row in self.rows("identity_refusals", account)
        }

    def files(self) -> dict[str, bytes]:
        """Every file of the identity tables."""
        from journeyport.identity import IDENTITY_TABLES

        return {
            table.name: self.lake.files.read(f"{table.name}/part-0.parquet")
            for table in IDENTITY_TABLES
        }


def _worlds(folder: Path) -> Iterator[Callable[..., World]]:
    opened: list[State] = []

    def make(rules: Mapping | None = None) -> World:
        home = folder / f"world-{len(opened)}"
        state = State(f"sqlite:///{home}/state.db")
        opened.append(state)
        config = load_config()
        if rules:
            config = IdentityConfig.model_validate(config.model_dump() | dict(rules))
        return World(Lake(home / "lake"), state, config)

    yield make
    for state in opened:
        state.close()


@pytest.fixture
def make_world(tmp_path):
    """Worlds on demand, each with a lake and a state of its own."""
    yield from _worlds(tmp_path)


@pytest.fixture(scope="module")
def make_shared_world(tmp_path_factory):
    """Worlds for all tests of a file, which only read them."""
    yield from _worlds(tmp_path_factory.mktemp("worlds"))


@pytest.fixture
def world(make_world):
    return make_world()


@pytest.fixture(scope="session")
def contact():
    """Write a contact: `contact("one", "a1 e1", 5)`."""

    def make(name: str, values: str = "", minute: int = 0, **more) -> Contact:
        return Contact(name, tuple(values.split()), minute, **more)

    return make


@dataclass(frozen=True)
class Settled:
    """What the pure core made of some contacts, by value name."""

    evidence: object
    weights: object
    outcome: object
    rulings: object

    def number(self, value: str) -> int:
        return self.evidence.find(*identifier(value))

    def label(self, value: str) -> int:
        return int(self.outcome.label[self.number(value)])

    @property
    def values(self) -> list[str]:
        return self.evidence.values.to_pylist()

    @property
    def groups(self) -> set[frozenset[str]]:
        found: dict[int, set[str]] = {}
        for value, label in zip(self.values, self.outcome.label, strict=True):
            if label >= 0:
                found.setdefault(int(label), set()).add(value)
        return set(map(frozenset, found.values()))

    @property
    def verdicts(self) -> dict[tuple[str, str], str]:
        from journeyport.identity.standing import Verdict

        pairs = self.outcome.pairs
        return {
            (self.values[left], self.values[right]): Verdict(verdict).name
            for left, right, verdict in zip(
                pairs.left, pairs.right, self.outcome.verdict, strict=True
            )
        }


def settle_contacts(
    contacts: Iterable[Contact],
    must: Iterable[tuple[str, str]] = (),
    cannot: Iterable[tuple[str, str]] = (),
    config: IdentityConfig | None = None,
) -> Settled:
    """The pure core alone: no lake, no state."""
    from journeyport.identity.evidence import gather, weigh
    from journeyport.identity.rules import CANNOT_LINK, MUST_LINK, apply_rules
    from journeyport.identity.standing import settle
    from journeyport.state.identity import OperatorRule

    contacts = list(contacts)
    engagements = pa.table(
        {
            "engagement_id": pa.array([c.name for c in contacts], pa.string()),
            "start_date": pa.array(
                [c.start for c in contacts], pa.timestamp("us", "UTC")
            ),
        }
    )
    rows = [(c.name, *identifier(value)) for c in contacts for value in c.values]
    identifiers = pa.table(
        {
            name: pa.array([row[place] for row in rows], pa.string())
            for place, name in enumerate(("engagement_id", "identifier_type", "value"))
        }
    )
    evidence = gather(engagements, identifiers)
    weights = weigh(evidence, config or PACKAGED, ACCOUNT, {})
    rules = [
        OperatorRule(
            number=number,
            account_id=ACCOUNT,
            kind=kind,
            left=identifier(pair[0]),
            right=identifier(pair[1]),
            author="a",
            reason="r",
            created_at=NOON,
            expires_at=None,
            undone_at=None,
            undone_by=None,
        )
        for kind, pairs in ((MUST_LINK, must), (CANNOT_LINK, cannot))
        for number, pair in enumerate(pairs)
    ]
    rulings = apply_rules(rules, evidence, weights)
    return Settled(evidence, weights, settle(evidence, weights, rulings), rulings)


@pytest.fixture
def settled():
    return settle_contacts
