"""Rules 11 and 12: ids that stay, redirects, versions; the same night twice."""

import contextlib
import shutil

from journeyport.tables import BY_NAME


def events(world):
    return [row["event"] for row in world.rows("customer_id_history")]


def test_a_second_run_changes_nothing(world, contact):
    world.put(contact("1", "a1 e1 p1"), contact("2", "a2 p1", 5), contact("3", "p3"))
    first = world.resolve()
    files = world.files()
    history = world.rows("customer_id_history")
    world.clock.advance(_days(400))
    second = world.resolve()
    assert first.changed
    assert not second.changed
    assert second.accounts["ABCDEF"].version == first.accounts["ABCDEF"].version == 1
    assert world.files() == files
    assert world.rows("customer_id_history") == history


def test_the_order_in_which_evidence_arrived_does_not_show(make_world, contact):
    contacts = [contact("1", "a1 e1"), contact("2", "a2 e1 p1", 5), contact("3", "p1")]
    one, other = make_world(), make_world()
    one.put(*contacts)
    one.resolve()
    for late in reversed(contacts):
        other.put(late)
    other.resolve()
    assert one.files() == other.files()


def test_only_rows_that_changed_carry_the_new_version(world, contact):
    world.put(contact("1", "a1 e1"), contact("2", "a2 e2", 5))
    world.resolve()
    world.put(contact("3", "a2", 7))
    report = world.resolve()
    assert report.accounts["ABCDEF"].version == 2
    versions = {
        row["customer_id"]: row["identity_version"] for row in world.rows("customers")
    }
    assert versions == {world.of("a1"): 1, world.of("a2"): 2}
    assert {row["identity_version"] for row in world.rows("identity_links")} == {1}


def test_a_merge_keeps_the_id_with_more_behind_it_and_redirects_the_other(
    world, contact
):
    world.put(contact("1", "e1"), contact("2", "a2 e2", 5))
    world.resolve()
    lesser, greater = world.of("e1"), world.of("a2")
    world.put(contact("3", "e1 e2", 9))
    world.resolve()
    assert world.of("e1") == world.of("a2") == greater
    (redirect,) = world.rows("customer_id_redirects")
    assert redirect["retired_customer_id"] == lesser
    assert redirect["customer_id"] == greater
    assert redirect["reason"] == "MERGED"


def test_a_split_mints_an_id_and_says_where_it_came_from(world, contact):
    world.put(contact("1", "a1 e1"), contact("2", "e1 e2", 5), contact("3", "e2", 6))
    world.resolve()
    kept = world.of("a1")
    world.drop("2")
    world.resolve()
    assert world.of("a1") == world.of("e1") == kept
    assert world.of("e2") != kept
    split = world.rows("customer_id_history")[-1]
    assert (split["event"], split["customer_id"]) == ("SPLIT", kept)
    assert split["other_customer_id"] == world.of("e2")


def test_a_retired_id_is_never_used_again(world, contact):
    world.put(contact("1", "e1"), contact("2", "e2", 5))
    world.resolve()
    gone = world.of("e2")
    world.drop("2")
    world.resolve()
    (redirect,) = world.rows("customer_id_redirects")
    assert (redirect["customer_id"], redirect["reason"]) == (None, "RETIRED")
    world.put(contact("2", "e2", 5))
    world.resolve()
    assert world.of("e2") != gone
    assert events(world) == ["MINTED", "MINTED", "RETIRED", "MINTED"]


def test_redirects_are_one_hop_after_many_merges(world, contact):
    world.put(*(contact(str(n), f"e{n}", n) for n in range(1, 5)))
    world.resolve()
    for n in range(2, 5):
        world.put(contact(f"1{n}", f"e1 e{n}", 10 + n))
        world.resolve()
    living = {row["customer_id"] for row in world.rows("customers")}
    redirects = world.rows("customer_id_redirects")
    assert len(redirects) == 3
    assert {row["customer_id"] for row in redirects} == living
    assert len(living) == 1


def test_a_provisional_customer_keeps_its_id_when_it_becomes_known(world, contact):
    world.put(contact("1", "p1"))
    world.resolve()
    provisional = world.of("p1")
    world.put(contact("2", "a1 p1", 5))
    world.resolve()
    assert world.of("a1") == provisional
    assert events(world) == ["MINTED", "ANCHORED"]


def test_deleting_all_but_history_gives_the_same_ids(world, contact):
    world.put(
        contact("1", "a1 e1"),
        contact("2", "e1 e2", 5),
        contact("3", "e2 e3", 6),
        contact("4", "p1 e3", 7),
        contact("5", "a2 p2", 8),
    )
    world.resolve()
    world.drop("2")
    world.resolve()
    world.put(contact("6", "p3", 9))
    world.resolve()
    before = world.customers()
    history = world.rows("customer_id_history")
    for name in BY_NAME:
        if name.startswith(("customer", "journey", "identity", "engagement_customers")):
            shutil.rmtree(world.lake.files.place(name), ignore_errors=True)
    assert world.rows("customers") == []
    world.resolve()
    assert world.customers() == before
    assert world.rows("customer_id_history") == history


def test_losing_the_history_too_renames_almost_nobody(make_world, contact):
    contacts = [contact("1", "a1 e1"), contact("2", "a2 e2", 5), contact("3", "p1", 6)]
    one, other = make_world(), make_world()
    for world in (one, other):
        world.put(*contacts)
        world.resolve()
    assert one.customers() == other.customers()


def test_a_crash_before_publishing_is_made_good(world, contact, monkeypatch):
    world.put(contact("1", "e1"), contact("2", "a2 e2", 5))
    world.resolve()
    world.put(contact("3", "e1 e2", 9), contact("4", "e4", 10))

    def fail(*_args, **_kwargs):
        raise RuntimeError("the lake is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.lake), "write_snapshot", fail)
        with contextlib.suppress(RuntimeError):
            world.resolve()
    report = world.resolve()
    assert report.accounts["ABCDEF"].version == 2
    assert events(world) == ["MINTED", "MINTED", "MINTED", "MERGED"]
    assert len(world.groups()) == 2
    assert not world.resolve().changed


def _days(count):
    from datetime import timedelta

    return timedelta(days=count)
