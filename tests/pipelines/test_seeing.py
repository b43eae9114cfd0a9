"""What is to be seen: counts, charts, and checks that name what is unlike before."""

import base64
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from made_days import fill

from journeyport import receipts, seeing
from journeyport.clock import SetClock
from journeyport.lake import Lake
from journeyport.state import State, drift
from journeyport.state.receipts import Actor
from pipelines import charts, watching

SUNDAY = date(2026, 3, 15)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture
def state(tmp_path):
    opened = State(f"sqlite:///{tmp_path / 'state.db'}")
    yield opened
    opened.close()


def test_a_day_unlike_the_same_weekday_before_is_named(lake):
    for week, count in ((1, 40), (2, 44), (3, 36)):
        fill(lake, SUNDAY - timedelta(weeks=week), count)
    fill(lake, SUNDAY - timedelta(days=1), 400)  # another weekday says nothing
    fill(lake, SUNDAY, 15)
    asked = [("ABCDEF", SUNDAY)]
    (found,) = seeing.unlike_before(lake, asked, share=watching.SHARE)
    assert (found.day, found.engagements, found.usual) == (SUNDAY, 15, 40)
    fill(lake, SUNDAY, 30)
    assert seeing.unlike_before(lake, asked, share=watching.SHARE) == []


@pytest.mark.parametrize("before", [[40], [2, 3, 4], []])
def test_too_little_before_says_nothing(lake, before):
    for week, count in enumerate(before, start=1):
        fill(lake, SUNDAY - timedelta(weeks=week), count)
    fill(lake, SUNDAY, 1)
    assert seeing.unlike_before(lake, [("ABCDEF", SUNDAY)], share=0.5) == []


def test_engagements_are_counted_by_channel_and_local_hour(lake):
    fill(lake, SUNDAY, 9, local_hour=lambda n: 8 if n < 3 else 17)
    counted = seeing.by_channel_and_hour(lake, [("ABCDEF", SUNDAY)])
    assert list(counted) == ["Voice", "Chat"]
    assert (counted["Voice"][8], counted["Voice"][17]) == (2, 4)
    assert (counted["Chat"][8], counted["Chat"][17]) == (1, 2)
    assert sum(map(sum, counted.values())) == 9


def test_the_lag_of_updates_is_counted_by_its_length(lake):
    start = datetime(2026, 3, 15, 9, tzinfo=UTC)
    lags = [timedelta(seconds=30), timedelta(minutes=5), timedelta(days=30)]
    fill(lake, SUNDAY, 3, update_date=lambda n: start + lags[n])
    assert seeing.update_lag(lake, [("ABCDEF", SUNDAY)]) == {
        "within a minute": 1,
        "within an hour": 1,
        "within a day": 0,
        "within a week": 0,
        "later": 1,
    }


def test_what_the_source_has_new_is_reported_once_by_name(state):
    now = datetime(2026, 3, 16, tzinfo=UTC)
    for run_id, names in (("first", ["status=PARKED"]), ("second", ["status=PARKED"])):
        drift.note(state, "ABCDEF", SUNDAY, names, run_id=run_id, now=now)
    assert seeing.new_at_the_source(state, "first") == ["status=PARKED"]
    assert seeing.new_at_the_source(state, "second") == []


@pytest.mark.parametrize(
    "picture",
    [
        charts.bars("Rejects", {"normalise: BAD_DATE": 3, "crm: TOO_LONG": 1}, "rows"),
        charts.heat("By hour", {"Voice": [1] * 24, "Chat": [2] * 24}, "hour"),
    ],
)
def test_a_chart_is_a_picture_in_markdown(picture):
    found = re.fullmatch(r"!\[.*\]\(data:image/png;base64,(.*)\)", picture.value)
    assert base64.b64decode(found[1]).startswith(b"\x89PNG")


def test_a_chart_of_nothing_says_so():
    assert charts.bars("Rejects", {}, "rows").value == "Rejects: none."
    assert charts.heat("By hour", {}, "hour").value == "By hour: none."


def test_other_rules_than_last_time_leave_one_receipt(lake, state):
    clock = SetClock(datetime(2026, 3, 16, tzinfo=UTC))

    def night(print_):
        return receipts.note_rules(
            lake,
            state,
            clock,
            rules={("field policy", None): print_},
            actor=Actor(None, "SCHEDULE"),
            run_id="r",
        )

    assert [night("one"), night("one"), night("two")] == [
        ["field policy"],
        [],
        ["field policy"],
    ]
    kept = lake.read_snapshot("receipts").to_pylist()
    assert [row["subject"] for row in kept] == ["one", "two"]
    assert kept[1]["reason"].endswith("changed from one to two.")
