"""A house with the Dagster UI on it, and the clicks of those who use it.

The browser tests and `make docs-pictures` share this: what a picture shows was clicked
the way a test clicks it.
"""

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from playwright.sync_api import Browser, Page, sync_playwright

from dagster_here import instance_in
from journeyport import instance, rehearsal
from journeyport.lake import Lake
from journeyport.processes import free_port

USER = "ada"
HEADER = "X-Forwarded-User"
PATIENCE = 120_000
"""Milliseconds that a page, or a run that waits for no other, may take."""


def chromium() -> str | None:
    """The system's Chromium; None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@dataclass(frozen=True)
class House:
    """Running servers, a lake with two delivered days, and the UI's address."""

    home: Path
    url: str

    @property
    def lake(self) -> Lake:
        return Lake(self.home / "lake")

    def org(self) -> dict[str, list[tuple[object, ...]]]:
        """Everything that the CRM holds, but who touched it when."""
        path = self.home / "org" / "salesforce.db"
        found = {}
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            tables = database.execute("SELECT name FROM sqlite_master").fetchall()
            for (table,) in tables:
                if not re.fullmatch("Contact|Account|JP_.*__c", table):
                    continue
                rows = database.execute(f'SELECT * FROM "{table}"')
                names = [column[0] for column in rows.description]
                kept = [
                    place
                    for place, name in enumerate(names)
                    if not re.search("Modstamp|Modified|sandbox", name)
                ]
                found[table] = sorted(
                    (tuple(row[place] for place in kept) for row in rows), key=repr
                )
        return found


@contextmanager
def house(folder: Path, plan: rehearsal.Plan) -> Iterator[House]:
    """Start the servers and the UI, and export all closed days meanwhile."""
    with rehearsal.servers(folder, plan) as (stage, _children):
        environ = stage.environ | {"JOURNEYPORT_USER_HEADER": HEADER}
        _prompt(instance.prepared(stage.home, environ["DAGSTER_HOME"]))
        first, last = plan.first_day.isoformat(), rehearsal.LAST_DAY.isoformat()
        port = free_port()
        said = folder / "ui.txt"
        with said.open("w") as sink:
            ui = subprocess.Popen(
                [rehearsal.script("journeyport"), "ui", "--port", str(port)],
                env=environ,
                cwd=folder,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        try:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pipelines"),
                    *("export", "--from", first, "--to", last),
                ],
                env=environ,
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            while "Ctrl-C ends all" not in said.read_text():
                assert ui.poll() is None, said.read_text()
                time.sleep(0.2)
            yield House(stage.home, f"http://127.0.0.1:{port}")
        finally:
            ui.send_signal(signal.SIGTERM)
            ui.wait(60)


def _prompt(folder: Path) -> None:
    """Let the daemon look for queued runs each second: a test waits for it."""
    path = folder / "dagster.yaml"
    settings = yaml.safe_load(path.read_text())
    coordinator = settings.setdefault(
        "run_coordinator",
        {"module": "pipelines.attribution", "class": "AttributingRunCoordinator"},
    )
    coordinator["config"] = {"dequeue_interval_seconds": 1}
    path.write_text(yaml.safe_dump(settings))
    # Two programs that make one Dagster storage at once stumble over it.
    with instance_in(folder):
        pass


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium(),
            # A container's root has no sandbox of its own to give away.
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield opened
        opened.close()


class Clicks:
    """One person at the UI."""

    def __init__(self, opened: Browser, url: str, user: str = USER) -> None:
        context = opened.new_context(
            viewport={"width": 1280, "height": 800}, extra_http_headers={HEADER: user}
        )
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self._url = url

    def open(self, path: str) -> Page:
        self.page.goto(f"{self._url}{path}")
        return self.page

    def job(self, name: str, tab: str = "") -> Page:
        return self.open(f"/locations/journeyport/jobs/{name}/{tab}")

    def graph(self) -> Page:
        page = self.open("/asset-groups/")
        page.get_by_text("operations", exact=True).first.wait_for()
        return page

    def choose_days(self, text: str) -> None:
        """Fill in the backfill dialog of the page that is open."""
        self.page.get_by_role("button", name=re.compile("Materialize")).first.click()
        field = self.page.get_by_placeholder("ex:")
        field.fill(text)
        field.press("Enter")

    def launch_backfill(self) -> str:
        """Launch what the dialog says; the backfill's id."""
        self.page.get_by_role("button", name="Launch backfill").click()
        said = self.page.get_by_text("Created backfill")
        said.wait_for()
        return str(re.findall(r"backfill (\w+)", said.inner_text())[0])

    def backfilled(self, backfill: str) -> str:
        """Wait for a backfill's end; how it ended, in the page's word."""
        page = self.open(f"/runs/b/{backfill}")
        return self._word(page, "Succeeded", "Failed")

    def runs_of(self, backfill: str) -> set[str]:
        """The pages of a backfill's runs, when the first of them succeeded."""
        page = self.open(f"/runs/b/{backfill}?tab=runs")
        page.get_by_text("Success", exact=True).first.wait_for()
        links = page.locator("a[href^='/runs/']").evaluate_all(
            "all => all.map(one => one.getAttribute('href'))"
        )
        found = [re.match(r"/runs/[0-9a-f-]{36}", link) for link in links]
        return {one[0] for one in found if one}

    def launch(self, job: str, **config: object) -> str:
        """Fill in a job's Launchpad and launch it; how the run ended."""
        page = self.job(job, "playground")
        editor = page.locator(".CodeMirror").first
        editor.click()
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
        step = job.rpartition("_")[2]
        wanted = {"ops": {step: {"config": config}}} if config else {}
        page.keyboard.insert_text(yaml.safe_dump(wanted))
        page.get_by_role("button", name="Launch Run").click()
        page.wait_for_url(re.compile("/runs/.*-"))
        return self._word(page, "Success", "Failure")

    def again(self) -> str:
        """Re-execute the run that is open, by its button; how that ended."""
        self.told()  # it is all there: the button knows what to repeat
        (first,) = re.findall(r"/runs/([0-9a-f-]{36})", self.page.url)
        self.page.get_by_role("button", name=re.compile("^Re-execute")).first.click()
        # Of a run in a backfill that is over, the UI asks whether that is meant.
        asked = "Re-execution within backfill"
        self.page.wait_for_function(
            "([run, asked]) => !location.href.includes(run)"
            " || document.body.innerText.includes(asked)",
            arg=[first, asked],
        )
        if first in self.page.url:
            self.page.get_by_role("button", name="Confirm").click()
            self.page.wait_for_function("it => !location.href.includes(it)", arg=first)
        self.page.reload()  # nothing of the first run is on it any more
        return self._word(self.page, "Success", "Failure")

    def told(self) -> str:
        """What the open run's list of events says."""
        self.page.get_by_text("Process for run exited").wait_for()
        return str(self.page.locator("body").inner_text())

    def _word(self, page: Page, good: str, bad: str) -> str:
        word = page.get_by_text(good, exact=True).or_(page.get_by_text(bad, exact=True))
        word.first.wait_for()
        return str(word.first.inner_text())


def receipts(house: House) -> list[dict[str, object]]:
    """The receipts in the lake, in order."""
    rows = house.lake.read_snapshot("receipts").to_pylist()
    for row in rows:
        row["counts"] = json.loads(row["counts"])
    return sorted(rows, key=lambda row: row["number"])
