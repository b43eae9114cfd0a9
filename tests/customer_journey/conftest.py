"""The service as its users meet it: a process of its own on loopback ports."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

CLOCK = "2026-11-15T02:00:00Z"


class Running:
    """A service process: its announcement, and a client per role."""

    def __init__(self, process, line):
        self.process = process
        self.url = line["url"]
        self.admin_url = line["admin_url"]
        self.accounts = line["accounts"]
        self.http = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        self.admin = httpx.Client(base_url=self.admin_url, timeout=60, trust_env=False)
        self._tokens = {}

    def token(self, account="ABCDEF", client=None, **form):
        known = self.accounts[account]
        pair = known if client is None else known[f"{client}_client"]
        form = {
            "grant_type": "client_credentials",
            "client_id": pair["client_id"],
            "client_secret": pair["client_secret"],
            **form,
        }
        return self.http.post(
            f"/api/auth/v1/{account}/protocol/openid-connect/token",
            data=form,
            headers={"appkey": known["app_key"]},
        )

    def headers(self, account="ABCDEF", client=None):
        if (account, client) not in self._tokens:
            answer = self.token(account, client)
            self._tokens[account, client] = answer.json()["access_token"]
        return {
            "authorization": f"Bearer {self._tokens[account, client]}",
            "appkey": self.accounts[account]["app_key"],
        }

    def call(self, method, path, *, account="ABCDEF", client=None, **more):
        return self.http.request(
            method,
            f"/api/journey/v1/accounts/{account}{path}",
            headers={**self.headers(account, client), **more.pop("headers", {})},
            **more,
        )

    def search(self, account="ABCDEF", *, page=None, size=None, **filters):
        paging = {"pageNumber": page, "pageSize": size}
        query = {name: value for name, value in paging.items() if value is not None}
        return self.call(
            "POST", "/journeys:search", account=account, params=query, json=filters
        )

    def set_clock(self, **body):
        answer = self.admin.post("/clock", json=body)
        assert answer.status_code == 200, answer.text

    def close(self):
        self.http.close()
        self.admin.close()
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


@contextmanager
def started(database: Path, *options: str):
    """Start ``customer-journey serve`` on free ports and end it afterwards."""
    command = [
        sys.executable,
        *("-m", "customer_journey", "serve", "--tell-credentials", "--port", "0"),
        *("--database", str(database), *options),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line:
        process.stdout.close()
        process.wait(10)
        raise RuntimeError("the service did not start")
    running = Running(process, json.loads(line))
    try:
        yield running
    finally:
        running.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """Two accounts with generated days, only ever read."""
    folder = tmp_path_factory.mktemp("filled")
    with started(
        folder / "journey.db",
        *("--engagements", "900", "--clock", CLOCK),
        *("--request-log", str(folder / "requests.jsonl")),
    ) as running:
        running.folder = folder
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Two accounts that start empty, a service per file: no file meets another's."""
    folder = tmp_path_factory.mktemp("empty")
    with started(folder / "journey.db", "--clock", CLOCK) as running:
        yield running


@pytest.fixture(scope="session")
def serving():
    """Start a service of one's own: a context manager."""
    return started
