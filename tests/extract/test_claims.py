"""What is claimed of an account-day over several walks, and what the state says."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from model_source import ACCOUNT, DAY, ModelSource, Traits
from night_world import World

from journeyport import extract, gate, night, wire
from journeyport.alerts import causes
from journeyport.clock import SetClock
from journeyport.extract import ExtractOptions
from journeyport.lake import Lake
from journeyport.state import State, certificates, failures, windows

TODAY = DAY.date()


@pytest.fixture
def world(tmp_path):
    made = []

    def make(**traits):
        folder = tmp_path / str(len(made))
        made.append(World(folder, ModelSource(1, Traits(rows=30, **traits))))
        return made[-1]

    yield make
    for one in made:
        one.close()


def hostile(here):
    """From now on the source shows rows of another account."""
    here.source.traits = replace(here.source.traits, foreign=1.0)


def certified(here):
    return json.loads(certificates.latest(here.state, ACCOUNT, TODAY).document)


def test_a_closed_day_that_cannot_be_proved_is_held_though_it_was_partial(world):
    here = world()
    here.source.time = DAY + timedelta(hours=12)
    assert here.night(hours=14).days[-1].status == windows.PARTIAL
    hostile(here)
    here.night(hours=0)
    assert windows.day_of(here.state, ACCOUNT, TODAY).status == windows.HELD
    assert certified(here)["status"] not in gate.DELIVERABLE
    found, _ = causes.standing(
        here.state, [ACCOUNT], stale_after=timedelta(days=9), now=here.clock.now()
    )
    assert TODAY.isoformat() in {one.subject for one in found if one.kind == "held"}
    extract.release(here.state, ACCOUNT, TODAY, who="Ada", reason="seen")
    here.tables([TODAY])
    assert certified(here)["status"] == windows.RELEASED


def test_a_proved_day_that_cannot_be_proved_again_is_not_called_held_back(world):
    here = world()
    here.source.time = DAY + timedelta(days=1, hours=3)
    (proved,) = here.land().days
    hostile(here)
    (again,) = here.land().days
    assert (proved.status, again.status) == (windows.PROVED, windows.HELD)
    assert "what its certificate claims stands" in again.unproved(ACCOUNT)
    assert windows.day_of(here.state, ACCOUNT, TODAY).status == windows.PROVED


def test_a_walk_that_repeats_its_run_leaves_the_windows_a_claim_rests_on(world):
    here = world()
    here.source.time = DAY + timedelta(days=1, hours=3)
    here.land()
    before = windows.day_of(here.state, ACCOUNT, TODAY)
    rests_on = windows.windows_of(here.state, ACCOUNT, TODAY, before.run_id)
    for _ in range(2):
        hostile(here)
        here.number -= 1  # the same run again
        here.land()
    assert windows.day_of(here.state, ACCOUNT, TODAY) == before
    assert rests_on
    assert windows.windows_of(here.state, ACCOUNT, TODAY, before.run_id) == rests_on


def test_a_certificate_counts_what_was_dropped_from_every_document_of_the_day(world):
    here = world()
    here.set(policy=extract.FieldPolicy((("data", "drop"),)))
    here.source.time = DAY + timedelta(hours=23)
    here.night(hours=4)
    assert certified(here)["field_policy_dropped"] == {"data": 30}
    here.source.insert(DAY + timedelta(hours=23, minutes=59), here.source.time)
    here.night(hours=24)
    document = certified(here)
    assert document["engagements"] == 31
    first = document["field_policy_dropped"]["data"]
    assert first >= 31
    here.night()
    assert certified(here)["field_policy_dropped"]["data"] == first


@pytest.mark.parametrize(
    ("column", "value"),
    [("status", "PROVED"), ("proof", "PROVEN"), ("row_count", 99)],
)
def test_a_state_that_says_more_than_the_certificate_is_noticed(world, column, value):
    here = world()
    hostile(here)
    here.land()
    here.tables([TODAY])
    altered = sa.text(f"UPDATE certificates SET {column} = :value")
    with here.state.write() as connection:
        connection.execute(altered, {"value": value})
    found = extract.verify_certificate(here.lake, here.state, ACCOUNT, TODAY)
    assert not found.ok
    assert "does not say what the state does" in found.text()
    run = night.Run(here.lake, here.state, here.clock, "look")
    checked = gate.check(run, [(ACCOUNT, TODAY)], shrink_limit=0.5)
    assert checked.fit == []


def test_a_certificate_taken_from_the_end_of_the_state_is_noticed(world):
    here = world()
    here.source.time = DAY + timedelta(hours=12)
    here.night(hours=14)
    here.night()
    last = certificates.latest(here.state, ACCOUNT, TODAY)
    assert last.number > 1
    with here.state.write() as connection:
        connection.execute(
            sa.text("DELETE FROM certificates WHERE number = :last"),
            {"last": last.number},
        )
    found = extract.verify_certificate(here.lake, here.state, ACCOUNT, TODAY)
    assert any("the state lacks" in finding for finding in found.findings)


def test_what_is_visible_before_the_walk_is_said_by_the_clock_that_is_behind(world):
    here = world()
    here.source.time = DAY + timedelta(days=1, hours=3)
    here.clock = SetClock(here.source.time + timedelta(minutes=10))  # ours is ahead
    here.land()
    walked = windows.day_of(here.state, ACCOUNT, TODAY)
    assert walked.began_at <= here.source.time


class TwoAccounts:
    """A source whose other account answers with one odd date."""

    def __init__(self, odd):
        self.model = ModelSource(1, Traits(rows=5))
        self.tally, self.odd = self.model.tally, odd

    def now(self):
        return self.model.time, True

    def identifier_types(self, account):
        del account
        return []

    def search(self, account, ask):
        if account == ACCOUNT:
            return self.model.search(account, ask)
        row = {"id": "a", "startDate": "2026-03-02T10:00:00.000Z", **self.odd}
        body = {"engagements": [row], "pagination": {"total": 1}}
        return wire.read_answer(json.dumps(body).encode())

    def by_ids(self, account, ids, purpose="watch"):
        return self.model.by_ids(account, ids, purpose)


@pytest.mark.parametrize("name", ["startDate", "endDate", "updateDate"])
@pytest.mark.parametrize(
    "instant", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.9999999-01:00"]
)
def test_a_date_at_the_ends_of_time_stops_no_other_account(tmp_path, name, instant):
    source = TwoAccounts({name: instant})
    clock = SetClock(source.model.time)
    with closing(State(f"sqlite:///{tmp_path / 'state.db'}")) as state:
        run = night.Run(Lake(tmp_path / "lake"), state, clock, "run")
        landed = night.land(
            run,
            source,
            accounts=["GHIJKL", ACCOUNT],
            days=None,
            options=ExtractOptions(first_day=TODAY),
            strengths={},
        )
        assert landed.reports[ACCOUNT].failure is None
        assert windows.days_of(state, ACCOUNT)


def test_engagements_that_may_not_be_called_deleted_fail_the_night(tmp_path):
    source = ModelSource(1, Traits(rows=30))
    here = World(tmp_path, source, tombstone_floor=2, tombstone_share=0.0)
    run = night.Run(here.lake, here.state, here.clock, "first")

    def a_night(run_id):
        landed = night.land(
            replace(run, run_id=run_id),
            source,
            accounts=[ACCOUNT],
            days=None,
            options=here.options,
            strengths={},
        )
        source.time += timedelta(days=1)
        return landed

    a_night("first")
    for one in source.rows[:8]:
        one.erased_at = source.time
    for number in range(3):
        landed = a_night(f"night{number}")
    (wrong,) = failures.of_run(here.state, "night2")
    assert "8 engagements" in wrong.reason
    assert (wrong.stage, wrong.day) == ("proof", None)
    assert landed.reports[ACCOUNT].watched.refused == 8
    here.close()
