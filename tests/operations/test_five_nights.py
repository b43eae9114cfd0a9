"""Nights launched by ticks of the schedule, through a real daemon, under a set clock.

Every process of the daemon has its clock set: daemon, code server and runs. They tick,
and follow a file when somebody moves it. The source's clock is moved with them. What
comes of disturbed nights is compared with the same nights undisturbed, from cron.
"""

import contextlib
import http.client
import json
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import duckdb
import httpx
import pytest

from dagster_here import instance_in
from journeyport import instance, rehearsal
from journeyport.lake import Lake
from journeyport.processes import Children, free_port
from journeyport.state import State, alerts, windows
from journeyport.tables import DAILY, SNAPSHOTS

SET_CLOCK = '''
"""Sets this process's clock, and follows the file that says what it is."""
import json, os, threading, time, types
from datetime import UTC, datetime
import grpc, grpc._channel, grpc._common, grpc._server, grpc.aio._utils, time_machine

FILE = os.environ["SET_CLOCK"]

def set_to(text):
    at, when = json.loads(text)
    return datetime.fromtimestamp(at + time.monotonic() - when, UTC)

seen = open(FILE).read()
clock = time_machine.travel(set_to(seen), tick=True).start()
time.time()  # it begins to tick when it is first looked at
# Deadlines are handed to gRPC's core, which keeps the machine's time.
real = types.SimpleNamespace(**vars(time))
real.time = time_machine.escape_hatch.time.time
grpc._channel.time = grpc._common.time = grpc._server.time = real
grpc.aio._utils.time = real

def follow():
    global seen
    while True:
        text = open(FILE).read()
        if text != seen:
            clock.move_to(set_to(text))
            seen = text
        time.sleep(0.05)

threading.Thread(target=follow, daemon=True).start()
'''

DONE = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
BY_SCHEDULE = {"dagster/schedule_name": "nightly"}


