"""The local service as a process, its truth read from its own database."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime

import httpx
import orjson

from customer_journey.faults import Faults
from customer_journey.oddities import odd
from journeyport.client import AccountAccess, SourceClient, SourceConfig

NOW = datetime(2026, 3, 16, 2, tzinfo=UTC)
ACCOUNT = "ABCDEF"
SECRET = "planted-s3cret-value"
APP_KEY = "planted-app-key-value"


class Live:
    """A running service."""

    def __init__(self, process, told, database):
        self.process = process
        self.url = told["url"]
        self.accounts = told["accounts"]
        self.database = database
        self.strikes = {}
        self.admin = httpx.Client(
            base_url=told["admin_url"], timeout=60, trust_env=False
        )

    def config(self, **changes):
        accounts = tuple(
            AccountAccess(
                account, known["client_id"], known["client_secret"], known["app_key"]
            )
            for account, known in self.accounts.items()
        )
        return SourceConfig(self.url, accounts, **changes)

    def client(self, clock, **changes):
        return SourceClient(
            self.config(**changes), clock, lambda s: time.sleep(min(s, 0.02))
        )

    def faults(self, *profiles, seed=1):
        answer = self.admin.post("/faults", json={"profiles": profiles, "seed": seed})
        assert answer.status_code == 200, answer.text

    def struck(self):
        """How often each profile struck since the faults were set."""
        return self.admin.get("/faults").json()["counts"]

    def change(self, action, **more):
        answer = self.admin.post(
            "/changes", json={"account": ACCOUNT, "action": action, **more}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def signed_in(self, account=ACCOUNT):
        """A client of the service's own interface, to write and to ask with."""
        known = self.accounts[account]
        form = {
            "grant_type": "client_credentials",
            "client_id": known["client_id"],
            "client_secret": known["client_secret"],
        }
        headers = {"appkey": known["app_key"]}
        path = f"/api/auth/v1/{account}/protocol/openid-connect/token"
        answer = httpx.post(self.url + path, data=form, headers=headers)
        headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        base = f"{self.url}/api/journey/v1/accounts/{account}"
        return httpx.Client(base_url=base, headers=headers, trust_env=False)

    def truth(self, days, account=ACCOUNT, *, profiles=(), seed=1):
        """The documents dated on these days, by id, as the profiles show them."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        query = "SELECT document FROM engagements WHERE account_id = ?"
        texts = [text for (text,) in connection.execute(query, [account])]
        connection.close()
        documents = map(orjson.loads, odd(Faults(profiles, seed), 0, texts))
        return {
            document["id"]: document
            for document in documents
            if date.fromisoformat(document["startDate"][:10]) in set(days)
        }

    def close(self):
        self.admin.close()
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()


@contextmanager
def serving(folder, *options, engagements=900):
    """Start the service on free ports; end it afterwards."""
    database = folder / "journey.db"
    command = [
        *(
            sys.executable,
            "-m",
            "customer_journey",
            "serve",
            "--tell-credentials",
            "--port",
            "0",
        ),
        *("--database", str(database), "--engagements", str(engagements)),
        *("--clock", NOW.isoformat(), "--clock-rate", "1", *options),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    line = process.stdout.readline()
    assert line, "the service did not start"
    live = Live(process, json.loads(line), database)
    try:
        yield live
    finally:
        live.close()
