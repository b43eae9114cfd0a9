"""The demo: what it promises a newcomer, each promise looked at."""

import json
import re
import signal
import socket
import time
from collections import Counter
from pathlib import Path

import duckdb
import httpx
import pytest

from journeyport.loopback import is_loopback
from journeyport.processes import free_port
from journeyport.tables import DAILY

pytestmark = pytest.mark.timeout(900)


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in: {text}"
    return int(found[1].replace(",", ""))


def test_the_summary_says_what_came_of_every_part(demo):
    text = demo.runs[0].text
    assert number(r"engagements │ ([\d,]+) │", text) == 330
    assert number(r"([\d,]+) calls, 330 engagements", text) > 8
    assert number(r"(\d+) account-days PROVED", text) == 6
    assert number(r"customers ([\d,]+) resolved", text) > 50
    assert number(r"([\d,]+) provisional", text) > 0
    assert number(r"([\d,]+) engagements ambiguous", text) >= 0
    assert number(r"([\d,]+) rows inserted", text) > 3000
    assert number(r"matched: ([\d,]+) ONE", text) > 20
    assert number(r"([\d,]+) MANY", text) > 0
    assert number(r"([\d,]+) records created", text) > 20
    assert number(r"([\d,]+) updated \(25 first, then confirmed\)", text) > 20
    assert number(r"([\d,]+) rejected", text) == 0
    assert str(demo.home / "demo") in demo.runs[0].said
    assert "Next: journeyport up" in text


@pytest.mark.parametrize("which", [1, 2], ids=["at once", "a day later"])
def test_another_run_changes_nothing_and_says_so(demo, which):
    text = demo.runs[which].text
    assert "Nothing changed since the last run: 0 changed rows in the warehouse" in text
    assert "0 writes to the CRM" in text
    assert "0 rows inserted, 0 updated, 0 deleted" in text


def test_the_ledger_holds_one_delivery_to_the_crm_and_none_after_it(demo):
    path = str(demo.home / "demo" / "catalogue.duckdb")
    with duckdb.connect(path, read_only=True) as db:
        runs = db.execute(
            "SELECT run_id FROM sink_ledger WHERE target <> 'warehouse' "
            "AND inserted + updated + deleted > 0"
        ).fetchall()
    assert len({run for (run,) in runs}) == 1


def test_everything_lies_in_the_demo_s_own_folder(demo):
    assert {path.name for path in demo.home.iterdir()} == {"demo"}
    assert {path.name for path in demo.folder.iterdir()} == {".env", "home", "spied"}
    for name in ("lake", "state.db", "warehouse.duckdb", "catalogue.duckdb", "plans"):
        assert (demo.home / "demo" / name).exists()


def test_what_the_demo_keeps_is_for_its_user_alone(demo):
    kept = demo.home / "demo"
    assert [f.name for f in (demo.home, kept) if f.stat().st_mode & 0o077] == []
    databases = [*kept.rglob("*.duckdb"), *kept.glob("*.db"), *kept.glob("[so]*/*.db")]
    assert len(databases) >= 5
    assert [f.name for f in databases if f.stat().st_mode & 0o077] == []


def test_every_process_of_it_connects_to_loopback_only(demo):
    started = [path.read_text() for path in demo.spied.glob("process-*")]
    for part in ("journeyport demo", "customer-journey", "salesforce-sandbox"):
        assert [line for line in started if part in line]
    assert [line for line in started if "-m pipelines" in line]
    seen = Counter()
    for path in demo.spied.glob("seen-*"):
        seen.update(path.read_text().split())
    assert seen
    assert [host for host in seen if not is_loopback(host)] == []


def test_nothing_of_somebody_s_settings_is_used_or_repeated(demo):
    secrets = ("production-secret", "production-key", "production-bucket")
    files = (demo.home / "demo" / "logs").iterdir()
    for text in [*(run.said + run.told for run in demo.runs)] + [
        path.read_text(errors="replace") for path in files
    ]:
        assert not [word for word in (*secrets, "PRODUC") if word in text]


