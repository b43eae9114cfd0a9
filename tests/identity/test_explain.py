"""Rule 13, and what other rules or the source would say."""

import json

import pytest

from journeyport.errors import ArgumentError
from journeyport.identity import (
    IdentityConfig,
    add_rule,
    diff,
    explain,
    render_diff,
    render_explanation,
)


@pytest.fixture
def resolved(world, contact):
    world.put(
        contact("1", "a1 e1"),
        contact("2", "e1 e2", 5),
        contact("3", "e2 p1", 6),
        contact("4", "a2 e1", 7),
        contact("5", "a3 p3", 8),
        contact("6", "a4 p3", 9),
    )
    world.resolve()
    return world


def test_one_customer_is_explained_link_by_link(resolved):
    found = explain(resolved.lake, resolved.state, "a1", "p1")
    assert found.verdict == "SAME_CUSTOMER"
    assert [step.right[1] for step in found.chain] == ["e1", "e2", "p1"]
    assert [step.engagement_id for step in found.chain] == ["1", "2", "3"]
    text = render_explanation(found)
    assert "1. accountIds=a1 = emailAddresses=e1" in text
    assert "engagement 1, 2026-03-02 12:00 UTC" in text
    assert json.loads(json.dumps(found.to_json()))["chain"][0]["rule"] == (
        "CO_OCCURRENCE"
    )


def test_two_customers_are_explained_by_the_refusal_between_them(resolved):
    found = explain(resolved.lake, resolved.state, "e2", "a2")
    assert found.verdict == "APART"
    assert found.refusal.rule == "CAP"
    assert [step.right[1] for step in found.chain] == ["e1", "a2"]
    assert found.chain[-1] == found.refusal
    assert "≠" in render_explanation(found)


def test_a_shared_value_is_explained_by_its_refusal(resolved):
    found = explain(resolved.lake, resolved.state, "p3", "accountIds=a4")
    assert (found.verdict, found.refusal.rule) == ("APART", "WEAK_SHARED")
    assert found.left_customer is None


def test_values_that_never_met_are_said_to_have_never_met(resolved):
    found = explain(resolved.lake, resolved.state, "e1", "a3")
    assert found.verdict == "NEVER_MET"
    assert "never met" in render_explanation(found)


def test_an_operators_rule_is_named_with_author_and_reason(resolved):
    add_rule(
        resolved.state,
        account="ABCDEF",
        kind="CANNOT_LINK",
        left=("emailAddresses", "e1"),
        right=("emailAddresses", "e2"),
        author="Ada",
        reason="two sisters",
        clock=resolved.clock,
    )
    resolved.resolve()
    found = explain(resolved.lake, resolved.state, "e1", "e2")
    assert "rule 1 by Ada: two sisters" in render_explanation(found)


def test_unknown_and_ambiguous_questions_are_one_sentence(resolved, contact):
    with pytest.raises(ArgumentError, match="No engagement carries"):
        explain(resolved.lake, resolved.state, "a1", "e77")
    resolved.put(contact("1", "a1 e1"), account="GHIJKL")
    resolved.resolve(["ABCDEF", "GHIJKL"])
    with pytest.raises(ArgumentError, match="--account"):
        explain(resolved.lake, resolved.state, "a1", "e1")
    found = explain(resolved.lake, resolved.state, "A1", "E1", account="GHIJKL")
    assert found.account == "GHIJKL"


def test_other_rules_are_tried_without_writing(resolved):
    files = resolved.files()
    wider = IdentityConfig.model_validate(
        resolved.config.model_dump() | {"caps": {"default": 2}}
    )
    found = diff(
        resolved.lake,
        resolved.state,
        resolved.config,
        wider,
        accounts=["ABCDEF"],
        clock=resolved.clock,
    )
    (merge,) = found["ABCDEF"].merges
    assert set(merge) == {resolved.of("a1"), resolved.of("a2")}
    assert "would merge" in render_diff(found)
    back = diff(
        resolved.lake,
        resolved.state,
        wider,
        resolved.config,
        accounts=["ABCDEF"],
        clock=resolved.clock,
    )
    assert list(back["ABCDEF"].splits.values()) == [2]
    assert resolved.files() == files


def test_unchanged_rules_differ_in_nothing(resolved):
    found = diff(
        resolved.lake,
        resolved.state,
        resolved.config,
        resolved.config,
        accounts=["ABCDEF"],
        clock=resolved.clock,
    )["ABCDEF"]
    assert (found.merges, found.splits, found.gone, found.moved) == ((), {}, (), 0)
