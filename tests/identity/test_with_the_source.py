"""Identity against the running local service: its grouping compared, all restored.

One service, one home and one story of four nights, shared by the tests of this file.
"""

import io
import json
import logging
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import httpx
import pytest

from journeyport import cli, delivery, environment, night
from journeyport.deployment import Deployment
from journeyport.identity import IDENTITY_TABLES
from journeyport.lake import Lake
from journeyport.state import State

DAY = "2026-03-14"
NOW = "2026-03-16T02:00:00+00:00"
BASE = "/api/journey/v1/accounts/ABCDEF"
VERSIONS = ("identity_version", "_row_hash")
ANNA, PHONE = "Anna@Kestrel.net", "+14155550142"


class Source:
    """A running service of one account, and its public interface."""

    def __init__(self, told: dict) -> None:
        known = told["accounts"]["ABCDEF"]
        self.settings = {
            "SOURCE_URL": told["url"],
            "CLIENT_ID": known["client_id"],
            "CLIENT_SECRET": known["client_secret"],
            "APP_KEY": known["app_key"],
        }
        self.http = httpx.Client(base_url=told["url"], trust_env=False)
        self.http.headers["appkey"] = known["app_key"]
        answer = self.http.post(
            "/api/auth/v1/ABCDEF/protocol/openid-connect/token",
            data={
                "grant_type": "client_credentials",
                "client_id": known["client_id"],
                "client_secret": known["client_secret"],
            },
        )
        token = answer.json()["access_token"]
        self.http.headers["authorization"] = f"Bearer {token}"

    def post(self, path: str, body: dict) -> None:
        answer = self.http.post(f"{BASE}/{path}", json=body)
        assert answer.status_code < 300, answer.text

    def engagement(self, number: int, **identifiers: str) -> None:
        self.post(
            "engagements",
            {
                "id": engagement(number),
                "startDate": f"{DAY}T{number:02d}:00:00Z",
                "direction": "INBOUND",
                "identifiers": {kind: [one] for kind, one in identifiers.items()},
            },
        )


def engagement(number: int) -> str:
    return f"11111111-1111-4111-8111-{number:012d}"


@dataclass
class Story:
    """What was done and said, in order."""

    home: Path
    source: Source
    environ: dict[str, str]
    said: dict[str, str] = field(default_factory=dict)
    logged: str = ""

    @property
    def place(self) -> Deployment:
        return Deployment(lambda: environment.read(self.environ))

    def night(self, name: str) -> None:
        """The steps of a night, as its assets call them, as far as identity."""
        place = self.place
        run = night.Run(place.lake, place.state, place.clock, name)
        strengths = place.identity.strengths
        landed = night.land(
            run, place.source, accounts=place.accounts,
            days=[date.fromisoformat(DAY)],
            options=place.options, strengths=strengths,
        )  # fmt: skip
        night.conform(
            run, rules=place.rules, days=None, strengths=strengths,
            policy=place.options.policy.hash, landed=landed,
        )  # fmt: skip
        night.directory(run, landed, accounts=place.accounts)
        delivery.resolve(run, place.identity, accounts=place.accounts)
        place.close()

    def tables(self) -> dict[str, list[dict]]:
        lake = Lake(self.home / "lake")
        return {
            table.name: lake.read_snapshot(table.name).to_pylist()
            for table in IDENTITY_TABLES
        }


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Iterator[Source]:
    database = tmp_path_factory.mktemp("source") / "journey.db"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "customer_journey", "serve", "--port", "0"),
            *("--database", str(database), "--engagements", "0"),
            *("--accounts", "ABCDEF", "--clock", NOW),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        source = Source(json.loads(process.stdout.readline()))
        yield source
        source.http.close()
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def journeyport(environ: dict[str, str], *arguments: str) -> str:
    """Runs a command in this process and answers what it printed."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        for name in [name for name in os.environ if name.startswith("JOURNEYPORT_")]:
            patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["journeyport", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code
    return printed.getvalue()


class Kept(logging.Handler):
    """Everything that is logged, arguments too."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.args}")


