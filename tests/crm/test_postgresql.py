"""The delivery's memory in a real PostgreSQL: ledger, plans, approvals, jobs, rests."""

from dataclasses import replace
from datetime import timedelta

import pytest

from journeyport import crm
from journeyport.errors import TransientError
from journeyport.state import State, rejects
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned


def test_what_the_delivery_remembers_is_kept_in_postgresql_too(
    world, sandbox, database
):
    world.state.close()
    world.state = State(database.render_as_string(hide_password=False))
    for n in range(3):
        sandbox.add("Contact", {"LastName": f"P{n}", "Email": f"c{n}@example.org"})
        world.person(f"c{n}", n)
    world.people[0].engagements[0]["topic"] = "Forbidden"
    world.write()
    assert not world.night().is_approved
    world.deliver()
    (kept,) = rejects.all_rows(world.state)
    assert kept["record_key"] == "ABCDEF:e-00000"
    org_id = sandbox.facts["org_id"]
    assert len(memory.ledger(world.state, org_id, "Contact")) == 3
    assert memory.rests(world.state, org_id, "JP_Engagement__c")
    world.clock.advance(timedelta(days=1))
    assert world.night().applied.rejected  # tried again, refused again
    world.people[0].engagements[0]["topic"] = "Billing"
    for n, person in enumerate(world.people):
        person.engagements.append(world.engagement(100 + n, day=3))
    world.write()
    world.config = replace(world.config, bulk_from=2)
    sandbox.admin("POST", "/faults", {"kind": "unavailable_polling", "times": 12})
    with pytest.raises(TransientError):
        world.night()
    sandbox.admin("DELETE", "/faults")
    plan_id = planned.plans(world.state)[0].plan_id
    assert planned.open_jobs(world.state, org_id, plan_id)
    with crm.connect(world.config) as org:
        plan = crm.planfile.load(world.config.plan_dir, plan_id)
        assert world.apply(org, plan).status == "APPLIED"
    assert not rejects.all_rows(world.state)
    assert world.night().plan.actions == ()
    crm.suppress(world.state, "ABCDEF:c2", author="a", reason="b", clock=world.clock)
    assert crm.suppressed(world.state) == {"ABCDEF:c2"}
    report = world.undo(plan_id)
    assert report.deleted == {"JP_Engagement__c": 3}  # and one that is kept out
    assert not {name for name, why in report.kept if "suppression" not in why}
    assert not world.night().is_approved
    world.state.close()
