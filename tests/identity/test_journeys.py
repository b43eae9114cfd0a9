"""Journeys: order, gaps, episodes, channel switches."""

HOUR = 60


def test_a_journey_has_order_gaps_episodes_and_switches(world, contact):
    world.put(
        contact("1", "a1", 0, channel="Voice", topic="Bill"),
        contact("2", "a1", 2 * HOUR, channel="Chat", status="ACTIVE"),
        contact("3", "a1", 100 * HOUR, channel="Chat", topic="Move"),
    )
    world.resolve()
    members = world.rows("journey_engagements")
    assert [row["sequence"] for row in members] == [1, 2, 3]
    assert [row["gap_seconds"] for row in members] == [None, 7200, 98 * 3600]
    assert [row["episode"] for row in members] == [1, 1, 2]
    assert [row["is_channel_switch"] for row in members] == [None, True, False]
    (journey,) = world.rows("journeys")
    assert journey["engagement_count"] == 3
    assert journey["open_engagement_count"] == 1
    assert journey["episode_count"] == 2
    assert journey["channels"] == "Chat;Voice"
    assert journey["channel_switch_count"] == 1
    assert journey["last_channel"] == "Chat"
    assert journey["last_topic"] == "Move"


def test_an_ambiguous_engagement_is_in_no_journey(world, contact):
    world.put(contact("1", "a1 p1"), contact("2", "a2 p1", 5), contact("3", "p1", 9))
    world.resolve()
    names = [row["engagement_id"] for row in world.rows("journey_engagements")]
    assert names == ["1", "2"]


def test_a_customer_without_engagements_has_an_empty_journey(world, contact):
    world.put(contact("1", "a1 a2"))
    world.resolve()
    journeys = world.rows("journeys")
    assert [row["engagement_count"] for row in journeys] == [0, 0]
    assert [row["episode_count"] for row in journeys] == [0, 0]