@pytest.fixture(scope="module")
def story(source, tmp_path_factory) -> Story:
    home = tmp_path_factory.mktemp("home")
    told = {"HOME": str(home), "ACCOUNTS": "ABCDEF", "CLOCK": NOW, "ENV_FILE": "-"}
    environ = {f"JOURNEYPORT_{k}": v for k, v in {**told, **source.settings}.items()}
    story = Story(home, source, environ)
    compare = ("identity", "compare")

    source.engagement(1, accountIds="C-1", emailAddresses=ANNA)
    source.engagement(2, emailAddresses=ANNA, phoneNumbers=PHONE)
    source.engagement(3, accountIds="C-2", emailAddresses="bea@kestrel.net")
    source.engagement(4, emailAddresses="cleo@kestrel.net")
    source.engagement(5, phoneNumbers="+14155550199")
    story.night("night-1")
    story.said["untouched"] = journeyport(environ, *compare, "--json")
    budget = {"JOURNEYPORT_CALL_BUDGET": "2"}
    story.said["budget"] = journeyport(environ | budget, *compare, "--json")

    source.post(
        "journeys:unlinkIdentifier",
        {
            "identifiers": {"accountIds": ["C-1"]},
            "unlinkIdentifier": {"phoneNumbers": PHONE},
        },
    )
    source.post("journeys", {"identifiers": {"accountIds": ["C-1", "C-2"]}})
    kept, root = Kept(), logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    story.said["unlinked"] = journeyport(environ, *compare, "anna@kestrel.net")
    root.removeHandler(kept)
    root.setLevel(level)
    story.logged = "\n".join(kept.lines)
    (proposed,) = (
        line for line in story.said["unlinked"].splitlines() if "unlink " in line
    )
    story.said["ruled"] = journeyport(
        environ, *shlex.split(proposed, comments=True)[1:], "--author", "Ada"
    )

    source.engagement(6, emailAddresses="cleo@kestrel.net", loyaltyCards="L-1")
    story.night("night-2")
    source.engagement(7, accountIds="C-2", emailAddresses="cleo@kestrel.net")
    story.night("night-3")
    story.said["explained"] = journeyport(environ, "explain", ANNA, PHONE)
    story.said["again"] = journeyport(environ, *compare, "anna@kestrel.net", "--json")
    return story


def test_an_untouched_source_groups_as_we_do(story):
    told = json.loads(story.said["untouched"])
    assert [one["verdict"] for one in told["customers"]] == ["SAME", "SAME"]
    assert (told["asked"], told["proposals"], told["stopped"]) == (2, [], None)


def test_the_call_budget_ends_a_comparison_and_says_so(story):
    told = json.loads(story.said["budget"])
    assert (told["asked"], len(told["customers"])) == (1, 1)
    assert "budget of 2 calls" in told["stopped"]


def test_an_unlink_in_the_source_is_proposed_as_a_command(story):
    said = story.said["unlinked"]
    assert "keeps apart: accountIds=C-1, emailAddresses=anna@kestrel.net | " in said
    assert "also links: accountIds=C-2, emailAddresses=bea@kestrel.net" in said
    assert said.count("journeyport identity unlink") == 1
    assert engagement(2) in said


def test_the_proposal_holds_once_a_person_has_ruled_so(story):
    assert story.said["ruled"] == "Rule 1 holds from the next night on.\n"
    assert "rule 1 by Ada: unlinked in the source" in story.said["explained"]
    assert json.loads(story.said["again"])["proposals"] == []


def test_no_identifier_reaches_a_log(story):
    assert "journeys:search" in story.logged
    for value in ("kestrel", PHONE[1:], "C-1"):
        assert value not in story.logged.lower()


def test_raw_rules_and_history_give_everything_back_with_the_same_ids(story, tmp_path):
    before = story.tables()
    assert before["customer_id_redirects"], "the story holds a merge"
    shutil.copytree(
        story.home / "lake" / "raw_engagements", tmp_path / "lake" / "raw_engagements"
    )
    State(f"sqlite:///{tmp_path}/state.db").close()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("ATTACH ? AS old", [str(story.home / "state.db")])
        for table in ("customer_id_history", "identity_rules"):
            connection.execute(f"INSERT INTO {table} SELECT * FROM old.{table}")
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from journeyport.cli import main; main()"),
            *("export", "--from", DAY, "--to", DAY, "--only", "lake"),
        ],
        env={**environment.bare(), **story.environ, "JOURNEYPORT_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    after = Story(tmp_path, story.source, story.environ).tables()
    newest = max(row["identity_version"] for row in before["customer_id_history"])
    for row in after["customers"]:
        assert row["identity_version"] > newest
    assert after["customer_id_history"] == before["customer_id_history"], done.stdout
    for table in before:
        rows = [
            [
                {k: v for k, v in row.items() if k not in VERSIONS}
                for row in tables[table]
            ]
            for tables in (before, after)
        ]
        assert rows[0] == rows[1], table
