"""Rule 9: operators rule, with author, reason and expiry, and can take it back."""

from datetime import timedelta

import pytest

from journeyport.errors import ArgumentError, SettingsError
from journeyport.identity import (
    add_rule,
    list_rules,
    load_config,
    parse_identifier,
    render_rules,
    undo_rule,
)


@pytest.fixture
def rule(world):
    def make(kind, left, right, **more):
        return add_rule(
            world.state,
            account="ABCDEF",
            kind=kind,
            left=parse_identifier(left),
            right=parse_identifier(right),
            author=more.pop("author", "Ada"),
            reason=more.pop("reason", "called and asked"),
            clock=world.clock,
            **more,
        )

    return make


@pytest.fixture
def linked(world, contact):
    world.put(contact("1", "a1 e1"), contact("2", "e1 e2", 5), contact("3", "a3", 6))
    world.resolve()
    return world


def test_an_unlink_is_honoured_and_its_undo_brings_the_id_back_together(linked, rule):
    kept = linked.of("a1")
    made = rule("CANNOT_LINK", "emailAddresses=e1", "emailAddresses=e2")
    linked.resolve()
    assert linked.groups() == {
        frozenset({"a1", "e1"}),
        frozenset({"e2"}),
        frozenset({"a3"}),
    }
    assert linked.refusals() == {("e1", "e2"): "CANNOT_LINK"}
    undo_rule(linked.state, made.number, author="Bob", clock=linked.clock)
    linked.resolve()
    assert linked.of("a1") == linked.of("e2") == kept
    assert linked.refusals() == {}


def test_a_must_link_outranks_the_cap(linked, rule):
    rule("MUST_LINK", "accountIds=a1", "accountIds=a3")
    linked.resolve()
    assert linked.groups() == {frozenset({"a1", "a3", "e1", "e2"})}
    ruled = [row for row in linked.rows("identity_links") if row["rule"] == "MUST_LINK"]
    assert len(ruled) == 1
    assert ruled[0]["engagement_id"] is None


def test_an_expired_rule_no_longer_holds(linked, rule):
    rule(
        "CANNOT_LINK",
        "emailAddresses=e1",
        "emailAddresses=e2",
        expires_at=linked.clock.now() + timedelta(days=1),
    )
    linked.resolve()
    assert len(linked.groups()) == 3
    linked.clock.advance(timedelta(days=2))
    linked.resolve()
    assert len(linked.groups()) == 2
    assert list_rules(linked.state, "ABCDEF", now=linked.clock.now()) == []


def test_a_weak_value_can_be_ruled_away_from_a_customer(world, contact, rule):
    world.put(contact("1", "a1 p1"), contact("2", "a2 p1", 5), contact("3", "p1", 6))
    rule("CANNOT_LINK", "accountIds=a2", "phoneNumbers=p1")
    world.resolve()
    assert world.of("p1") == world.of("a1")
    assert world.engagement("3")["customer_id"] == world.of("a1")
    assert world.refusals() == {("a2", "p1"): "CANNOT_LINK"}


def test_a_weak_value_can_be_ruled_to_be_somebodys(world, contact, rule):
    world.put(contact("1", "a1 p1"), contact("2", "a2 p1", 5), contact("3", "p1", 6))
    rule("MUST_LINK", "accountIds=a2", "phoneNumbers=p1")
    world.resolve()
    assert world.engagement("3")["customer_id"] == world.of("a2")


def test_a_rule_of_one_account_does_not_reach_another(linked, contact, rule):
    linked.put(contact("1", "e1 e2"), account="GHIJKL")
    rule("CANNOT_LINK", "emailAddresses=e1", "emailAddresses=e2")
    linked.resolve(["ABCDEF", "GHIJKL"])
    assert linked.groups("GHIJKL") == {frozenset({"e1", "e2"})}


def test_a_rule_that_cannot_be_is_refused_in_one_sentence(linked, rule):
    made = rule("CANNOT_LINK", "emailAddresses=e1", "emailAddresses=e2")
    rule("MUST_LINK", "emailAddresses=e1", "accountIds=a3")
    cases = [
        (("MUST_LINK", "emailAddresses=e2", "emailAddresses=e1"), {}),
        (("MUST_LINK", "emailAddresses=e2", "accountIds=a3"), {}),
        (("CANNOT_LINK", "emailAddresses=e1", "accountIds=a3"), {}),
        (("CANNOT_LINK", "emailAddresses=e2", "emailAddresses=e1"), {}),
        (("MAYBE", "emailAddresses=e2", "accountIds=a9"), {}),
        (("MUST_LINK", "emailAddresses=e2", "emailAddresses=e2"), {}),
        (("MUST_LINK", "a=1", "a=2"), {"reason": " "}),
        (("MUST_LINK", "a=1", "a=2"), {"author": ""}),
        (("MUST_LINK", "a=1", "a=2"), {"expires_at": linked.clock.now()}),
    ]
    for arguments, more in cases:
        with pytest.raises(ArgumentError) as refused:
            rule(*arguments, **more)
        sentence = str(refused.value)
        assert sentence.endswith((".", ")."))
        assert "\n" not in sentence
        assert "e1" not in sentence
    undo_rule(linked.state, made.number, author="Bob", clock=linked.clock)
    with pytest.raises(ArgumentError, match="does not stand"):
        undo_rule(linked.state, made.number, author="Bob", clock=linked.clock)


def test_the_list_of_rules_says_who_why_and_until_when(linked, rule):
    first = rule("CANNOT_LINK", "emailAddresses=e1", "emailAddresses=e2")
    until = linked.clock.now() + timedelta(days=1)
    rule("MUST_LINK", "a=1", "a=2", expires_at=until)
    undo_rule(linked.state, first.number, author="Bob", clock=linked.clock)
    shown = render_rules(list_rules(linked.state), linked.clock.now()).splitlines()
    assert "undone 2026-03-02 by Bob" in shown[0]
    assert "holds until 2026-03-03; Ada, 2026-03-02: called and asked" in shown[1]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("version: 1\nstrengths: {phoneNumbers: FEEBLE}", "strengths.phoneNumbers"),
        ("version: 1\ncaps: {types: {accountIds: 0}}", "the cap of accountIds"),
        ("version: 1\nblocklist: {patterns: {x: ['(']}}", "pattern 1 of x"),
        ("version: 1\nhubs: 3", "no such rule"),
        ("strengths: {}", "version"),
        ("version: [1", "line 1"),
        ("- 1", "no mapping"),
    ],
)
def test_wrong_rules_are_one_sentence(tmp_path, content, where):
    path = tmp_path / "identity.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError) as refused:
        load_config(path)
    assert where in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")


def test_a_missing_file_of_rules_is_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
