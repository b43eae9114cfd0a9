"""What a plan may read before it says what an apply would write."""

from dataclasses import replace

import pytest

from journeyport import crm
from journeyport.crm.guards import Reads
from journeyport.errors import PermanentError


def test_a_plan_says_how_many_calls_it_made(world, sandbox):
    sandbox.add("Contact", {"LastName": "One", "Email": "c1@example.org"})
    world.person("c1", 1)
    world.person("c2", 2)
    world.write()
    with crm.connect(world.config) as org:
        before = org.calls.reads
        plan = world.plan(org)
        assert plan.reads == plan.facts["reads"] == org.calls.reads - before > 0
        assert f"{plan.reads} calls were made to plan it" in plan.text()
        assert world.apply(org, plan).status == "AWAITING_CONFIRMATION"


def test_looking_for_customers_stops_at_the_guard_before_it_looks(world, sandbox):
    for number in range(3):
        world.person(f"c{number}", number)
    world.write()
    with crm.connect(world.config) as org:
        reads = Reads(org, crm.Guards(calls=2))
        reads.allow(2 * 150)
        with pytest.raises(PermanentError, match=r"3 API calls.*more than the 2"):
            reads.allow(2 * 150 + 1)
        assert reads.made == 0
    world.config = replace(world.config, guards=crm.Guards(calls=3))
    with (
        crm.connect(world.config) as org,
        pytest.raises(PermanentError, match="Nothing was written"),
    ):
        world.plan(org)


def test_looking_for_many_asks_what_the_org_has_left(world, sandbox):
    with crm.connect(world.config) as org:
        left = org.budget().calls_left
        share = 19 / left
        with pytest.raises(PermanentError, match=r"more than 1\d, the allowed share"):
            Reads(org, crm.Guards(calls_share=share)).allow(20 * 150)
        Reads(org, crm.Guards(calls_share=share)).allow(19 * 150)  # not worth asking
