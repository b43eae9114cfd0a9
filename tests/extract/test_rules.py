"""Taking out each rule of the walk in turn makes the suite of laws fail."""

from dataclasses import fields, replace

import pytest
from adversary import violations, walked
from model_source import Traits

from journeyport.extract.rules import ALL

BUSY = Traits(rows=200, churn=0.7)

WALK = {
    "inclusive_bound": Traits(rows=300, bunch=49),
    "round_up": Traits(rows=300, micro=True),
    "ties": replace(BUSY, bunch=200),
    "reread": replace(BUSY, bunch=200, churn=1.5, total="low"),
    "rows_equal_total": replace(BUSY, short_pages=0.3),
    "short_page": replace(BUSY, page_cap=20, total="page"),
    "order": replace(BUSY, shuffled=1.0),
    "distrust": replace(BUSY, rows=40, short_pages=0.5, total="low"),
    "bounds": replace(BUSY, beyond=0.3),
    "tenant": replace(BUSY, foreign=0.3),
    "bound_row": replace(BUSY, coarse=True, bunch=30),
    "count": replace(BUSY, churn=0.0, skips=0.3),
    "frozen_end": replace(BUSY, rows=120, churn=1.5, write_lag=True),
    "canary": replace(BUSY, outage=0.2),
}
"""Each rule and a source that needs it."""


def first_violation(traits, rules, seeds):
    for seed in range(seeds):
        found = violations(walked(seed, rules, traits))
        if found:
            return seed, found
    return None


OF_NIGHTS = {"two_runs", "share_guard", "land_first"}
"""Rules beyond the walk, each taken out by a test that lives through nights."""


def test_no_rule_is_without_a_test_that_takes_it_out():
    assert {rule.name for rule in fields(ALL)} == WALK.keys() | OF_NIGHTS


@pytest.mark.parametrize("rule", WALK)
def test_a_walk_without_the_rule_is_found_out(rule):
    without = replace(ALL, **{rule: False})
    assert first_violation(WALK[rule], without, 60) is not None


@pytest.mark.parametrize("rule", WALK)
def test_the_whole_set_of_rules_stands_on_the_same_sources(rule):
    assert first_violation(WALK[rule], ALL, 12) is None
