"""The CRM's jobs and its asset as they are started in Dagster: wrong turns, who writes.

What the jobs do is tested beside; here, that a person reads one sentence and that
nothing writes but what says so.
"""

import dagster as dg
import pytest

from journeyport.settings import Settings
from journeyport.state import leases
from pipelines import attribution, crm_jobs, delivery
from pipelines.catalogue import RANGE_END, RANGE_START
from pipelines.resources import RESOURCES, Site

DAYS = "2026-03-01 to 2026-03-02"
RANGE = {RANGE_START: "2026-03-01", RANGE_END: "2026-03-02"}
ASKED = {"days": DAYS, "reason": "a look"}


class House:
    """The world's lake and state in front of an org, and Dagster's jobs on it."""

    def __init__(self, world, home):
        self.world, self.home = world, home

    def start(self, sandbox, job, tags=None, **config):
        settings = Settings(
            home=self.home,
            accounts=("ABCDEF",),
            salesforce_domain="acme.my",
            salesforce_client_id=sandbox.facts["consumer_key"],
            salesforce_client_secret=sandbox.facts["consumer_secret"],
            salesforce_base_url=sandbox.url,
        )
        site = Site(lambda: settings)
        world = self.world
        vars(site).update(lake=world.lake, state=world.state, clock=world.clock)
        names = ("nightly", "export")
        defs = dg.Definitions(
            assets=[delivery.crm_plan],
            jobs=[
                *crm_jobs.JOBS,
                *(dg.define_asset_job(name, "crm_plan") for name in names),
            ],
            resources=RESOURCES | {"site": site},
        )
        step = job.rpartition("_")[2]
        return defs.resolve_job_def(job).execute_in_process(
            run_config={"ops": {step: {"config": config}}} if config else {},
            tags=tags or {attribution.BY: attribution.UI},
            raise_on_error=False,
        )

    def planned(self, sandbox):
        done = self.start(sandbox, "crm_2_plan", **ASKED)
        assert done.success
        (newest,) = (self.home / "plans").glob("*.csv")
        return newest.stem

    def refused(self, sandbox, plan):
        """The one sentence with which an apply ends."""
        done = self.start(sandbox, "crm_3_apply", plan_id=plan, reason="because")
        (failed,) = [event for event in done.all_events if event.is_step_failure]
        error = failed.step_failure_data.error
        assert (error.stack, error.cause) == ([], None)
        (sentence,) = error.message.strip().splitlines()
        return sentence


@pytest.fixture
def house(world, sandbox, tmp_path):
    for n in (1, 2):
        email = f"c{n}@example.org"
        sandbox.add("Contact", {"LastName": f"Person {n}", "Email": email})
        world.person(f"c{n}", n, email=email)
    world.write()
    world.prove()
    return House(world, tmp_path)


def engagements(sandbox):
    return len(sandbox.rows("JP_Engagement__c"))


def test_a_plan_whose_records_people_changed_is_one_sentence(house, sandbox):
    plan = house.planned(sandbox)
    for row in sandbox.rows("Contact"):
        sandbox.edit("Contact", row["Id"], JP_Last_Topic__c="Theirs")
    assert "changed in the CRM since plan" in house.refused(sandbox, plan)
    assert engagements(sandbox) == 0


def test_a_plan_of_another_org_is_one_sentence(house, sandbox, run_sandbox):
    plan = house.planned(sandbox)
    other = run_sandbox()
    assert "and this sign-in leads to" in house.refused(other, plan)
    assert engagements(other) == 0


def test_a_plan_while_another_run_writes_is_one_sentence(house, sandbox, world):
    plan = house.planned(sandbox)
    org = sandbox.facts["org_id"]
    names = [f"crm/{org}/Contact"]
    with leases.held(world.state, names, run_id="other", clock=world.clock):
        assert "other" in house.refused(sandbox, plan)
    assert engagements(sandbox) == 0


BY_SCHEDULE = {"dagster/schedule_name": "nightly"}


def test_nobody_but_the_schedule_makes_the_asset_write(house, sandbox, world):
    world.deliver()
    world.person("c1", 3)  # somebody gets in touch again
    world.people[0].engagements.extend(world.people.pop().engagements)
    world.write()
    world.prove()
    before = engagements(sandbox)
    by_hand = BY_SCHEDULE | {attribution.BY: attribution.UI}
    for job, tags in (
        ("export", {"dagster/backfill": "b"}),
        ("export", BY_SCHEDULE),
        ("nightly", by_hand),  # as a re-execution in the UI is tagged
    ):
        done = house.start(sandbox, job, RANGE | tags)
        assert done.success
        assert engagements(sandbox) == before
        made, *_ = done.asset_materializations_for_node("crm_plan")
        assert made.metadata["result"].value.startswith("Wrote nothing.")
    assert house.start(sandbox, "nightly", RANGE | BY_SCHEDULE).success
    assert engagements(sandbox) == before + 1
