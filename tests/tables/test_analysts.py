"""The analysts' questions, answered by SQL and again from the documents themselves."""

import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import xxhash

from journeyport import arrow, identity, normalise, reading
from journeyport.clock import SetClock
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.tables import RAW_ENGAGEMENTS

PAGE = Path(__file__).parents[2] / "docs" / "analysts.md"
QUESTIONS = dict(
    re.findall(r"```sql\n-- ([\w-]+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
)
ZONES = {"ABCDEF": "Europe/Berlin", "GHIJKL": "America/New_York"}
STRENGTHS = {"accountIds": "VERY_STRONG", "emailAddresses": "STRONG"}
NOW = datetime(2026, 3, 12, tzinfo=UTC)


def moment(text):
    return None if text is None else datetime.fromisoformat(text)


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """Documents by account, and the true people, as the local service makes them."""
    folder = tmp_path_factory.mktemp("generated")
    database = folder / "source.db"
    command = [sys.executable, "-m", "customer_journey", "generate"]
    command += ["--database", str(database)]
    command += ["--engagements", "900", "--days", "9", "--start", "2026-03-02"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT account_id, document FROM engagements")
        documents = defaultdict(list)
        for account, text in rows:
            documents[account].append(json.loads(text))
    connection.close()
    truth = Path(f"{database}.truth.jsonl").read_text().splitlines()
    return documents, [json.loads(line) for line in truth]


@pytest.fixture(scope="session")
def lake(generated, tmp_path_factory):
    """A whole lake of them: every table, agents and queues, customers."""
    folder = tmp_path_factory.mktemp("home")
    place = Lake(folder / "lake")
    for account, documents in generated[0].items():
        days = defaultdict(list)
        for one in documents:
            days[moment(one["startDate"]).astimezone(UTC).date()].append(one)
        for day, ones in days.items():
            place.append_raw(account, day, "r", "w", raw(account, ones))
        rules = normalise.AccountRules(account, timezone=ZONES[account])
        reports = normalise.conform_days(
            place, rules, sorted(days), run_id="r", strengths=STRENGTHS
        )
        for report in reports:
            assert (report.rejects, report.drift) == ([], {})
    normalise.conform_snapshots(place, list(ZONES), run_id="r")
    state = State(f"sqlite:///{folder}/state.db")
    identity.resolve(
        place,
        state,
        identity.load_config(),
        accounts=list(ZONES),
        run_id="r",
        clock=SetClock(NOW),
    )
    state.close()
    return place


def raw(account, documents):
    texts = [json.dumps(one) for one in documents]
    count = len(texts)
    rows = {
        "account_id": [account] * count,
        "engagement_id": [one["id"] for one in documents],
        "start_date": [moment(one["startDate"]) for one in documents],
        "content_hash": [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts],
        "policy_hash": ["none"] * count,
        "payload": texts,
        "is_deleted": [False] * count,
        "_extracted_at": [NOW] * count,
        "_run_id": ["r"] * count,
    }
    return arrow.conform(RAW_ENGAGEMENTS, pa.table(rows))


@pytest.fixture(scope="session")
def answer(lake):
    def ask(name):
        found = reading.query(QUESTIONS[name], lake=lake)
        return [tuple(row.values()) for row in found.to_pylist()]

    return ask


@pytest.fixture(scope="session")
def documents(generated):
    """(account, document) of all."""
    return [(a, one) for a, ones in sorted(generated[0].items()) for one in ones]


@pytest.fixture(scope="session")
def contacts(documents, lake):
    """Per resolved customer, its engagements in order."""
    found = lake.read_snapshot("engagement_customers").to_pylist()
    who = {row["engagement_id"]: row for row in found}
    grouped = defaultdict(list)
    for account, one in documents:
        if who[one["id"]]["resolution"] == "RESOLVED":
            grouped[account, who[one["id"]]["customer_id"]].append(one)
    for ones in grouped.values():
        ones.sort(key=lambda one: (moment(one["startDate"]), one["id"]))
    return grouped


def channel(one):
    return one["channels"][0]["id"]


def local(account, one):
    return moment(one["startDate"]).astimezone(ZoneInfo(ZONES[account]))


def flat(counter):
    return sorted((*key, count) for key, count in counter.items())


def roles(one):
    kinds = {(p["type"], p.get("automationType")) for p in one["participants"]}
    automated = kinds & {("TREATMENT", "CHATBOT"), ("TREATMENT", "SELF_SERVICE")}
    return bool(automated), ("AGENT", None) in kinds


def test_every_question_of_the_page_has_a_test():
    asked = set(re.findall(r'answer\("([\w-]+)"\)', Path(__file__).read_text()))
    assert set(QUESTIONS) == asked
    assert len(QUESTIONS) >= 12


def test_contacts_per_channel(answer, documents):
    truth = Counter((a, local(a, one).date(), channel(one)) for a, one in documents)
    assert answer("contacts-per-channel") == flat(truth)


def test_busy_hours(answer, documents):
    truth = Counter(
        (a, local(a, one).isoweekday(), local(a, one).hour)
        for a, one in documents
        if one["direction"] == "INBOUND"
    )
    assert answer("busy-hours") == flat(truth)


def within_a_week(ones):
    """(engagement, whether another follows within seven days)."""
    starts = [moment(one["startDate"]) for one in ones]
    for place, one in enumerate(ones):
        following = starts[place + 1] if place + 1 < len(ones) else None
        yield one, bool(following and following - starts[place] <= timedelta(days=7))


def test_repeat_contacts(answer, contacts):
    total, repeated = Counter(), Counter()
    for (account, _), ones in contacts.items():
        inbound = [one for one in ones if one["direction"] == "INBOUND"]
        for _, again in within_a_week(inbound):
            total[account] += 1
            repeated[account] += again
    assert answer("repeat-contacts") == [(a, total[a], repeated[a]) for a in ZONES]
    assert sum(repeated.values()) > 50


def test_transfer_rate(answer, documents):
    entered, moved, names = defaultdict(set), defaultdict(set), {}
    for account, one in documents:
        for entry in one["queues"]:
            names[entry["queueId"]] = entry["queueName"]
            entered[account, entry["queueId"]].add(one["id"])
        for transfer in one["transfers"]:
            before = [
                entry
                for entry in one["queues"]
                if moment(entry["queuedAt"]) < moment(transfer["timestamp"])
            ]
            if before and not transfer["transferType"].startswith("CONSULT"):
                last = max(before, key=lambda entry: moment(entry["queuedAt"]))
                moved[account, last["queueId"]].add(one["id"])
    truth = [
        (a, names[q], len(ids), len(moved[a, q])) for (a, q), ids in entered.items()
    ]
    assert answer("transfer-rate") == sorted(truth)
    assert any(moved.values())


def test_containment(answer, documents):
    automated, contained = Counter(), Counter()
    for account, one in documents:
        with_automation, with_agent = roles(one)
        if one["status"] == "COMPLETED" and with_automation:
            automated[account, channel(one)] += 1
            alone = not (one["queues"] or with_agent or one["transfers"])
            contained[account, channel(one)] += alone
    truth = sorted((*key, n, contained[key]) for key, n in automated.items())
    assert answer("containment") == truth
    assert sum(contained.values()) > 10


def test_waiting(answer, documents):
    entries, waits, gone = defaultdict(list), defaultdict(list), defaultdict(set)
    for account, one in documents:
        taken = any(entry.get("acceptedAt") for entry in one["queues"])
        for entry in one["queues"]:
            key = (account, entry["queueName"])
            entries[key].append(entry)
            if entry.get("acceptedAt"):
                wait = moment(entry["acceptedAt"]) - moment(entry["queuedAt"])
                waits[key].append(wait.total_seconds())
            if one["status"] == "COMPLETED" and not taken and not roles(one)[1]:
                gone[key].add(one["id"])
    truth = [
        (
            *key,
            len(ones),
            len(waits[key]),
            pytest.approx(median(waits[key]), abs=0.002) if waits[key] else None,
            len(gone[key]),
        )
        for key, ones in sorted(entries.items())
    ]
    assert answer("waiting") == truth
    assert any(gone.values())


def test_agent_load(answer, documents):
    stays, minutes, names = Counter(), Counter(), {}
    for account, one in sorted(documents, key=lambda pair: pair[1]["startDate"]):
        for who in one["participants"]:
            agent = who["type"] == "AGENT" and who.get("role") != "SUPERVISOR"
            if agent and who.get("leftAt"):
                spent = moment(who["leftAt"]) - moment(who["joinedAt"])
                stays[account, who["id"]] += 1
                minutes[account, who["id"]] += spent.total_seconds() / 60
                names[who["id"]] = who["agentDisplayName"]
    truth = Counter()
    for key, count in stays.items():
        truth[key[0], names[key[1]]] += count
    found = answer("agent-load")
    assert Counter({row[:2]: row[2] for row in found}) == truth
    assert sum(row[3] for row in found) == pytest.approx(sum(minutes.values()), abs=5)


def test_channel_switches(answer, contacts):
    customers, switches = Counter(), Counter()
    for (account, _), ones in contacts.items():
        used = [channel(one) for one in ones]
        turns = sum(a != b for a, b in pairwise(used))
        if turns:
            key = (account, ";".join(sorted(set(used))))
            customers[key] += 1
            switches[key] += turns
    truth = sorted((*key, n, switches[key]) for key, n in customers.items())
    assert answer("channel-switches") == truth


def test_before_silence(answer, contacts, documents):
    ends = {
        account: max(moment(one["startDate"]) for a, one in documents if a == account)
        for account in ZONES
    }
    truth = Counter()
    for (account, _), ones in contacts.items():
        last = ones[-1]
        silent = moment(last["startDate"]) < ends[account] - timedelta(days=3)
        if silent and last["conversations"]:
            truth[account, last["conversations"][0]] += 1
    assert sorted(answer("before-silence")) == flat(truth)
    counts = [count for _, _, count in answer("before-silence")]
    assert counts == sorted(counts, reverse=True)


def test_settled_at_once(answer, contacts):
    total, settled = Counter(), Counter()
    for (account, _), ones in contacts.items():
        for one, again in within_a_week(ones):
            for topic in one["conversations"]:
                total[account, topic] += 1
                settled[account, topic] += not again
    truth = sorted((*key, n, settled[key]) for key, n in total.items())
    assert answer("settled-at-once") == truth


def test_still_open(answer, documents):
    truth = [
        (a, one["id"], one["status"], moment(one["startDate"]))
        for a, one in documents
        if one["status"] != "COMPLETED"
    ]
    assert answer("still-open") == sorted(truth, key=lambda row: (row[3], row[1]))
    assert truth


def test_how_well_known(answer, lake):
    found = lake.read_snapshot("engagement_customers").to_pylist()
    counts = Counter((row["account_id"], row["resolution"]) for row in found)
    assert [row[:3] for row in answer("how-well-known")] == flat(counts)


def test_handed_to(answer, documents):
    total, arrived = Counter(), Counter()
    for account, one in documents:
        for transfer in one["transfers"]:
            key = (account, transfer["transferType"])
            total[key] += 1
            arrived[key] += transfer.get("destinationAgentJoinedAt") is not None
    truth = sorted((*key, n, arrived[key]) for key, n in total.items())
    assert answer("handed-to") == truth


def test_customers_with_an_account_id_are_the_true_people(generated, contacts):
    person = {e: who["person"] for who in generated[1] for e in who["engagements"]}
    for ones in contacts.values():
        known = {person[o["id"]] for o in ones if o["identifiers"].get("accountIds")}
        assert len(known) <= 1


def test_the_notebook_draws_a_journey_and_a_week(lake, contacts, monkeypatch):
    monkeypatch.setenv("JOURNEYPORT_LAKE_URL", lake.url)
    monkeypatch.setenv("JOURNEYPORT_ENV_FILE", "-")
    notebook = json.loads((PAGE.parent / "notebooks" / "journeys.ipynb").read_text())
    shown = {}
    for cell in notebook["cells"]:
        assert not cell.get("outputs"), "the notebook is kept without outputs"
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), shown)  # as a kernel would
    journey, week = shown["journey_picture"], shown["week_picture"]
    for picture in (journey, week):
        ET.fromstring(picture._repr_svg_())
    most = max(len({channel(one) for one in ones}) for ones in contacts.values())
    assert len({row["channel"] for row in shown["journey"]}) == most
    assert journey._repr_svg_().count("<circle") == len(shown["journey"]) > 1
    assert sum(row["n"] for row in shown["week"]) > 100
