"""Invented people and days: believable, the same by seed, honest about who was who."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from customer_journey.instants import parse_instant
from customer_journey.people import block

CLOCK = "2026-11-15T02:00:00Z"


def generate(folder, name, *options):
    database = folder / name
    run = subprocess.run(
        [
            *(sys.executable, "-m", "customer_journey", "generate"),
            *("--database", str(database), "--start", "2026-11-01", *options),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return database, run


def rows(database, query):
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    database, run = generate(folder, "a.db", "--engagements", "3000", "--seed", "5")
    assert run.returncode == 0, run.stderr
    documents = [
        json.loads(text)
        for (text,) in rows(database, "SELECT document FROM engagements ORDER BY seq")
    ]
    return folder, database, json.loads(run.stdout), documents


def read_truth(folder):
    text = (folder / "a.db.truth.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_the_same_seed_makes_the_same_data(tmp_path):
    runs = []
    for name, seed in (("a.db", "5"), ("b.db", "5"), ("c.db", "6")):
        database, run = generate(tmp_path, name, "--engagements", "300", "--seed", seed)
        assert run.returncode == 0, run.stderr
        truth = (tmp_path / f"{name}.truth.jsonl").read_text()
        documents = rows(database, "SELECT document FROM engagements ORDER BY seq")
        runs.append((documents, truth))
    assert runs[0] == runs[1] != runs[2]


def test_the_report_counts_what_is_there(made):
    _, database, report, documents = made
    counted = dict(
        rows(
            database,
            "SELECT account_id, count(*) FROM engagements GROUP BY account_id",
        )
    )
    assert counted == report["engagements"]
    assert sum(counted.values()) == len(documents) == 3000
    assert len({one["id"] for one in documents}) == 3000


def test_days_show_every_kind_of_engagement(made):
    documents = made[3]
    channels = Counter(one["channels"][0]["type"] for one in documents)
    assert channels.keys() == {"VOICE", "CHAT", "EMAIL", "MESSAGING"}
    assert channels["VOICE"] > 1200
    people = [who for one in documents for who in one["participants"]]
    automations = {who.get("automationType") for who in people}
    assert {"CHATBOT", "SELF_SERVICE", "TREATMENT"} <= automations
    assert any(who.get("role") == "SUPERVISOR" for who in people)
    assert any(who.get("state") == "HELD" for who in people)
    kinds = {two["transferType"] for one in documents for two in one["transfers"]}
    assert kinds == {
        *("TRANSFER_TO_AGENT", "TRANSFER_TO_QUEUE"),
        *("TRANSFER_TO_EXTERNAL", "CONSULT_TRANSFER_TO_QUEUE"),
    }
    assert {one["direction"] for one in documents} == {"INBOUND", "OUTBOUND"}
    assert {one["status"] for one in documents} == {"CREATED", "ACTIVE", "COMPLETED"}
    for field in ("agentNotes", "data", "attributes", "conversations", "queues"):
        assert any(one[field] for one in documents), field
    assert any(not one["identifiers"] for one in documents)
    names = {name for one in documents for name in one["identifiers"]}
    assert {"phoneNumbers", "emailAddresses", "accountIds", "whatsappIds"} <= names
    assert "loyaltyCards" in names


def test_documents_hold_together(made):
    for one in made[3]:
        start, updated = (parse_instant(one[k]) for k in ("startDate", "updateDate"))
        assert start <= updated
        left = [who.get("leftAt") for who in one["participants"]]
        assert all(one["startDate"] <= who["joinedAt"] for who in one["participants"])
        if one["status"] == "COMPLETED":
            assert start <= parse_instant(one["endDate"]) <= updated
            assert None not in left
            assert max(left) <= one["endDate"]
        else:
            assert "endDate" not in one
            assert one["participants"][0].get("leftAt") is None
        assert one["participants"][0]["joinedAt"] == one["startDate"]
        for segment in one["queues"]:
            assert ("agentId" in segment) == ("acceptedAt" in segment)
        for value in one["data"].values():
            assert len(value) >= 3


def test_calls_keep_the_business_hours_of_two_time_zones(made):
    hours = defaultdict(Counter)
    zones = {"ABCDEF": "Europe/Berlin", "GHIJKL": "America/New_York"}
    for one in made[3]:
        if one["channels"][0]["id"] == "Voice":
            zone = ZoneInfo(zones[one["accountId"]])
            local = datetime.fromisoformat(one["startDate"]).astimezone(zone)
            hours[one["accountId"]][local.hour] += 1
    for counted in hours.values():
        assert min(counted) >= 7
        assert max(counted) <= 19


def test_some_updates_come_days_after_the_end(made):
    late = [
        one
        for one in made[3]
        if "endDate" in one
        and parse_instant(one["updateDate"]) - parse_instant(one["endDate"])
        > 24 * 3_600_000_000
    ]
    assert len(late) > 30


def test_the_truth_names_one_person_behind_every_engagement(made):
    folder, _, report, documents = made
    lines = read_truth(folder)
    assert len(lines) == report["people"] == len({line["person"] for line in lines})
    behind = {one: line["person"] for line in lines for one in line["engagements"]}
    assert behind.keys() == {one["id"] for one in documents}
    for one in documents:
        assert behind[one["id"]].startswith(one["accountId"])


def test_people_share_phones_and_accounts_share_addresses(made):
    folder = made[0]
    lines = read_truth(folder)
    emails, shared = defaultdict(set), defaultdict(set)
    for line in lines:
        for email in line["owns"]["emailAddresses"]:
            emails[email].add(line["account"])
        for phone in line["shares"]:
            shared[phone].add(line["person"])
    assert sum(len(accounts) == 2 for accounts in emails.values()) > 20
    assert max(len(people) for people in shared.values()) >= 12
    assert any(len(line["owns"]["phoneNumbers"]) > 1 for line in lines)
    assert any(len(line["owns"]["emailAddresses"]) > 1 for line in lines)


def test_no_two_blocks_of_people_share_a_number_or_an_address():
    for region in ("DE", "US"):
        seen = {}
        for number in range(1, 12_000):
            for person in block(3, "ABCDEF", region, number):
                for value in (
                    *(*person.phones, *person.shared_phones, *person.emails),
                    *(*person.account_ids, *person.loyalty),
                ):
                    assert seen.setdefault(value, number) == number


def test_journeys_are_those_that_linking_one_by_one_would_make(made):
    database = made[1]
    held = rows(
        database,
        "SELECT account_id, seq, identifiers FROM engagements ORDER BY seq",
    )
    label = {}
    members = {}
    for account, _, text in held:
        flat = [(account, n, v) for n, vs in json.loads(text).items() for v in vs]
        for one in flat:
            if one not in label:
                label[one], members[one] = one, [one]
        for one in flat[1:]:
            into, gone = label[flat[0]], label[one]
            if into != gone:
                for moved in members.pop(gone):
                    label[moved] = into
                    members[into].append(moved)
    groups = defaultdict(set)
    for account, name, value, journey in rows(
        database, "SELECT account_id, name, value, journey FROM identifiers"
    ):
        groups[account, journey].add((account, name, value))
    assert sorted(map(sorted, groups.values())) == sorted(map(sorted, members.values()))


def test_a_filled_database_is_not_filled_again(made):
    folder = made[0]
    _, run = generate(folder, "a.db", "--engagements", "10")
    assert run.returncode == 2
    assert "holds engagements already" in run.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--accounts", "ABC"), "An account id is exactly six letters"),
        (("--start", "soon"), "The start must be a day"),
        (("--accounts", "ABCDEF,ABCDEF"), "each of them once"),
        (("--engagements", "-1"), "greater than or equal to 0"),
    ],
)
def test_a_mistake_in_the_arguments_is_one_sentence_and_exit_two(
    tmp_path, options, sentence
):
    _, run = generate(tmp_path, "x.db", *options)
    assert run.returncode == 2
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr


def test_a_clock_or_profile_that_is_none_ends_serve_with_exit_two(tmp_path):
    for option, value, sentence in (
        ("--clock", "noon", "must be an instant such as"),
        ("--faults", "gremlins", "no fault profile"),
        ("--credentials-file", str(tmp_path / "none.json"), "cannot be read"),
        ("--database", "/proc/none/journey.db", "cannot be opened"),
    ):
        command = [sys.executable, "-m", "customer_journey", "serve", "--port", "0"]
        if option != "--database":
            command += ["--database", str(tmp_path / "y.db")]
        run = subprocess.run(
            [*command, option, value],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 2, run.stderr
        assert sentence in run.stderr
        assert "Traceback" not in run.stderr
