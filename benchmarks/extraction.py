"""Exporting days that change while they are read: the walk, page numbers, dlt.

    python benchmarks/extraction.py --runs 5 --out FILE

Each run starts the local service three times with the same seed of data and of changes
(inserts, back-dated engagements, erasures, and erasures paired with inserts, drawn per
search), and lets one exporter read the same days. Lost rows are engagements that were
there before the first and after the last question, and are not in what came out.

Peers: paging by number as exporters usually do, and dlt's REST source with its page
number paginator, in an environment of its own (built on first use beside --venv).
Extraction alone is measured: dlt's normalise and load steps are not run.
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from journeyport import extract
from journeyport.client import AccountAccess, SourceClient, SourceConfig
from journeyport.clock import SetClock
from journeyport.lake import Lake
from journeyport.state import State

ACCOUNT = "ABCDEF"
NOW = datetime(2026, 3, 16, 2, tzinfo=UTC)
CHANGES = ("inserts", "back-dates", "erases", "paired")

DLT = """
import json, sys
from dlt.sources.rest_api import rest_api_source
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator
url, headers, body = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
source = rest_api_source({
    "client": {
        "base_url": url,
        "headers": headers,
        "paginator": PageNumberPaginator(
            base_page=1, page_param="pageNumber", total_path=None,
            stop_after_empty_page=True,
        ),
    },
    "resources": [{
        "name": "engagements",
        "endpoint": {
            "path": "accounts/ABCDEF/journeys:search",
            "method": "POST",
            "params": {"pageSize": 50},
            "json": body,
            "data_selector": "engagements",
        },
    }],
})
print(json.dumps([item["id"] for item in source.resources["engagements"]]))
"""


class Service:
    """One service process that changes while it is read."""

    def __init__(self, folder: Path, engagements: int, days: int, seed: int) -> None:
        self.database = folder / "journey.db"
        self.log = folder / "requests.jsonl"
        command = [
            *(sys.executable, "-m", "customer_journey", "serve", "--port", "0"),
            *("--database", str(self.database), "--engagements", str(engagements)),
            *("--days", str(days), "--accounts", ACCOUNT),
            *("--clock", NOW.isoformat(), "--request-log", str(self.log)),
            *("--faults", ",".join(CHANGES), "--fault-seed", str(seed)),
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.url, self.known = told["url"], told["accounts"][ACCOUNT]

    def alive(self, days: set[date]) -> set[str]:
        """The engagements dated on these days, now."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        texts = connection.execute("SELECT document FROM engagements").fetchall()
        connection.close()
        found = [json.loads(text) for (text,) in texts]
        return {
            one["id"]
            for one in found
            if date.fromisoformat(one["startDate"][:10]) in days
        }

    def searches(self) -> int:
        """Searches answered."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return sum("journeys:search" in line for line in lines)

    def token(self) -> dict[str, str]:
        """Headers of a signed-in call."""
        answer = httpx.post(
            f"{self.url}/api/auth/v1/{ACCOUNT}/protocol/openid-connect/token",
            data={
                "grant_type": "client_credentials",
                "client_id": self.known["client_id"],
                "client_secret": self.known["client_secret"],
            },
            headers={"appkey": self.known["app_key"]},
            trust_env=False,
        )
        return {
            "authorization": f"Bearer {answer.json()['access_token']}",
            "appkey": self.known["app_key"],
        }


@contextmanager
def serving(engagements: int, days: int, seed: int) -> Any:
    """A service in a folder of its own, ended afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), engagements, days, seed)
        try:
            yield service, Path(folder)
        finally:
            service.process.terminate()
            service.process.wait(20)


def walk(service: Service, folder: Path, days: list[date]) -> set[str]:
    """Ours, landing included."""
    clock = SetClock(NOW)
    access = AccountAccess(
        ACCOUNT,
        service.known["client_id"],
        service.known["client_secret"],
        service.known["app_key"],
    )
    lake, state = Lake(folder / "lake"), State(f"sqlite:///{folder / 'state.db'}")
    with SourceClient(SourceConfig(service.url, (access,)), clock) as source:
        report = extract.land(
            source,
            lake,
            state,
            account=ACCOUNT,
            days=days,
            run_id="bench",
            clock=clock,
        )
    state.close()
    report.require_proved()
    columns = ["engagement_id"]
    return {
        row["engagement_id"]
        for day in days
        for row in lake.read_raw(ACCOUNT, day, columns).to_pylist()
    }


def _body(days: list[date]) -> dict[str, str]:
    last = days[-1] + timedelta(days=1)
    return {
        "startDate": f"{days[0]}T00:00:00.000Z",
        "endDate": f"{last}T00:00:00.000Z",
    }


def pages(service: Service, _folder: Path, days: list[date]) -> set[str]:
    """Page after page by number, until one is empty."""
    found: set[str] = set()
    headers = service.token()
    path = f"{service.url}/api/journey/v1/accounts/{ACCOUNT}/journeys:search"
    with httpx.Client(headers=headers, trust_env=False, timeout=60) as client:
        for number in range(1, 10_000):
            answer = client.post(
                path,
                params={"pageSize": 50, "pageNumber": number},
                json=_body(days),
            )
            rows = answer.json()["engagements"]
            if not rows:
                break
            found.update(row["id"] for row in rows)
    return found


def dlt_source(venv: Path) -> Callable[[Service, Path, list[date]], set[str]]:
    """The dlt side, in its own environment."""
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "dlt==1.31.*"], check=True
        )

    def run(service: Service, folder: Path, days: list[date]) -> set[str]:
        done = subprocess.run(
            [
                *(str(python), "-c", DLT, f"{service.url}/api/journey/v1/"),
                *(json.dumps(service.token()), json.dumps(_body(days))),
            ],
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
        )
        return set(json.loads(done.stdout.splitlines()[-1]))

    return run


def main() -> None:
    """Run, print a table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engagements", type=int, default=6000)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--venv", type=Path, default=Path("var/bench/dlt"))
    parser.add_argument("--without-dlt", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    sides: dict[str, Callable[[Service, Path, list[date]], set[str]]] = {
        "journeyport": walk,
        "page numbers": pages,
    }
    if not chosen.without_dlt:
        sides["dlt REST source"] = dlt_source(chosen.venv.absolute())
    first = (NOW - timedelta(days=chosen.days)).date()
    days = [first + timedelta(days=n) for n in range(chosen.days)]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for seed in range(1, chosen.runs + 1):
        for name, side in sides.items():
            with serving(chosen.engagements, chosen.days, seed) as (service, folder):
                before = service.alive(set(days))
                began = time.perf_counter()
                came = side(service, folder, days)
                seconds = time.perf_counter() - began
                stayed = before & service.alive(set(days))
                calls = service.searches()
                runs[name].append(
                    {
                        "rows": len(came),
                        "calls": calls,
                        "rows_per_call": len(came) / calls,
                        "seconds": seconds,
                        "lost": len(stayed - came),
                    }
                )
    print("| exporter | rows | calls | rows a call | seconds | lost (each run) |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name, measured in runs.items():
        middle = {
            key: statistics.median(run[key] for run in measured) for key in measured[0]
        }
        lost = ", ".join(str(run["lost"]) for run in measured)
        print(
            f"| {name} | {middle['rows']:,.0f} | {middle['calls']:,.0f} | "
            f"{middle['rows_per_call']:.1f} | {middle['seconds']:.2f} | {lost} |"
        )
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(json.dumps(runs, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
