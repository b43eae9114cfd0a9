"""Days made again: the same, or named as stale."""

import dataclasses
from datetime import date

import pytest

from journeyport import night, normalise, tables
from journeyport.normalise import day as day_module

BASE = {"id": "e", "startDate": "2026-03-05T10:00:00Z"}
RULES = normalise.AccountRules("ABCDEF")
STRENGTHS = {"accountIds": "VERY_STRONG", "emailAddresses": "STRONG"}


def test_a_second_normalisation_changes_nothing(bench):
    bench.land([BASE])
    assert bench.conform(run_id="one").changed
    again = bench.conform(run_id="two")
    assert not again.changed
    assert bench.lake.manifest("ABCDEF", bench.day).run_id == "one"


def test_days_made_in_one_go_equal_days_made_one_by_one(bench, make_bench):
    other = make_bench("other")
    days = [date(2026, 3, 5), date(2026, 3, 6)]
    for lake in (bench, other):
        for day in days:
            lake.land([BASE | {"startDate": f"{day}T10:00:00Z"}], day=day, run="r")
    for day in days:
        bench.conform(day=day)
    together = list(
        normalise.conform_days(other.lake, RULES, days, run_id="x", strengths=STRENGTHS)
    )
    assert [report.day for report in together] == days
    for day in days:
        mine, theirs = (b.lake.manifest("ABCDEF", day) for b in (bench, other))
        assert mine.tables == theirs.tables


def test_a_day_in_order_is_not_stale(bench):
    bench.land([BASE])
    bench.conform()
    assert normalise.stale_days(bench.lake, RULES, STRENGTHS) == {}


def test_a_landed_day_without_tables_is_stale(bench):
    bench.land([BASE])
    stale = normalise.stale_days(bench.lake, RULES, STRENGTHS)
    assert stale == {bench.day: ["never normalised"]}


def test_a_raised_table_version_makes_its_days_stale_and_says_which(bench, monkeypatch):
    bench.land([BASE])
    bench.conform()
    raised = dataclasses.replace(tables.TRANSFERS, version=2)
    monkeypatch.setitem(tables.BY_NAME, "transfers", raised)
    stale = normalise.stale_days(bench.lake, RULES, STRENGTHS)
    assert stale == {bench.day: ["table transfers is now version 2"]}
    assert bench.conform().stale == ("table transfers is now version 2",)
    assert bench.conform().stale == ()
    assert normalise.stale_days(bench.lake, RULES, STRENGTHS) == {}


@pytest.mark.parametrize(
    ("rules", "strengths", "why"),
    [
        (normalise.AccountRules("ABCDEF", "DE"), STRENGTHS, "region changed"),
        (
            normalise.AccountRules("ABCDEF", "US", "Europe/Berlin"),
            STRENGTHS,
            "timezone changed",
        ),
        (RULES, {"accountIds": "WEAK"}, "strengths changed"),
    ],
)
def test_other_rules_make_a_day_stale(bench, rules, strengths, why):
    bench.land([BASE])
    bench.conform()
    stale = normalise.stale_days(bench.lake, rules, strengths)
    assert stale == {bench.day: [why]}


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ("NORMALISER_VERSION", "normaliser_version changed"),
        ("HASH_VERSION", "row_hash_version changed"),
    ],
)
def test_new_rules_of_values_or_hashes_make_a_day_stale(bench, monkeypatch, rules, why):
    bench.land([BASE])
    bench.conform()
    monkeypatch.setattr(day_module, rules, 99)
    stale = normalise.stale_days(bench.lake, RULES, STRENGTHS)
    assert stale == {bench.day: [why]}


def test_the_line_a_command_ends_with_says_which_days_were_stale_and_why(bench):
    bench.land([BASE])
    first, again = bench.conform(), bench.conform()
    moved = bench.conform(zone="Europe/Paris")
    told = night.Made([first, again, moved]).told()
    day = bench.day.isoformat()
    assert told["stale"] == {"never normalised": [day], "timezone changed": [day]}