class Gate:
    """Stands before a server and passes on what it is asked, unless it is closed.

    Args:
        behind: the server's address.

    Attributes:
        closed_to: whatever has this in its path is answered `status`; empty: all of
            it; None: nothing.
        status: what it is answered.
    """

    def __init__(self, behind: str) -> None:
        self.closed_to: str | None = None
        self.status = 503
        gate, netloc = self, urlsplit(behind).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                size = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(size)
                if gate.closed_to is not None and gate.closed_to in self.path:
                    return self.answer(gate.status, [], b"{}")
                door = http.client.HTTPConnection(netloc, timeout=60)
                try:
                    door.request(self.command, self.path, body, dict(self.headers))
                    answer = door.getresponse()
                    said = answer.read()
                    skipped = {"content-length", "transfer-encoding", "connection"}
                    headers = [
                        (name, value)
                        for name, value in answer.getheaders()
                        if name.lower() not in skipped
                    ]
                    return self.answer(answer.status, headers, said)
                finally:
                    door.close()

            do_GET = do_POST = do_PATCH = do_DELETE = pass_on  # noqa: N815

            def answer(self, status, headers, body):
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class House:
    """A source, a CRM, a home, and the daemon over them; all under one clock."""

    folder: Path
    stage: rehearsal.Stage
    environ: dict[str, str]
    source: Gate
    org: Gate
    kept: dg.DagsterInstance

    @property
    def home(self) -> Path:
        return Path(self.environ["JOURNEYPORT_HOME"])

    @property
    def clock(self) -> Path:
        return self.folder / "clock.json"

    def tell_source(self, path: str, **document) -> dict:
        said = (self.stage.home / "logs" / "source.log").read_text().splitlines()
        admin = next(json.loads(line) for line in said if line.startswith("{"))
        with httpx.Client(trust_env=False) as http_client:
            answer = http_client.post(admin["admin_url"] + path, json=document)
        return answer.raise_for_status().json()

    def set_clock(self, at: datetime) -> None:
        self.tell_source("/clock", now=at.isoformat())
        aside = self.clock.with_suffix(".new")
        aside.write_text(json.dumps([at.timestamp(), time.monotonic()]))
        aside.replace(self.clock)

    def arrive_late(self, day: date, count: int, account: str = "ABCDEF") -> None:
        noon = f"{day}T11:00:00Z"
        self.tell_source(
            "/changes", account=account, action="back-date", count=count, start=noon
        )

    def dagster(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        workspace = str(instance.shipped("workspace.yaml"))
        done = subprocess.run(
            [rehearsal.script("dagster"), *arguments, "--workspace", workspace],
            env=self.environ,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start_schedule(self) -> None:
        self.dagster("schedule", "start", "nightly", "--location", "journeyport")

    @contextlib.contextmanager
    def daemon(self) -> Iterator[None]:
        """A real daemon, for as long as the block lasts."""
        with Children() as children:
            children.start(
                "daemon",
                [rehearsal.script("journeyport"), "ui", "--only", "daemon"],
                environ=self.environ,
                folder=self.home,
                log=self.folder / "logs" / f"daemon-{time.monotonic_ns()}.log",
            )
            yield

    @contextlib.contextmanager
    def webserver(self) -> Iterator[str]:
        """A real webserver beside it; its address."""
        workspace, port = str(instance.shipped("workspace.yaml")), free_port()
        program = rehearsal.script("dagster-webserver")
        with Children() as children:
            children.start(
                "webserver",
                [program, "--port", str(port), "--workspace", workspace],
                environ=self.environ,
                folder=self.home,
                log=self.folder / "logs" / "webserver.log",
            )
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(trust_env=False) as client:
                wait(lambda: _is_up(client, url))
            yield url

    def runs(self, **tags: str) -> list[dg.DagsterRun]:
        """The runs there are, the oldest first."""
        return self.kept.get_runs(dg.RunsFilter(tags=tags or None))[::-1]

    def night(self, number: int) -> dg.DagsterRun:
        """The run of the schedule's tick with this number, from 1, when it ended."""

        def ended():
            runs = self.runs(**BY_SCHEDULE)
            assert len(runs) <= number, "More ticks than nights."
            done = [one for one in runs if one.status in DONE]
            return done[number - 1] if len(done) == number else None

        return wait(ended)

    def nightly(self, at: datetime) -> None:
        """A night from cron, at this instant."""
        self.set_clock(at)
        self.command("nightly")

    def command(self, *arguments: str, code: int = 0) -> None:
        """A command that ends with this code."""
        done = subprocess.run(
            [rehearsal.script("journeyport"), *arguments],
            env=self.environ,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr


def _is_up(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/server_info").status_code == 200
    except httpx.HTTPError:
        return False


def wait(look):
    """What `look` finds, once it finds something; the test's own limit ends it."""
    while not (found := look()):
        time.sleep(0.5)
    return found


@contextlib.contextmanager
def opened(folder: Path, plan: rehearsal.Plan, **settings: str) -> Iterator[House]:
    """A house with servers of its own."""
    with rehearsal.servers(folder / "stage", plan) as (stage, _children):
        source, org = Gate(stage.source_url), Gate(stage.org_url)
        home = folder / "home"
        home.mkdir()
        (folder / "clock").mkdir()
        (folder / "clock" / "sitecustomize.py").write_text(SET_CLOCK)
        ours = {
            "JOURNEYPORT_HOME": str(home),
            "JOURNEYPORT_SOURCE_URL": source.url,
            "JOURNEYPORT_SALESFORCE_BASE_URL": org.url,
            "DAGSTER_HOME": str(instance.prepared(home, None)),
            "PYTHONPATH": str(folder / "clock"),
            "SET_CLOCK": str(folder / "clock.json"),
        }
        ours |= {f"JOURNEYPORT_{name}": value for name, value in settings.items()}
        environ = {**stage.environ, **ours}
        del environ["JOURNEYPORT_CLOCK"]
        try:
            with instance_in(environ["DAGSTER_HOME"]) as kept:
                (home / "dagster" / ".storage").write_text(version("dagster"))
                yield House(folder, stage, environ, source, org, kept)
        finally:
            source.end()
            org.end()


BY_NIGHT = {"_run_id", "_extracted_at", "identity_version", "_row_hash"}
"""Columns that say in which night a row came or changed."""

DIARIES = {"customer_id_history", "customer_id_redirects", "customer_crm_ids"}
"""Tables of what each night decided; what they lead to is compared instead."""


def named(house: House) -> dict[str, str]:
    """For each customer id there ever was, the living customer that it leads to.

    A night that is missed gives no ids. So a customer is named here by the first of its
    engagements, which no night has a say in.
    """
    lake = Lake(house.home / "lake")
    found: dict[str, str] = {}
    for row in lake.read_snapshot("engagement_customers").to_pylist():
        if row["customer_id"] is not None:
            name = found.get(row["customer_id"], row["engagement_id"])
            found[row["customer_id"]] = min(name, row["engagement_id"])
    for row in lake.read_snapshot("customer_id_redirects").to_pylist():
        if row["customer_id"] in found:  # else what it was known by is no evidence now
            found[row["retired_customer_id"]] = found[row["customer_id"]]
    return {one: f"customer of {name}" for one, name in found.items()}


def renamed(value: object, names: dict[str, str]) -> object:
    """The value with every customer id in it replaced by the customer's name."""
    if isinstance(value, list):
        return sorted(str(renamed(one, names)) for one in value)
    if not isinstance(value, str):
        return value
    return re.sub(r"[\w-]{8,}", lambda found: names.get(found[0], found[0]), value)


def contents(house: House) -> dict[str, list[str]]:
    """Every row of lake and warehouse, in an order of its own."""
    lake, names = Lake(house.home / "lake"), named(house)

    def told(row: dict[str, object]) -> str:
        kept = {k: renamed(v, names) for k, v in row.items() if k not in BY_NIGHT}
        return repr(sorted(kept.items()))

    found = {}
    with duckdb.connect(str(house.home / "warehouse.duckdb"), read_only=True) as door:
        for table in (*DAILY, *SNAPSHOTS):
            if table.name in DIARIES:
                continue
            read = lake.read if table in DAILY else lake.read_snapshot
            found[f"lake {table.name}"] = sorted(
                map(told, read(table.name).to_pylist())
            )
            rows = door.execute(f"SELECT * FROM {table.name}").to_arrow_table()
            found[f"warehouse {table.name}"] = sorted(map(told, rows.to_pylist()))
    return found


def differences(one: House, other: House) -> dict[str, tuple[int, int]]:
    """Tables whose rows differ, with the number of rows that only one side has.

    An id that both sides know and that leads to somebody leads to the same customer.
    """
    mine, theirs = contents(one), contents(other)
    left, right = named(one), named(other)
    apart = {each for each in left.keys() & right.keys() if left[each] != right[each]}
    found = {
        name: (
            len(set(mine[name]) - set(theirs[name])),
            len(set(theirs[name]) - set(mine[name])),
        )
        for name in mine
        if mine[name] != theirs[name]
    }
    return found | ({"customer ids": (len(apart), len(apart))} if apart else {})


def delivered(house: House) -> Counter[str]:
    """The account-days there are, by what is known of them."""
    state = State(f"sqlite:///{house.home / 'state.db'}")
    try:
        return Counter(
            walked.status
            for account in rehearsal.ACCOUNTS
            for walked in windows.days_of(state, account)
        )
    finally:
        state.close()


def is_told(house: House, *channels: str) -> bool:
    """Something stands, and each of these channels took all of it."""
    state = State(f"sqlite:///{house.home / 'state.db'}")
    try:
        there = alerts.standing(state)
        return bool(there) and all(one.told == set(channels) for one in there)
    finally:
        state.close()


def at(day: str, time_of_day: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{day}T{time_of_day}Z").astimezone(UTC)


@pytest.mark.soak  # minutes of processes that start one after the other
@pytest.mark.timeout(900)
def test_a_failing_account_and_a_missed_tick_leave_nothing_behind(tmp_path, web, post):
    settings = {
        "ALERT_SLACK_URL": f"{web.url}/hook",
        "ALERT_HEARTBEAT_URL": f"{web.url}/beat",
        "ALERT_SMTP_HOST": "127.0.0.1",
        "ALERT_SMTP_PORT": str(post.port),
        "ALERT_SMTP_SECURITY": "none",
        "ALERT_MAIL_FROM": "journeyport@shop.example",
        "ALERT_MAIL_TO": "team@shop.example",
    }
    plan = rehearsal.Plan(days=3, engagements=120)
    with opened(tmp_path / "disturbed", plan, **settings) as house:
        house.source.closed_to, house.source.status = "GHIJKL", 403
        house.set_clock(at("15", "02:20:00"))
        house.start_schedule()
        house.set_clock(at("15", "02:30:05"))
        with house.daemon():
            first = house.night(1)
            assert first.status is dg.DagsterRunStatus.FAILURE
            house.set_clock(at("15", "02:50:00"))  # the sensor's next look is due
            wait(lambda: is_told(house, "slack", "mail"))
        # The 16th passes without a daemon; cron's look is what notices.
        assert web.beats == []
        house.set_clock(at("16", "12:00:00"))
        house.command("alerts", code=1)
        house.source.closed_to = None
        house.set_clock(at("17", "02:30:05"))
        with house.daemon():
            second = house.night(2)
            assert second.status is dg.DagsterRunStatus.SUCCESS
            house.set_clock(at("17", "02:50:00"))
            wait(lambda: web.beats)
        assert delivered(house) == {"PROVED": 8, "PARTIAL": 2}, "Days were missed."
        with duckdb.connect(house.home / "warehouse.duckdb", read_only=True) as door:
            rows = door.execute("SELECT count(*) FROM engagements").fetchone()
        assert rows == (plan.engagements,)
    titles = ["A run failed: nightly", "Data is stale: data"]
    assert [one.splitlines()[0] for one in web.posted] == [f"*{t}*" for t in titles]
    assert [one["subject"] for one in post.letters] == [
        f"[journeyport] {title}" for title in titles
    ]
    assert "Account GHIJKL does not sign in" in web.posted[0]
    assert web.beats == ["/beat"]


def approve(house: House) -> None:
    """Apply what is planned as an administrator does: the first records, then all."""
    house.command("crm", "plan", "--from", "2026-03-09", "--to", "2026-03-10")
    (plan,) = {one.name.split(".")[0] for one in newest(house.home / "plans")}
    house.command("crm", "apply", plan, "--reason", "rehearsed")
    house.command("crm", "apply", plan, "--reason", "looked at", "--confirm")


def newest(folder: Path) -> list[Path]:
    files = sorted(folder.iterdir(), key=lambda one: one.stat().st_mtime_ns)
    return files[-1:]


def records(house: House) -> dict[str, list[str]]:
    """What the CRM holds of ours, by object; its own ids and instants left out."""
    said = (house.stage.home / "logs" / "sandbox.log").read_text().splitlines()
    admin = next(json.loads(line) for line in said if line.startswith("{"))["admin_url"]
    found, names = {}, named(house)
    with httpx.Client(trust_env=False) as client:
        for name in ("Contact", "JP_Engagement__c"):
            rows = client.get(f"{admin}/rows/{name}").raise_for_status().json()
            ours = [
                {
                    key: renamed(value, names)
                    for key, value in row.items()
                    if key.startswith("JP_") and key != LOOKUP
                }
                for row in rows
            ]
            found[name] = sorted(repr(sorted(row.items())) for row in ours)
    return found


LOOKUP = "JP_Contact__c"
"""It holds an id of the org's own."""

LAUNCH = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


def backfill(url: str, days: list[str]) -> str:
    """Start a backfill as the dialog does; its id."""
    keys = ["raw_engagements", *(table.name for table in DAILY), "warehouse"]
    params = {
        "assetSelection": [{"path": [key]} for key in keys],
        "partitionNames": days,
        "fromFailure": False,
    }
    body = {"query": LAUNCH, "variables": {"params": params}}
    with httpx.Client(trust_env=False, timeout=60) as client:
        told = client.post(f"{url}/graphql", json=body).json()["data"]
    (launched,) = told.values()
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return launched["backfillId"]


LATE = date(2026, 3, 10)


def undisturbed(house: House) -> None:
    """The same nights from cron, at the same instants, with nothing in their way."""
    house.nightly(at("11", "02:30:05"))
    approve(house)
    house.nightly(at("12", "02:30:05"))
    house.set_clock(at("13", "12:00:00"))
    house.arrive_late(LATE, 5)
    for day in ("14", "15", "16"):
        house.nightly(at(day, "02:30:05"))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_five_disturbed_nights_end_like_undisturbed_ones(tmp_path, web):
    settings = {
        "ALERT_SLACK_URL": f"{web.url}/hook",
        "ALERT_HEARTBEAT_URL": f"{web.url}/beat",
        "ALERT_STALE_HOURS": "100",
    }
    plan = rehearsal.Plan(days=7, engagements=420)
    green, red = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
    with contextlib.ExitStack() as stack:
        house = stack.enter_context(opened(tmp_path / "disturbed", plan, **settings))
        house.set_clock(at("11", "02:20:00"))
        house.start_schedule()
        house.set_clock(at("11", "02:30:05"))
        with house.daemon():
            assert house.night(1).status is green
            approve(house)
            house.set_clock(at("11", "02:50:00"))
            wait(lambda: len(web.beats) == 1)
            house.source.closed_to = ""
            house.set_clock(at("12", "02:30:05"))
            assert house.night(2).status is red
            house.source.closed_to = None
            house.set_clock(at("12", "02:50:00"))
            wait(lambda: is_told(house, "slack"))
        # The 13th passes without a daemon, and something arrives late.
        house.set_clock(at("13", "12:00:00"))
        house.arrive_late(LATE, 5)
        house.set_clock(at("14", "02:30:05"))
        with house.daemon():
            assert house.night(3).status is green
            house.set_clock(at("14", "02:50:00"))
            wait(lambda: len(web.beats) == 2)
            house.org.closed_to = ""
            house.set_clock(at("15", "02:30:05"))
            assert house.night(4).status is red
            house.org.closed_to = None
            house.set_clock(at("15", "02:50:00"))
            wait(lambda: is_told(house, "slack"))
            with house.webserver() as url:
                house.set_clock(at("16", "02:30:05"))
                wait(lambda: len(house.runs(**BY_SCHEDULE)) == 5)
                name = backfill(url, ["2026-03-14", "2026-03-15"])
                assert house.night(5).status is green
                ended = wait(lambda: _ended(house, {"dagster/backfill": name}))
                assert [one.status for one in ended] == [green]
            house.set_clock(at("16", "02:50:00"))
            wait(lambda: len(web.beats) == 3)
        beat = {"ALERT_HEARTBEAT_URL": f"{web.url}/calm"}
        calm = stack.enter_context(opened(tmp_path / "calm", plan, **beat))
        undisturbed(calm)
        assert differences(house, calm) == {}
        assert records(house) == records(calm)
        assert_restored(house)
    told = [one.splitlines()[0] for one in web.posted]
    assert told == ["*A run failed: nightly*"] * 2
    assert web.beats == ["/beat"] * 3 + ["/calm"] * 5


def _ended(house: House, tags: dict[str, str]) -> list[dg.DagsterRun]:
    runs = house.runs(**tags)
    return runs if runs and all(one.status in DONE for one in runs) else []


def assert_restored(house: House) -> None:
    """From raw and the state's copy alone, everything else is there again."""
    home = house.folder / "restored"
    (home / "lake").mkdir(parents=True)
    raw = "lake/raw_engagements"
    shutil.copytree(house.home / raw, home / raw)
    with (
        contextlib.closing(sqlite3.connect(house.home / "state.db")) as before,
        contextlib.closing(sqlite3.connect(home / "state.db")) as after,
    ):
        before.backup(after)
    environ = house.environ | {
        "JOURNEYPORT_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
    }
    again = replace(house, environ=environ)
    days = ("--from", "2026-03-09", "--to", "2026-03-16")
    again.command("export", *days, "--from-raw", "--only", "warehouse")
    assert differences(house, again) == {}