def test_the_source_was_never_asked_for_a_second_page(demo):
    log = demo.home / "demo" / "logs" / "source-requests.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    searches = [line for line in lines if line["operation"] == "getJourneys"]
    assert len(searches) > 6
    assert {line["pageNumber"] for line in searches} == {1}


def test_other_data_than_is_there_is_refused_in_one_sentence(demo):
    done = demo.again("demo", "--days", "5", "--engagements", "330")
    assert done.returncode == 2
    assert "give the same numbers, or --fresh" in done.stderr


LAUNCH = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""

STATUS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill {
      status
      runs: unfinishedRuns { id }
      tags { key value }
    }
  }
}
"""

RUNS = """
query ($id: String!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
    ... on Runs { results { status tags { key value } } }
  }
}
"""


def asked(url, query, **variables):
    body = {"query": query, "variables": variables}
    with httpx.Client(trust_env=False, timeout=60) as http:
        answer = http.post(f"{url}/graphql", json=body).json()
    assert "errors" not in answer, answer
    return answer["data"]


@pytest.fixture(scope="module")
def up(demo):
    """`journeyport up` on what the demo left; ended by Ctrl-C afterwards."""
    url = f"http://127.0.0.1:{free_port()}"
    said = demo.folder / "up.txt"
    with said.open("w") as sink:
        process = demo.started("up", "--port", url.rpartition(":")[2], sink=sink)
        end = time.monotonic() + 250
        while "Ctrl-C ends all" not in said.read_text():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.2)
        yield url, said, process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_up_prints_the_addresses_and_each_of_them_answers(up):
    url, said, _process = up
    addresses = re.findall(r"http://127\.0\.0\.1:\d+", said.read_text())
    assert len(set(addresses)) == 3
    assert url in addresses
    with httpx.Client(trust_env=False, timeout=30) as http:
        for address in addresses:
            assert http.get(f"{address}/").status_code < 500


def test_a_backfill_of_days_from_the_dialog_is_one_run_that_succeeds(up, demo):
    url, _said, _process = up
    days = ["2026-03-13", "2026-03-14"]
    keys = ["raw_engagements", *(table.name for table in DAILY), "warehouse"]
    params = {
        "assetSelection": [{"path": [key]} for key in keys],
        "partitionNames": days,
        "fromFailure": False,
    }
    launched = asked(url, LAUNCH, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    backfill = launched["backfillId"]
    end = time.monotonic() + 280
    status = ""
    while not status.startswith(("COMPLETED", "FAILED", "CANCELED")):
        assert time.monotonic() < end, status
        time.sleep(1)
        status = asked(url, STATUS, id=backfill)["partitionBackfillOrError"]["status"]
    (run,) = asked(url, RUNS, id=backfill)["runsOrError"]["results"]
    assert run["status"] == "SUCCESS"
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert tags["dagster/asset_partition_range_start"] == days[0]
    assert tags["dagster/asset_partition_range_end"] == days[1]


def test_a_second_up_on_the_same_port_is_refused_in_one_sentence(up, demo):
    url, _said, _process = up
    done = demo.again("up", "--port", url.rpartition(":")[2])
    assert done.returncode == 2
    assert "is taken by another program" in done.stderr


def test_ctrl_c_ends_every_process_of_up(up, demo):
    _url, said, process = up
    addresses = re.findall(r"http://127\.0\.0\.1:(\d+)", said.read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 0
    assert "All ended." in said.read_text()
    for port in addresses:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0
    started = [int(path.name.split("-")[1]) for path in demo.spied.glob("process-*")]
    left = [pid for pid in started if is_running(pid)]
    assert left == []


def is_running(pid):
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
    # Its number may have gone to another process since.
    return b"journeyport" in line or b"dagster" in line or b"pipelines" in line
