"""Rule 10: the source's own grouping is compared, its unlinks are proposed, by hand."""

import json
from collections import Counter

import pytest

from journeyport.errors import ArgumentError, QuotaError
from journeyport.identity import compare, comparison_to_json, render_comparison

KINDS = {"a": "accountIds", "e": "emailAddresses", "p": "phoneNumbers"}


class Grouped:
    """A source that holds the given groups, each as `a1 e1`."""

    def __init__(self, *groups):
        self.groups = [group.split() for group in groups]
        self.asked = Counter()
        self.budget = 100

    def __call__(self, kind, value):
        if self.asked.total() >= self.budget:
            raise QuotaError("The budget of 2 calls is used up.")
        self.asked[value] += 1
        found = {}
        for group in self.groups:
            if any((KINDS[one[0]], one) == (kind, value) for one in group):
                for one in group:
                    found.setdefault(KINDS[one[0]], []).append(one)
        return found


@pytest.fixture(scope="module")
def resolved(make_shared_world, contact):
    world = make_shared_world()
    world.put(
        contact("1", "a1 e1"),
        contact("2", "e1 e2", 5),
        contact("3", "e2 p1", 6),
        contact("4", "a2 e3", 7),
        contact("5", "a3 p3", 8),
        contact("6", "a4 p3", 9),
    )
    world.resolve()
    return world


def by_value(resolved, found):
    """Verdicts by the account id of the customer."""
    names = {resolved.of(f"a{n}"): f"a{n}" for n in range(1, 5)}
    return {names[one.customer_id]: one for one in found.comparisons}


def test_the_same_grouping_takes_one_question_per_customer(resolved):
    source = Grouped("a1 e1 e2 p1", "a2 e3")
    found = compare(resolved.lake, "ABCDEF", source, sample=10)
    assert {one.verdict for one in found.comparisons} == {"SAME"}
    assert len(found.comparisons) == 2
    assert found.asked == source.asked.total() == 2
    assert found.proposals == ()


def test_what_the_source_unlinked_is_proposed_and_not_done(resolved):
    source = Grouped("a1 e1 p1", "e2", "a2 e3 a9")
    found = compare(resolved.lake, "ABCDEF", source, sample=10)
    told = by_value(resolved, found)
    assert told["a1"].verdict == "OURS_WIDER"
    assert [[value for _, value in group] for group in told["a1"].groups] == [
        ["a1", "e1", "p1"],
        ["e2"],
    ]
    # Only what an engagement carries together can have been unlinked.
    assert [(one.left[1], one.right[1]) for one in found.proposals] == [
        ("e1", "e2"),
        ("e2", "p1"),
    ]
    assert [one.engagement_id for one in found.proposals] == ["2", "3"]
    assert told["a2"].verdict == "SAME"
    assert told["a2"].unseen == 1
    assert not resolved.resolve().changed
    text = render_comparison(found)
    assert "identity unlink emailAddresses=e1 emailAddresses=e2" in text
    first, _ = json.loads(json.dumps(comparison_to_json(found)))["proposals"]
    assert first["engagement_id"] == "2"


def test_what_the_source_links_and_we_do_not_is_said(resolved):
    source = Grouped("a1 e1 e2 p1 a2", "e3")
    told = by_value(resolved, compare(resolved.lake, "ABCDEF", source, sample=10))
    assert told["a1"].verdict == "SOURCE_WIDER"
    assert told["a1"].others == (("accountIds", "a2"),)
    assert told["a2"].verdict == "DIFFERENT"


def test_a_shared_value_is_no_difference_and_an_unknown_one_is_no_unlink(resolved):
    source = Grouped("a3 p3 a4", "a1 e1 e2")
    found = compare(resolved.lake, "ABCDEF", source, sample=0, identifiers=["a3"])
    (one,) = found.comparisons
    assert one.others == (("accountIds", "a4"),)
    (one,) = compare(
        resolved.lake, "ABCDEF", source, sample=0, identifiers=["p1"]
    ).comparisons
    assert (one.verdict, one.unknown) == ("SAME", (("phoneNumbers", "p1"),))


def test_a_used_up_budget_keeps_what_was_compared_and_says_so(resolved):
    source = Grouped("a1 e1 e2 p1", "a2 e3")
    source.budget = 1
    found = compare(resolved.lake, "ABCDEF", source, sample=10)
    assert len(found.comparisons) == 1
    assert "used up" in found.stopped
    assert "Stopped early" in render_comparison(found)


def test_the_sample_is_the_same_as_long_as_the_customers_are(resolved):
    source = Grouped("a1 e1 e2 p1", "a2 e3")
    whole = compare(resolved.lake, "ABCDEF", source, sample=10).comparisons
    assert compare(resolved.lake, "ABCDEF", source, sample=1).comparisons == whole[:1]


def test_identifiers_that_are_nobodys_are_refused_in_one_sentence(resolved):
    for named, why in (("p3", "no customer's own"), ("e77", "No engagement carries")):
        with pytest.raises(ArgumentError, match=why) as refused:
            compare(resolved.lake, "ABCDEF", Grouped(), sample=1, identifiers=[named])
        assert named not in str(refused.value)
