"""Operating it by clicks: what a data team and a CRM administrator do in the UI."""

import re

import pytest
import ui

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

BOTH = "[2026-03-14...2026-03-15]"


@pytest.fixture(scope="module")
def before(house):
    """What the CRM holds before anybody clicks."""
    return house.org()


@pytest.fixture(scope="module")
def backfills(ada, before):
    """Two backfills from the dialog, launched first: the daemon takes its time."""
    ada.job("lake")
    ada.choose_days(BOTH)
    lake = ada.launch_backfill()
    ada.open("/assets/crm_plan")
    ada.choose_days(BOTH)
    return {"lake": lake, "crm_plan": ada.launch_backfill()}


def test_the_graph_shows_every_group_from_the_landing_to_the_operations(ada, backfills):
    text = ada.graph().locator("body").inner_text()
    for group in ("landing", "tables", "identity", "delivery", "operations"):
        assert group in text


def test_a_day_that_has_not_begun_is_one_plain_sentence(ada, backfills):
    ada.backfilled(backfills["crm_plan"])  # one run at a time speaks to an org
    assert ada.launch("crm_2_plan", days="2027-01-01", reason="a slip") == "Failure"
    text = ada.told()
    assert "The last day 2027-01-01 has not begun yet" in text
    assert "Stack Trace" not in text
    assert "Traceback" not in text
    assert 'File "' not in text


def test_a_backfill_of_two_days_of_the_lake_is_one_run_that_succeeds(ada, backfills):
    assert ada.backfilled(backfills["lake"]) == "Succeeded"
    assert len(ada.runs_of(backfills["lake"])) == 1


def test_materialize_all_on_the_crm_s_asset_writes_nothing(
    ada, house, backfills, before
):
    assert ada.backfilled(backfills["crm_plan"]) == "Succeeded"
    assert house.org() == before
    (run,) = ada.runs_of(backfills["crm_plan"])
    ada.open(run)
    assert ada.again() == "Success"
    assert house.org() == before
    page = ada.open("/assets/crm_plan")
    page.get_by_text("Wrote nothing").first.wait_for()


def test_a_plan_is_applied_and_taken_back_by_clicks_alone(
    ada, house, backfills, before
):
    ada.backfilled(backfills["crm_plan"])
    days = "2026-03-14 to 2026-03-15"
    assert ada.launch("crm_2_plan", days=days, reason="the weekend") == "Success"
    told = ada.told()
    plan = re.findall(r"Wrote nothing\. Plan (\S+) for Sandbox", told)[0]
    assert f"{plan}.csv" in told
    assert house.org() == before

    decided = {"plan_id": plan, "reason": "the weekend is right"}
    assert ada.launch("crm_3_apply", **decided, confirm=False) == "Success"
    assert "Wrote to Sandbox" in ada.told()
    written = house.org()
    assert written != before

    # The button that repeats any other run writes nothing twice, and confirms nothing.
    assert ada.again() == "Success"
    assert "Wrote nothing to Sandbox" in ada.told()
    assert house.org() == written

    taken_back = {"plan_id": plan, "reason": "only tried"}
    assert ada.launch("crm_4_undo", **taken_back) == "Success"
    assert f"Took plan {plan} back" in ada.told()
    assert house.org()["Contact"] == before["Contact"]

    done = [row for row in ui.receipts(house) if row["plan_id"] == plan]
    assert [(row["action"], row["user_name"], row["origin"]) for row in done] == [
        ("APPLY", ui.USER, "UI"),
        ("APPLY", ui.USER, "UI"),
        ("UNDO", ui.USER, "UI"),
    ]
    said = [decided["reason"], decided["reason"], taken_back["reason"]]
    assert [row["reason"] for row in done] == said
