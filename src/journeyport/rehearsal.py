"""The two local servers of the demo, and the environment in which they are exported.

Everything lies under one folder and on loopback. What is done with them is said in
`demo` and `up`. The servers are known by their commands and over HTTP alone.
"""

import json
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from journeyport import environment
from journeyport.errors import ArgumentError, PermanentError
from journeyport.processes import Children, wait_for
from journeyport.settings import PREFIX

ACCOUNTS = ("ABCDEF", "GHIJKL")
_ZONES = {"ABCDEF": ("Europe/Berlin", "DE"), "GHIJKL": ("America/New_York", "US")}

LAST_DAY = date(2026, 3, 15)
"""The last day with engagements; the demo's clock stands in the morning after."""

_MORNING = timedelta(hours=6)

KNOWN = 60
"""People of the generated data who are Contacts in the sandbox already."""

TWICE = 6
"""Of those, how many are there twice."""


@dataclass(frozen=True)
class Plan:
    """What the local servers hold; kept beside them, so that it stays the same.

    Attributes:
        days: closed days with engagements, up to `LAST_DAY`.
        engagements: how many, over both accounts.
        clock_days: days the clock is past the morning after `LAST_DAY`.
    """

    days: int = 14
    engagements: int = 5000
    clock_days: int = 0

    @property
    def first_day(self) -> date:
        """The first day with engagements."""
        return LAST_DAY - timedelta(days=self.days - 1)

    @property
    def now(self) -> datetime:
        """Where the clock stands."""
        morning = datetime.combine(LAST_DAY, datetime.min.time(), UTC)
        return morning + timedelta(days=1 + self.clock_days) + _MORNING


@dataclass(frozen=True)
class Stage:
    """The running servers.

    Attributes:
        home: the folder of everything.
        plan: what they hold.
        source_url: the Customer Journey service.
        org_url: the Salesforce sandbox.
        environ: the whole environment for a process that exports from one to the other.
        is_new: nothing was there before.
    """

    home: Path
    plan: Plan
    source_url: str
    org_url: str
    environ: dict[str, str]
    is_new: bool


def folder() -> Path:
    """Where the demo lives: `demo` under JOURNEYPORT_HOME, which alone counts."""
    return environment.home() / "demo"


def found(home: Path) -> Plan:
    """What the demo in a folder holds; the default where there is none."""
    marker = home / "demo.json"
    return Plan(**json.loads(marker.read_text())) if marker.exists() else Plan()


def settled(home: Path, plan: Plan) -> Plan:
    """The plan to go on with: what is there already keeps its days and size.

    The clock never goes back: a later instant that was shown before stands.

    Raises:
        ArgumentError: other days or another size were asked for than are there.
    """
    if not (home / "demo.json").exists():
        return plan
    before = found(home)
    if (before.days, before.engagements) != (plan.days, plan.engagements):
        raise ArgumentError(
            f"The demo in {home} holds {before.engagements} engagements over "
            f"{before.days} days; give the same numbers, or --fresh to begin anew."
        )
    return replace(plan, clock_days=max(plan.clock_days, before.clock_days))


def forget(home: Path) -> None:
    """Remove what an earlier demo left, and nothing that is not a demo."""
    if (home / "demo.json").exists():
        shutil.rmtree(home)


@contextmanager
def servers(home: Path, plan: Plan) -> Iterator[tuple[Stage, Children]]:
    """Start both servers on free loopback ports; they end with the block."""
    is_new = not (home / "demo.json").exists()
    try:
        for folder in (home.parent, home):  # the mode is the last folder's alone
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise PermanentError(
            f"The folder {home} cannot be made ({error.strerror}); set "
            "JOURNEYPORT_HOME to a folder that this user may write to."
        ) from None
    (home / "demo.json").write_text(json.dumps(asdict(plan)) + "\n")
    with Children() as children:
        source = _service(children, home, plan)
        contacts = home / "source" / "contacts.json"
        if not contacts.exists():
            contacts.write_text(json.dumps(_contacts(_truth(home))))
        org = _sandbox(children, home, contacts)
        stage = Stage(
            home,
            plan,
            source["url"],
            org["url"],
            _environ(home, plan, source, org),
            is_new,
        )
        yield stage, children


