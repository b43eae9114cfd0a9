"""What a load costs, and how rows travel in bulk."""

import csv
import inspect
import io
from dataclasses import replace
from importlib.metadata import version

import pytest
from simple_salesforce.bulk2 import _Bulk2Client

from journeyport import crm
from journeyport.crm import bulk
from journeyport.crm.protocol import Operation, Parent, Verdict, Write


@pytest.fixture
def load(world, sandbox):
    """Make ten matched customers with so many engagements in all; deliver them."""

    def run(rows: int, **config: object) -> crm.ApplyReport:
        world.config = replace(world.config, **config)
        for n in range(10):
            sandbox.add("Contact", {"LastName": f"P{n}", "Email": f"c{n}@example.org"})
            person = world.person(f"c{n}")
            person.engagements = [
                world.engagement(n * rows + k, day=2) for k in range(rows // 10)
            ]
        world.write()
        with crm.connect(world.config) as org:
            world.apply(org, world.plan(org))  # the first 25, then this org is tried
            sandbox.admin("DELETE", "/calls")
            return world.apply(org, world.plan(org), confirm=True)

    return run


def test_a_thousand_rows_travel_in_six_calls(load, sandbox, world):
    report = load(1_000)
    assert report.status == "APPLIED"
    assert len(sandbox.rows("JP_Engagement__c")) == 1_000
    assert report.calls.writes <= 6
    counted = sandbox.admin("GET", "/calls")
    assert counted["writes"] <= report.calls.writes, counted
    nothing_changed(world, sandbox)


def nothing_changed(world, sandbox) -> int:
    """A night after which the org itself counted no write; how many it was asked."""
    sandbox.admin("DELETE", "/calls")
    night = world.night()
    assert night.applied is None
    assert sandbox.admin("GET", "/calls")["writes"] == 0
    return night.requests


def test_a_large_load_is_one_job(load, sandbox, world):
    report = load(400, bulk_from=100)
    assert report.status == "APPLIED"
    assert len(sandbox.rows("JP_Engagement__c")) == 400
    # the job's opening, upload and closing; the Contacts' own call
    assert report.calls.writes <= 4
    nothing_changed(world, sandbox)


@pytest.mark.soak
@pytest.mark.parametrize("by", ["collections", "bulk"])
def test_ten_thousand_rows(load, sandbox, world, by):
    report = load(10_000, bulk_from=20_000 if by == "collections" else 2_000)
    assert report.status == "APPLIED"
    assert len(sandbox.rows("JP_Engagement__c")) == 10_000
    assert report.calls.writes <= (60 if by == "collections" else 4)
    print(by, report.calls)  # noqa: T201
    print("the night after", nothing_changed(world, sandbox))  # noqa: T201


def test_odd_values_arrive_whole_by_either_way(world, sandbox):
    odd = ['He said "no", then\nleft; ünï 漢字 🙂', "#N/A", "=1+1", " padded "]
    for way, bulk_from in (("bulk", 2), ("collections", 100)):
        world.config = replace(world.config, bulk_from=bulk_from)
        for n, text in enumerate(odd):
            email = f"{way}{n}@example.org"
            sandbox.add("Contact", {"LastName": "X", "Email": email})
            person = world.person(f"{way}{n}", email=email)
            person.engagements = [
                world.engagement(n + 10 * bulk_from, topic=text, end_date=None)
            ]
        world.write()
        world.deliver()
    rows = sandbox.rows("JP_Engagement__c")
    assert sorted(r["JP_Topic__c"] for r in rows) == sorted(
        2 * [text.strip().replace("\n", " ") for text in odd]
    )
    assert world.night().plan.actions == ()


def test_the_sheet_leaves_blanks_alone_and_blanks_what_is_to_be_empty():
    parent = Parent("Contact", "JP_Customer_Id__c", "JP_Contact__r", "A:1")
    writes = [
        Write(0, "A:x", None, {"T__c": "a,b", "N__c": 3}, {"JP_Contact__c": parent}),
        Write(1, "A:y", None, {"T__c": None, "B__c": True}),
    ]
    text = bulk.sheet("Key__c", Operation.UPSERT, writes)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows == [
        {
            "Key__c": "A:x",
            "B__c": "",
            "N__c": "3",
            "T__c": "a,b",
            "JP_Contact__r.JP_Customer_Id__c": "A:1",
        },
        {
            "Key__c": "A:y",
            "B__c": "true",
            "N__c": "",
            "T__c": "#N/A",
            "JP_Contact__r.JP_Customer_Id__c": "",
        },
    ]


def test_answers_are_found_by_key_whatever_their_order():
    writes = [Write(n, f"A:{n}", None, {}) for n in range(3)]
    files = {
        "successfulResults": [{"sf__Id": "a01", "sf__Created": "true", "K": "A:2"}],
        "failedResults": [
            {
                "sf__Id": "",
                "sf__Error": "STRING_TOO_LONG:T: data value too large:T__c --",
                "K": "A:0",
            }
        ],
        "unprocessedrecords": [{"K": "A:1"}],
    }
    zero, one, two = bulk.answers("K", Operation.UPSERT, writes, files)
    assert (zero.verdict, zero.code, zero.fields) == (
        Verdict.REJECTED,
        "STRING_TOO_LONG",
        ("T__c",),
    )
    assert one.verdict is Verdict.UNSENT
    assert (two.verdict, two.record_id, two.was_created) == (
        Verdict.ACCEPTED,
        "a01",
        True,
    )


def test_the_librarys_private_job_client_is_the_one_we_know():
    assert version("simple-salesforce") == "1.12.10"
    expected = {
        "create_job": [
            "operation",
            "query",
            "column_delimiter",
            "line_ending",
            "external_id_field",
        ],
        "upload_job_data": ["job_id", "data", "content_url"],
        "close_job": ["job_id"],
        "abort_job": ["job_id", "is_query"],
        "get_job": ["job_id", "is_query"],
    }
    for name, wanted in expected.items():
        found = list(inspect.signature(getattr(_Bulk2Client, name)).parameters)
        assert found == ["self", *wanted]
