"""Rules 2 to 5: what links, what does not, and where engagements end."""


def test_strong_evidence_makes_one_customer(world, contact):
    world.put(contact("1", "a1 e1"), contact("2", "e1 e2", 5), contact("3", "e2", 9))
    world.resolve()
    assert world.groups() == {frozenset({"a1", "e1", "e2"})}
    assert {world.engagement(name)["resolution"] for name in "123"} == {"RESOLVED"}
    assert len({world.engagement(name)["customer_id"] for name in "123"}) == 1


def test_a_weak_value_attaches_to_the_one_customer_it_was_seen_with(world, contact):
    world.put(contact("1", "a1 p1"), contact("2", "p1", 5))
    world.resolve()
    assert world.groups() == {frozenset({"a1", "p1"})}
    assert world.engagement("2")["resolution"] == "RESOLVED"
    rules = {row["rule"] for row in world.rows("identity_links")}
    assert rules == {"ATTACHMENT"}


def test_a_weak_value_of_two_customers_is_shared_and_joins_nobody(world, contact):
    world.put(contact("1", "a1 p1"), contact("2", "a2 p1", 5), contact("3", "p1", 9))
    world.resolve()
    assert world.groups() == {frozenset({"a1"}), frozenset({"a2"})}
    lone = world.engagement("3")
    assert lone["resolution"] == "AMBIGUOUS"
    assert lone["customer_id"] is None
    assert world.of("a1") in lone["candidates"]
    assert world.of("a2") in lone["candidates"]
    shared = [
        row["customer_id"]
        for row in world.rows("customer_identifiers")
        if row["standing"] == "SHARED"
    ]
    assert sorted(shared) == sorted([world.of("a1"), world.of("a2")])
    assert world.refusals() == {
        ("a1", "p1"): "WEAK_SHARED",
        ("a2", "p1"): "WEAK_SHARED",
    }


def test_weak_values_alone_are_provisional_and_never_link_each_other(world, contact):
    world.put(contact("1", "p1"), contact("2", "p1 p2", 5), contact("3", "p3", 6))
    world.resolve()
    assert world.groups() == {frozenset({"p1"}), frozenset({"p2"}), frozenset({"p3"})}
    assert world.engagement("1")["resolution"] == "PROVISIONAL"
    assert world.engagement("2")["resolution"] == "AMBIGUOUS"
    assert world.engagement("3")["resolution"] == "PROVISIONAL"
    assert world.refusals() == {("p1", "p2"): "WEAK_PAIR"}
    assert {row["resolution"] for row in world.rows("customers")} == {"PROVISIONAL"}


def test_an_engagement_without_a_usable_value_has_no_customer(world, contact):
    world.put(contact("1"), contact("2", "p=?", 3), contact("3", "e=anonymous", 4))
    world.resolve()
    rows = world.rows("engagement_customers")
    assert {row["resolution"] for row in rows} == {"NONE"}
    assert world.rows("customers") == []


def test_the_cap_refuses_the_later_link_and_says_so(world, contact):
    world.put(contact("1", "a1 e1"), contact("2", "a2 e1", 5), contact("3", "e1", 9))
    world.resolve()
    assert world.groups() == {frozenset({"a1", "e1"}), frozenset({"a2"})}
    (refusal,) = world.rows("identity_refusals")
    assert (refusal["left_value"], refusal["right_value"]) == ("a2", "e1")
    assert refusal["rule"] == "CAP"
    assert refusal["engagement_id"] == "2"
    assert refusal["left_customer_id"] == world.of("a2")
    assert refusal["right_customer_id"] == world.of("e1")


def test_the_cap_is_per_type_and_configurable(make_world, contact):
    world = make_world({"caps": {"types": {"accountIds": 2}}})
    world.put(contact("1", "a1 e1"), contact("2", "a2 e1", 5), contact("3", "a3 e1", 9))
    world.resolve()
    assert world.groups() == {frozenset({"a1", "a2", "e1"}), frozenset({"a3"})}


def test_an_engagement_belongs_to_the_customer_of_its_strongest_value(world, contact):
    world.put(contact("1", "a1 e1"), contact("2", "a2 e1", 5))
    world.resolve()
    assert world.engagement("2")["customer_id"] == world.of("a2")


def test_an_overfull_engagement_links_none_of_its_accounts(world, contact):
    world.put(contact("1", "a1 a2 e1"), contact("2", "e1 e2", 5))
    world.resolve()
    assert world.groups() == {
        frozenset({"a1"}),
        frozenset({"a2"}),
        frozenset({"e1", "e2"}),
    }
    assert set(world.refusals().values()) == {"OVERFULL_ENGAGEMENT"}
    assert len(world.refusals()) == 3
    assert world.engagement("1")["resolution"] == "AMBIGUOUS"