def script(name: str) -> str:
    """The path of a console command installed beside this Python.

    Raises:
        PermanentError: it is not there.
    """
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise PermanentError(
            f"The command {name} is missing beside {path.parent}; install journeyport "
            "again."
        )
    return str(path)


def _service(children: Children, home: Path, plan: Plan) -> dict[str, Any]:
    (home / "source").mkdir(exist_ok=True, mode=0o700)
    arguments = {
        "port": 0,
        "database": home / "source" / "customer-journey.db",
        "accounts": ",".join(ACCOUNTS),
        "engagements": plan.engagements,
        "days": plan.days,
        "start": plan.first_day.isoformat(),
        "clock": plan.now.isoformat(),
        "truth": _truth(home),
        "request-log": home / "logs" / "source-requests.jsonl",
        "tell-credentials": True,
    }
    return _served(children, home, "customer-journey", "source", arguments)


def _sandbox(children: Children, home: Path, contacts: Path) -> dict[str, Any]:
    (home / "org").mkdir(exist_ok=True, mode=0o700)
    arguments = {
        "port": 0,
        "database": home / "org" / "salesforce.db",
        "seed-contacts": contacts,
    }
    return _served(children, home, "salesforce-sandbox", "sandbox", arguments)


def _served(
    children: Children,
    home: Path,
    command: str,
    name: str,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    options = [
        part
        for key, value in arguments.items()
        for part in ([f"--{key}"] if value is True else [f"--{key}", value])
    ]
    child = children.start(
        f"{command} server",
        [script(command), "serve", *map(str, options)],
        environ=environment.bare(),
        folder=home,
        log=home / "logs" / f"{name}.log",
    )
    return wait_for(child, _announcement)


def _announcement(text: str) -> dict[str, Any] | None:
    """The first line that is a JSON object with an address."""
    for line in text.splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):
            found = json.loads(line)
            if isinstance(found, dict) and "url" in found:
                return found
    return None


def _truth(home: Path) -> Path:
    return home / "source" / "people.jsonl"


def _contacts(people: Path) -> list[dict[str, str]]:
    """Some of the generated people, as Contacts that were in the org all along."""
    contacts: list[dict[str, str]] = []
    with people.open() as lines:
        for line in lines:
            person = json.loads(line)
            emails = person["owns"]["emailAddresses"]
            if not emails or len(person["engagements"]) < 2:
                continue
            first, _, last = str(person["name"]).rpartition(" ")
            contact = {"FirstName": first, "LastName": last, "Email": emails[0]}
            contacts.append(contact)
            if len(contacts) % (KNOWN // TWICE) == 0:
                contacts.append(contact | {"FirstName": first[:1] + "."})
            if len(contacts) >= KNOWN + TWICE:
                break
    return contacts


def _environ(
    home: Path, plan: Plan, source: dict[str, Any], org: dict[str, Any]
) -> dict[str, str]:
    """Nothing of the person's own settings but PATH and the like."""
    ours = {
        "HOME": str(home),
        "ENV_FILE": "-",
        "LOOPBACK_ONLY": "true",
        "CLOCK": plan.now.isoformat(),
        "FIRST_DAY": plan.first_day.isoformat(),
        "SOURCE_URL": source["url"],
        "ACCOUNTS": ",".join(ACCOUNTS),
        "DATA_KEYS": "callReason,satisfaction",
        "SALESFORCE_DOMAIN": "sandbox.my",
        "SALESFORCE_CLIENT_ID": org["consumer_key"],
        "SALESFORCE_CLIENT_SECRET": org["consumer_secret"],
        "SALESFORCE_BASE_URL": org["url"],
    }
    for account in ACCOUNTS:
        access = source["accounts"][account]
        zone, region = _ZONES[account]
        ours |= {
            f"CLIENT_ID_{account}": access["client_id"],
            f"CLIENT_SECRET_{account}": access["client_secret"],
            f"APP_KEY_{account}": access["app_key"],
            f"TIME_ZONE_{account}": zone,
            f"PHONE_REGION_{account}": region,
        }
    return (
        environment.bare()
        | {f"{PREFIX}{name}": value for name, value in ours.items()}
        | {"DAGSTER_HOME": str(home / "dagster"), "NO_PROXY": "*"}
    )
