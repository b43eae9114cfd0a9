"""Leases: one run at a time, and none that outlives its process."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from journeyport.clock import SetClock
from journeyport.errors import LeaseError
from journeyport.state import State, leases

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def state(tmp_path):
    opened = State(f"sqlite:///{tmp_path / 'state.db'}")
    yield opened
    opened.close()


def test_a_held_name_is_refused_and_free_afterwards(state):
    clock = SetClock(NOW)
    with (
        leases.held(state, ["a", "b"], run_id="one", clock=clock),
        pytest.raises(LeaseError, match="Run one holds b"),
        leases.held(state, ["b", "c"], run_id="two", clock=clock),
    ):
        pass
    with leases.held(state, ["b", "c"], run_id="two", clock=clock):
        pass


def test_a_lease_whose_time_is_up_can_be_taken_and_not_renewed(state):
    clock = SetClock(NOW)
    with leases.held(state, ["a"], run_id="one", clock=clock) as lease:
        clock.advance(leases.LENGTH / 4)
        lease.renew_in_time()
        clock.advance(leases.LENGTH * 3 / 4)
        lease.renew_in_time()
        clock.advance(timedelta(minutes=16))
        with (
            leases.held(state, ["a"], run_id="two", clock=clock),
            pytest.raises(LeaseError, match="ran out"),
        ):
            lease.renew()


def test_the_lease_of_a_killed_process_is_free_at_once(state, tmp_path):
    script = f"""
import os, signal
from datetime import UTC, datetime
from journeyport.clock import SetClock
from journeyport.state import State, leases
state = State("sqlite:///{tmp_path / "state.db"}")
clock = SetClock(datetime(2026, 3, 2, tzinfo=UTC))
with leases.held(state, ["a"], run_id="killed", clock=clock):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -9
    with leases.held(state, ["a"], run_id="next", clock=SetClock(NOW)):
        pass
