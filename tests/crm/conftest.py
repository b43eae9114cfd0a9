"""A sandbox org as a process, and a lake with a handful of people in it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

sys.path.insert(0, str(Path(__file__).parent))

from people import NOW, Person, daily, engagement, snapshots, table_of

from certified import prove
from journeyport import crm
from journeyport.clock import SetClock
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.tables import DAILY


@dataclass
class Sandbox:
    """A running org and its administrator's door."""

    facts: dict[str, Any]
    door: requests.Session

    @property
    def url(self) -> str:
        return self.facts["url"]

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.door.request(method, self.facts["admin_url"] + path, json=body)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def rows(self, name: str, *, deleted: bool = False) -> list[dict[str, Any]]:
        found = self.admin("GET", f"/rows/{name}")
        return [row for row in found if deleted or not row["IsDeleted"]]

    def add(self, name: str, *records: dict[str, Any]) -> list[str]:
        return self.admin("POST", f"/rows/{name}", list(records))["ids"]

    def edit(self, name: str, record_id: str, **values: Any) -> None:
        self.admin("PATCH", f"/rows/{name}/{record_id}", values)

    def remove(self, name: str, record_id: str) -> None:
        self.admin("DELETE", f"/rows/{name}/{record_id}")


def serve(folder: Path, *options: str) -> Iterator[Sandbox]:
    command = [str(Path(sys.executable).with_name("salesforce-sandbox")), "serve"]
    process = subprocess.Popen(
        [*command, "--database", str(folder / "org.db"), *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    with requests.Session() as door:
        door.trust_env = False
        yield Sandbox(json.loads(line), door)
    process.terminate()
    process.wait(timeout=20)
    process.stdout.close()


@pytest.fixture(scope="session")
def org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    rules = Path(__file__).with_name("org.yaml")
    yield from serve(tmp_path_factory.mktemp("org"), "--schema", str(rules))


@pytest.fixture
def sandbox(org: Sandbox) -> Sandbox:
    """An org without records, faults or moved clocks; the process is shared."""
    org.admin("POST", "/reset")
    return org


@dataclass
class World:
    """A lake whose people a test sets, and the tools to deliver them."""

    lake: Lake
    state: State
    config: crm.CrmConfig
    clock: SetClock
    people: list[Person] = field(default_factory=list)
    redirects: list[tuple[str, str, str | None]] = field(default_factory=list)
    nights: int = 0

    def person(self, customer_id: str, *numbers: int, **facts: Any) -> Person:
        """Add somebody, with an engagement per number."""
        facts.setdefault("email", f"{customer_id}@example.org")
        rows = [engagement(n, day=1 + n % 2) for n in numbers]
        self.people.append(Person(customer_id, engagements=rows, **facts))
        return self.people[-1]

    def engagement(self, number: int, **changes: Any) -> dict[str, Any]:
        return engagement(number, **changes)

    def write(self) -> None:
        """Put the people into the lake."""
        for name, rows in snapshots(self.people, self.redirects).items():
            self.lake.write_snapshot(name, table_of(name, rows), run_id="r")
        days: dict[tuple[str, date], dict[str, list[dict[str, Any]]]] = {
            (account, day): {table.name: [] for table in DAILY}
            for account in self.lake.accounts()
            for day in self.lake.days(account)
        }
        for person in self.people:
            for row in person.engagements:
                day = (person.account, row["start_date"].date())
                tables = days.setdefault(day, {table.name: [] for table in DAILY})
                daily(tables, person, row)
        for (account, day), tables in days.items():
            shaped = {name: table_of(name, rows) for name, rows in tables.items()}
            self.lake.write_day(account, day, shaped, run_id="r", facts={})

    def prove(self) -> None:
        """Give every account-day the certificate that lets it be delivered."""
        prove(self.lake, self.state, self.clock.now())

    def plan(self, org: Any, **how: Any) -> crm.Plan:
        self.nights += 1
        self.clock.advance(timedelta(minutes=1))
        return crm.make_plan(
            self.lake,
            self.state,
            org,
            crm.load_mapping(self.config.mapping_path),
            self.config,
            run_id=f"plan-{self.nights}",
            clock=self.clock,
            **how,
        )

    def apply(self, org: Any, plan: crm.Plan, **how: Any) -> crm.ApplyReport:
        self.nights += 1
        self.clock.advance(timedelta(minutes=1))
        return crm.apply_plan(
            plan.plan_id,
            "a test",
            lake=self.lake,
            state=self.state,
            crm=org,
            mapping=crm.load_mapping(self.config.mapping_path),
            config=self.config,
            run_id=f"apply-{self.nights}",
            clock=self.clock,
            **how,
        )

    def deliver(self) -> crm.ApplyReport:
        """Plan and apply, the confirmation included."""
        with crm.connect(self.config) as org:
            plan = self.plan(org)
            report = self.apply(org, plan)
            if report.status == "AWAITING_CONFIRMATION":
                report = self.apply(org, plan, confirm=True)
            return report

    def undo(self, plan_id: str) -> crm.UndoReport:
        """Take an apply back, as somebody who signs in for it."""
        self.nights += 1
        self.clock.advance(timedelta(minutes=1))
        with crm.connect(self.config) as org:
            return crm.undo(
                plan_id,
                "a test",
                state=self.state,
                crm=org,
                config=self.config,
                run_id=f"undo-{self.nights}",
                clock=self.clock,
            )

    def night(self, **how: Any) -> crm.CrmReport:
        self.nights += 1
        self.clock.advance(timedelta(minutes=1))
        return crm.nightly(
            self.lake,
            self.state,
            self.config,
            run_id=f"night-{self.nights}",
            clock=self.clock,
            **how,
        )


def config_for(sandbox: Sandbox, home: Path, **changes: Any) -> crm.CrmConfig:
    config = crm.CrmConfig(
        login=crm.Login(
            domain="acme.my",
            consumer_key=sandbox.facts["consumer_key"],
            consumer_secret=sandbox.facts["consumer_secret"],
        ),
        plan_dir=home / "plans",
        base_url=sandbox.url,
        retry_pause=0.01,
        poll=0.01,
        lock_pauses=(0.0, 0.0, 0.0),
        guards=crm.Guards(blanked_share=1.0, rejects_share=0.5),
    )
    return replace(config, **changes)


@pytest.fixture
def world(sandbox: Sandbox, tmp_path: Path) -> Iterator[World]:
    state = State(f"sqlite:///{tmp_path / 'state.db'}")
    yield World(
        Lake(tmp_path / "lake"),
        state,
        config_for(sandbox, tmp_path),
        SetClock(NOW),
    )
    state.close()


@pytest.fixture
def config(tmp_path: Path) -> Any:
    return lambda sandbox: config_for(sandbox, tmp_path)


@pytest.fixture
def run_sandbox(tmp_path: Path) -> Iterator[Any]:
    """Start another org, with options of its own."""
    running: list[Iterator[Sandbox]] = []

    def run(*options: str) -> Sandbox:
        folder = tmp_path / f"org-{len(running)}"
        folder.mkdir()
        running.append(serve(folder, *options))
        return next(running[-1])

    yield run
    for each in running:
        next(each, None)
