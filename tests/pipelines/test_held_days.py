"""What is held back reaches no target until it is mended or released, and is named."""

from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa
import pytest
from made_days import ACCOUNT, fill, rows, walked

from journeyport import delivery, extract, gate
from journeyport.clock import SetClock
from journeyport.errors import ArgumentError, NotProvedError
from journeyport.lake import Lake
from journeyport.night import Run
from journeyport.release import release
from journeyport.state import State, failures, windows
from journeyport.state.receipts import Actor

OLD, NEW = date(2026, 3, 14), date(2026, 3, 15)
LIMIT = 0.5


class Place:
    """Two proved days, and a warehouse."""

    def __init__(self, folder):
        self.lake = Lake(folder / "lake")
        self.state = State(f"sqlite:///{folder / 'state.db'}")
        self.file = folder / "warehouse.duckdb"
        self.url = f"duckdb:///{self.file}"
        for day in (OLD, NEW):
            windows.finish_day(self.state, walked(day, windows.PROVED))
            self.made(day, 40)

    def run(self, name="r"):
        clock = SetClock(datetime(2026, 3, 16, tzinfo=UTC))
        return Run(self.lake, self.state, clock, name, actor=Actor("ada", "UI"))

    def made(self, day, count, **given):
        fill(self.lake, day, count, **given)
        self.certified(day)

    def certified(self, day):
        run = self.run()
        extract.certify(
            run.lake, run.state, ACCOUNT, [day], run_id="r", clock=run.clock
        )

    def judged(self):
        return gate.guard(self.run("judging"), None, shrink_limit=LIMIT)

    def loaded(self, *days, run=None):
        asked = [(ACCOUNT, day) for day in days] or None
        return delivery.load(
            run or self.run(), self.url, account_days=asked, shrink_limit=LIMIT
        )

    def asks(self, question):
        with duckdb.connect(str(self.file), read_only=True) as door:
            return door.execute(question).fetchall()

    def days(self, table="engagements"):
        return {day for (day,) in self.asks(f"SELECT start_date::DATE FROM {table}")}

    def owned(self):
        """Whose engagements they are, of both days."""
        made = [
            rows(
                "engagement_customers",
                1,
                day,
                account_id=ACCOUNT,
                engagement_id=f"{day}-0000",
                customer_id=f"customer of {day}",
            )
            for day in (OLD, NEW)
        ]
        self.lake.write_snapshot(
            "engagement_customers", pa.concat_tables(made), run_id="r"
        )


@pytest.fixture
def place(tmp_path):
    found = Place(tmp_path)
    yield found
    found.state.close()


@pytest.fixture
def shrunk(place):
    """The older day lost most of its rows after it was found sound."""
    assert len(place.judged().fit) == 2
    place.made(OLD, 10)
    return place


def test_a_load_of_days_partly_held_back_delivers_the_others_and_ends_red(shrunk):
    run = shrunk.run()
    assert shrunk.loaded(OLD, NEW, run=run).days == 1
    assert shrunk.days() == {NEW}
    with pytest.raises(NotProvedError, match=f"{OLD} of account {ACCOUNT} is held"):
        delivery.end(run)


def test_a_load_of_held_days_alone_is_refused(shrunk):
    with pytest.raises(NotProvedError, match="so nothing was loaded"):
        shrunk.loaded(OLD)
    assert not shrunk.file.exists()


def test_a_day_held_back_is_kept_from_a_load_that_does_not_name_it(shrunk):
    shrunk.owned()
    run = shrunk.run()
    shrunk.loaded(NEW, run=run)
    assert shrunk.days("engagement_customers") == {NEW}
    delivery.end(run)  # it was not asked for: nothing to complain of
    delivery.publish_crm(shrunk.run(), shrunk.url, shrink_limit=LIMIT)
    assert shrunk.days("engagement_customers") == {NEW}


def test_a_refusal_first_seen_on_a_day_held_back_does_not_come(shrunk):
    values = {"left_value": lambda n: f"v{n}", "account_id": ACCOUNT}
    times = [datetime(2026, 3, 14, 9, tzinfo=UTC), datetime(2026, 3, 15, 9, tzinfo=UTC)]
    by_a_rule = None
    seen = [*times, by_a_rule]
    refused = rows("identity_refusals", 3, NEW, **values, seen_at=lambda n: seen[n])
    shrunk.lake.write_snapshot("identity_refusals", refused, run_id="r")
    for _twice in range(2):
        shrunk.loaded()
        found = shrunk.asks("SELECT left_value FROM identity_refusals ORDER BY 1")
        assert found == [("v1",), ("v2",)]


def test_a_night_names_a_held_day_however_old_it_is(shrunk):
    for name in ("one night", "the next"):
        run = shrunk.run(name)
        gate.guard(run, None, shrink_limit=LIMIT)
        wrong = failures.of_run(shrunk.state, name)
        assert {(one.account, one.day) for one in wrong} == {(ACCOUNT, OLD)}
        shrunk.loaded(run=run)
        assert shrunk.days() == {NEW}


def test_a_day_held_by_a_check_is_released_with_its_reason_on_the_certificate(shrunk):
    shrunk.judged()
    told = release(shrunk.run(), ACCOUNT, OLD, reason="erased on request")
    assert told.startswith(f"{OLD} of account {ACCOUNT} is released by ada")
    shrunk.certified(OLD)
    shrunk.loaded()
    assert shrunk.days() == {OLD, NEW}
    shown = extract.verify_certificate(shrunk.lake, shrunk.state, ACCOUNT, OLD)
    assert "released by ada: erased on request" in shown.text()
    assert windows.day_of(shrunk.state, ACCOUNT, OLD).status == windows.PROVED
    (receipt,) = shrunk.lake.read_snapshot("receipts").to_pylist()
    assert '"engagements: not_shrunk": 30' in receipt["counts"]
    # The word was for those files; others are judged anew.
    shrunk.made(OLD, 10, channel_count=2)
    assert shrunk.judged().held == {(ACCOUNT, OLD)}


def test_rows_that_share_a_key_are_not_released(place):
    fill(place.lake, OLD, 2, engagement_id="twice")
    place.certified(OLD)
    place.judged()
    with pytest.raises(ArgumentError, match="holds rows that share a key"):
        release(place.run(), ACCOUNT, OLD, reason="because")
    assert gate.check(place.run(), None, shrink_limit=LIMIT).fit == [(ACCOUNT, NEW)]


def test_what_is_not_held_is_not_released(place):
    place.judged()
    with pytest.raises(ArgumentError, match="is not held"):
        release(place.run(), ACCOUNT, OLD, reason="because")