def test_a_hub_is_demoted_to_shared(world, contact):
    world.put(*(contact(str(n), f"a{n} e9", n) for n in range(1, 5)))
    world.put(contact("9", "e9", 9))
    world.resolve()
    assert world.groups() == {frozenset({f"a{n}"}) for n in range(1, 5)}
    assert set(world.refusals().values()) == {"HUB"}
    assert world.engagement("9")["resolution"] == "AMBIGUOUS"


def test_a_blocked_value_is_nobodys(make_world, contact):
    world = make_world(
        {
            "blocklist": {
                "types": ["facebookIds"],
                "values": {"emailAddresses": ["e1"]},
                "patterns": {"phoneNumbers": ["^p9"]},
            }
        }
    )
    world.put(
        contact("1", "a1 e1 p9 facebookIds=f1"),
        contact("2", "a2 e1", 5),
        contact("3", "p99", 6),
    )
    world.resolve()
    assert world.groups() == {frozenset({"a1"}), frozenset({"a2"})}
    assert {row["value"] for row in world.rows("customer_identifiers")} == {"a1", "a2"}
    assert world.rows("identity_links") == []
    assert world.engagement("3")["resolution"] == "NONE"
    assert set(world.refusals().values()) == {"BLOCKED"}


def test_a_blocklist_of_one_account_does_not_reach_another(make_world, contact):
    world = make_world(
        {"accounts": {"ABCDEF": {"blocklist": {"values": {"*": ["e1"]}}}}}
    )
    for account in ("ABCDEF", "GHIJKL"):
        world.put(contact("1", "a1 e1"), account=account)
    world.resolve(["ABCDEF", "GHIJKL"])
    assert world.groups("ABCDEF") == {frozenset({"a1"})}
    assert world.groups("GHIJKL") == {frozenset({"a1", "e1"})}


def test_two_accounts_that_share_e_mails_share_nothing(world, contact):
    for account in ("ABCDEF", "GHIJKL"):
        world.put(contact("1", "a1 e1"), contact("2", "e1", 5), account=account)
    world.resolve(["ABCDEF", "GHIJKL"])
    assert world.of("e1", "ABCDEF") != world.of("e1", "GHIJKL")
    before = world.files()
    world.put(contact("3", "e1 a2", 9), account="GHIJKL")
    world.resolve(["GHIJKL"])
    assert world.files()["customers"] != before["customers"]
    assert world.groups("ABCDEF") == {frozenset({"a1", "e1"})}


def test_a_deleted_engagement_is_no_evidence_and_has_no_row(world, contact):
    world.put(contact("1", "a1"), contact("2", "a1 e1", 5))
    world.resolve()
    world.put(contact("2", "a1 e1", 5, deleted=True))
    world.resolve()
    assert world.groups() == {frozenset({"a1"})}
    assert [row["engagement_id"] for row in world.rows("engagement_customers")] == ["1"]


def test_calling_numbers_count_only_where_configured(make_world, contact):
    contacts = (
        contact("1", "a1", calling="+15550142"),
        contact("2", "a1", 5, calling="anonymous"),
    )
    plain = make_world()
    plain.put(*contacts)
    plain.resolve()
    assert plain.groups() == {frozenset({"a1"})}
    configured = make_world({"calling_numbers": "phoneNumbers"})
    configured.put(*contacts)
    configured.resolve()
    assert configured.groups() == {frozenset({"a1", "+15550142"})}


def test_a_listed_weak_type_weighs_what_the_configuration_says(make_world, contact):
    world = make_world({"strengths": {"phoneNumbers": "STRONG"}})
    world.put(contact("1", "p1 p2"), contact("2", "p2 e1", 5))
    world.resolve()
    standings = {
        row["value"]: row["standing"] for row in world.rows("customer_identifiers")
    }
    assert standings == {"p1": "LINKED", "p2": "LINKED", "e1": "ATTACHED"}


def test_a_switchboards_callers_are_not_listed_one_by_one(make_world, contact):
    world = make_world({"candidates_listed": 2})
    world.put(*(contact(str(n), f"a{n} p9", n) for n in range(3)))
    world.put(contact("9", "p9", 9))
    world.resolve()
    assert world.engagement("9")["resolution"] == "AMBIGUOUS"
    assert world.engagement("9")["candidates"] is None
