"""The walk against a hostile model source, by seed: what it must never do."""

import os
from datetime import timedelta

import pytest
from adversary import naive, violations, walked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_source import Traits

from journeyport.extract.checks import Breach

SEEDS = int(os.environ.get("JOURNEYPORT_TEST_SEEDS", "1000"))
CHUNKS = 10
STEP = SEEDS // CHUNKS
FOUND_ONCE = {
    "a row that came and was erased called a coarse bound": [
        *(1957, 4507, 5082, 14530, 16359, 17602)
    ],
    "a coarse bound taken for a stale answer": [5212],
    "a repeated row that was cut off the page expected to be seen": [5107],
}
"""Seeds of the long sweep that broke a law once, by what was wrong."""


def check(seeds):
    broken = {}
    for seed in seeds:
        found = violations(walked(seed))
        if found:
            broken[seed] = found
    assert not broken


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_a_source_does_what_is_claimed_is_there(chunk):
    check(range(chunk * STEP, (chunk + 1) * STEP))


@pytest.mark.parametrize("what", FOUND_ONCE)
def test_what_the_long_sweep_found_once_stays_mended(what):
    check(FOUND_ONCE[what])


@pytest.mark.parametrize("bunch", [0, 60, 120])
def test_totals_that_are_wrong_now_and_then_hold_nothing_back(bunch):
    # Every total of every page of a full tick is seldom right: 4 times in 10.
    traits = Traits(rows=120, bunch=bunch, total="wrong")
    for seed in range(12):
        outcome = walked(seed, traits=traits)
        assert not violations(outcome)
        assert outcome.proof != "UNPROVEN"


def test_a_coarse_bound_is_called_coarse_beside_a_repeated_row():
    # The repeated row hides another, which comes back when asked again: the row that
    # gave the bound does not.
    assert {Breach.RESOLUTION, Breach.STALE} <= walked(5212).breaches.keys()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("chunk", range(19))
def test_twenty_thousand_sources_find_no_way_round_the_claim(chunk):
    check(range((chunk + 1) * 1000, (chunk + 2) * 1000))


@given(
    seed=st.integers(0, 2**32),
    traits=st.builds(
        Traits,
        rows=st.sampled_from((0, 1, 2, 49, 50, 51, 120)),
        churn=st.sampled_from((0.0, 0.5, 1.5)),
        bunch=st.sampled_from((0, 0, 49, 50, 51, 120)),
        micro=st.booleans(),
        coarse=st.booleans(),
        exclusive=st.booleans(),
        page_cap=st.sampled_from((50, 50, 20, 7)),
        shuffled=st.sampled_from((0.0, 0.0, 0.2, 1.0)),
        shuffled_ties=st.booleans(),
        write_lag=st.booleans(),
        stale=st.sampled_from((0.0, 0.0, 0.2)),
        empty_is_404=st.booleans(),
    ),
)
@settings(
    max_examples=100,
    deadline=timedelta(seconds=20),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_no_combination_of_traits_finds_a_way_round_the_claim(seed, traits):
    assert not violations(walked(seed, traits=traits))


def test_paging_by_number_loses_what_the_walk_keeps_on_the_same_seeds():
    # Calm sources but for what happens between two answers.
    traits = Traits(rows=300, churn=0.7)
    lost = sum(len(naive(seed, traits)[0]) for seed in range(40))
    kept = sum(len(walked(seed, traits=traits).lost) for seed in range(40))
    assert lost > 0
    assert kept == 0


def test_a_walk_costs_one_call_for_more_than_45_rows():
    traits = Traits(rows=2000, churn=0.5)
    calls = rows = 0
    for seed in range(3):
        outcome = walked(seed, traits=traits, window_rows=1000, concurrency=4)
        assert outcome.proof == "PROVEN"
        calls += outcome.source.tally.by_purpose["walk"]  # the opening is one a run
        rows += len(outcome.rows)
    assert rows / calls >= 45
