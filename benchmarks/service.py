"""How fast the local Customer Journey service generates and searches: JSON on stdout.

Fills one database with few engagements and one with many, over the same days, then asks
both for one day and for one identifier's journey, in turns, so that whatever else the
machine does touches both alike. Run: ``python benchmarks/service.py [--many 1000000]``.
"""

import argparse
import http.client
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from urllib.parse import urlencode, urlsplit

CLOCK = "2026-11-15T02:00:00Z"
SERVICE = [sys.executable, "-m", "customer_journey"]


def generate(database: Path, engagements: int) -> dict[str, float]:
    """Fill a database; engagements a second by the wall and by the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [
            *SERVICE,
            *("generate", "--database", str(database), "--start", "2026-11-01"),
            *("--engagements", str(engagements)),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = json.loads(run.stdout)
    return {
        "engagements": engagements,
        "seconds": report["seconds"],
        "per_second": round(engagements / report["seconds"]),
        "per_cpu_second": round(engagements / used),
        "peak_mb": after.ru_maxrss // 1024,
        "database_mb": database.stat().st_size >> 20,
    }


class Asking:
    """One service process over a database, and one connection to it."""

    def __init__(self, database: Path) -> None:
        self.process = subprocess.Popen(
            [
                *SERVICE,
                *("serve", "--port", "0", "--database", str(database)),
                *("--clock", CLOCK),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = json.loads(self.process.stdout.readline())
        self.connection = http.client.HTTPConnection(urlsplit(line["url"]).netloc)
        account = line["accounts"]["ABCDEF"]
        self.headers = {"appkey": account["app_key"]}
        form = {
            "grant_type": "client_credentials",
            "client_id": account["client_id"],
            "client_secret": account["client_secret"],
        }
        token = self.ask(
            "/api/auth/v1/ABCDEF/protocol/openid-connect/token",
            urlencode(form).encode(),
            "application/x-www-form-urlencoded",
        )["access_token"]
        self.headers["authorization"] = f"Bearer {token}"

    def ask(self, path: str, body: bytes, kind: str = "application/json") -> dict:
        """The JSON that answers a POST."""
        self.connection.request(
            "POST", path, body, {**self.headers, "content-type": kind}
        )
        return json.loads(self.connection.getresponse().read())

    def search(self, size: int = 50, **filters: object) -> dict:
        """One page of a search."""
        path = f"/api/journey/v1/accounts/ABCDEF/journeys:search?pageSize={size}"
        return self.ask(path, json.dumps(filters).encode())

    def identifiers(self, count: int) -> list[dict[str, list[str]]]:
        """Identifiers of engagements all over the days."""
        self.connect_anew()
        rng = Random(1)
        found: list[dict[str, list[str]]] = []
        while len(found) < count:
            end = f"2026-11-{rng.randint(2, 14):02}T{rng.randint(0, 23):02}:00:00Z"
            for one in self.search(endDate=end)["engagements"]:
                known = one["identifiers"]
                found += [
                    {name: known[name][:1]}
                    for name in ("accountIds", "emailAddresses")
                    if name in known
                ]
        return found[:count]

    def connect_anew(self) -> None:
        """Leave the connection: the service ends one that is idle for long."""
        self.connection.close()  # the next request opens another

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def days(number: int) -> dict[str, str]:
    """One whole day, every time one tick another: nothing is remembered."""
    day = f"2026-11-{number % 14 + 1:02}"
    return {
        "startDate": f"{day}T00:00:00.000Z",
        "endDate": f"{day}T23:59:59.{number % 1000:03}Z",
    }


def measure(sides: dict[str, Asking], requests: int, rounds: int) -> dict[str, dict]:
    """Requests a second of both sides and kinds, the median of the rounds."""
    identifiers = {name: side.identifiers(requests) for name, side in sides.items()}
    rates: dict[str, dict[str, list[float]]] = {
        kind: {name: [] for name in sides} for kind in ("one_day", "identifier")
    }
    for _ in range(rounds):
        for name, side in sides.items():
            side.connect_anew()
            began = time.perf_counter()
            for number in range(requests):
                side.search(**days(number))
            rates["one_day"][name].append(requests / (time.perf_counter() - began))
            began = time.perf_counter()
            for one in identifiers[name]:
                side.search(identifiers=one)
            rates["identifier"][name].append(requests / (time.perf_counter() - began))
    found = {}
    for kind, by_side in rates.items():
        medians = {name: statistics.median(seen) for name, seen in by_side.items()}
        found[kind] = {
            **{f"{name}_per_second": round(rate, 1) for name, rate in medians.items()},
            "ratio": round(medians["many"] / medians["few"], 3),
        }
    return found


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder for the databases")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        result: dict[str, object] = {"processors": os.cpu_count()}
        sides = {}
        try:
            for name in ("few", "many"):
                database = folder / f"{name}.db"
                if not database.exists():
                    made = generate(database, getattr(chosen, name))
                    result[f"generate_{name}"] = made
                sides[name] = Asking(database)
            result |= measure(sides, chosen.requests, chosen.rounds)
        finally:
            for side in sides.values():
                side.close()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
