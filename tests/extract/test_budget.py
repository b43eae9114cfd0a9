"""One budget for all accounts of a run: nobody's load waits for another's."""

from datetime import timedelta

import pytest
from model_source import DAY

from journeyport import night
from journeyport.errors import QuotaError
from journeyport.extract import ExtractOptions
from journeyport.lake import Lake
from journeyport.pacing import Tally
from journeyport.state import State, windows
from journeyport.wire import Answer

ACCOUNTS = ("ABCDEF", "GHIJKL")


class Shared:
    """Two accounts without engagements behind one client that counts their calls."""

    def __init__(self):
        self.time = DAY + timedelta(days=20, hours=2)
        self.tally = Tally()

    def now(self):
        return self.time, True

    def search(self, account, ask):
        self.tally.add(ask.purpose)
        return Answer((), 0)

    def identifier_types(self, account):
        self.tally.add("identifier types")
        return []


@pytest.fixture
def shared():
    return Shared()


@pytest.fixture
def nightly(shared, tmp_path):
    """Extract both accounts for one night within a budget; days walked so far."""
    lake, state = Lake(tmp_path / "lake"), State(f"sqlite:///{tmp_path / 'state.db'}")
    options = ExtractOptions(
        first_day=DAY.date(), lookback_days=1, audit_days=0, concurrency=1
    )

    class Clock:
        def now(self):
            return shared.time

    def once(budget, accounts=ACCOUNTS):
        shared.tally = Tally(budget)
        run = night.Run(lake, state, Clock(), f"night-{shared.time}")
        night.land(
            run, shared, accounts=accounts, days=None, options=options, strengths={}
        )
        shared.time += timedelta(days=1)
        return {account: len(windows.days_of(state, account)) for account in ACCOUNTS}

    yield once
    state.close()


def test_no_accounts_first_load_waits_for_anothers(nightly):
    for _ in range(3):
        first, second = nightly(16).values()
        assert first > 0
        assert abs(first - second) <= 1


def test_what_one_account_leaves_of_its_share_the_other_has(nightly, shared):
    nightly(None, [ACCOUNTS[0]])  # the whole load: nothing is left to do
    done, loaded = nightly(24).values()
    assert shared.tally.left == 0
    assert done > loaded > 24 // 2


def test_a_share_ends_like_a_budget_and_only_for_its_account():
    tally = Tally(5)
    with tally.share(2):
        for _ in range(3):
            tally.add("walk")
        with pytest.raises(QuotaError, match="account's share of the budget of 5"):
            tally.add("walk")
    assert tally.left == 2
    tally.add("walk")
    tally.add("walk")
    with pytest.raises(QuotaError, match=r"^The budget of 5"):
        tally.add("walk")
