"""The laws of identity over random graphs: switchboards, shared phones, typos, two
account ids in one engagement, operator rules. The pure core, no lake."""

import os
import re
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journeyport.identity import load_config

CONFIG = load_config()
USUAL = 60
"""Examples per law; the soak asks for many more."""
EXAMPLES = int(os.environ.get("LAW_EXAMPLES", USUAL))
LAW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SWITCHBOARD = "p0"

values = st.sampled_from(
    [f"a{n}" for n in range(4)]
    + [f"e{n}" for n in range(5)]
    + [f"p{n}" for n in range(4)]
    + ["e=anonymous"]
)
carried = st.one_of(
    st.lists(values, max_size=4, unique=True),
    # somebody known, on the switchboard or on a phone of the family
    st.tuples(
        st.sampled_from([f"a{n}" for n in range(4)]),
        st.sampled_from([SWITCHBOARD, "p1"]),
    ).map(list),
    # an e-mail that many accounts were typed beside
    st.tuples(st.sampled_from([f"a{n}" for n in range(4)]), st.just("e0")).map(list),
)
graphs = st.lists(st.tuples(carried, st.integers(0, 6)), max_size=14)
ruled = st.lists(
    st.tuples(values, values)
    .map(lambda pair: tuple(sorted(pair)))
    .filter(lambda pair: pair[0] != pair[1] and "anonymous" not in "".join(pair)),
    max_size=2,
)


@pytest.fixture
def world_of(contact, settled):
    def make(graph, must=(), cannot=(), order=None):
        contacts = [
            contact(f"{number:02d}", " ".join(values), minute)
            for number, (values, minute) in enumerate(graph)
        ]
        if order is not None:
            contacts = [contacts[place] for place in order]
        return settled(contacts, must, cannot)

    return make


class Slow:
    """The same rules once more, pair by pair: what the fast core must equal."""

    def __init__(self, graph, cannot=()):
        weight = {"a": 2, "e": 1, "p": 0}
        self.strength = {}
        seen = [
            ((minute, f"{number:02d}"), sorted(v for v in values if "=" not in v))
            for number, (values, minute) in enumerate(graph)
        ]
        seen.sort()
        self.pairs = {}
        met = {}
        for when, values in seen:
            self.strength |= {value: weight[value[0]] for value in values}
            accounts = [value for value in values if value[0] == "a"]
            overfull = len(accounts) > CONFIG.cap("accountIds")
            for pair in combinations(values, 2):
                clean = not (overfull and any(value in accounts for value in pair))
                first, before = self.pairs.get(pair, (when, None))
                self.pairs[pair] = (first, before or (when if clean else None))
                for one, other in (pair, pair[::-1]):
                    met.setdefault(one, set()).add(other)
        self.hubs = {
            value
            for value, others in met.items()
            if self.strength[value] == 1
            and sum(self.strength[other] == 2 for other in others) > CONFIG.hub_limit
        }
        self.linking = {
            value
            for value, strength in self.strength.items()
            if strength > 0 and value not in self.hubs
        }
        self.group = {value: {value} for value in self.linking}
        self.cannot = [set(pair) for pair in cannot]
        edges = sorted(
            (-self.strength[u] - self.strength[v], clean, u, v)
            for (u, v), (_, clean) in self.pairs.items()
            if clean and u in self.linking and v in self.linking
        )
        for _, _, u, v in edges:
            union = self.group[u] | self.group[v]
            if self.group[u] is self.group[v] or self._refused(u, v, union):
                continue
            for value in union:
                self.group[value] = union

    def _refused(self, u, v, union):
        accounts = sum(value[0] == "a" for value in union)
        both = all(any(x[0] == "a" for x in self.group[side]) for side in (u, v))
        return (both and accounts > 1) or any(
            pair <= union and len(pair & self.group[u]) == 1 for pair in self.cannot
        )


@LAW
@given(graph=graphs, cannot=ruled)
def test_the_partition_is_the_one_the_rules_give_pair_by_pair(world_of, graph, cannot):
    cannot = [pair for pair in cannot if all(v[0] in "ae" for v in pair)]
    world = world_of(graph, cannot=cannot)
    slow = Slow(graph, cannot)
    fast = {frozenset(group & slow.linking) for group in world.groups}
    assert fast - {frozenset()} == set(map(frozenset, slow.group.values()))


@LAW
@given(data=st.data(), graph=graphs, must=ruled, cannot=ruled)
def test_order_of_arrival_changes_nothing(world_of, data, graph, must, cannot):
    order = data.draw(st.permutations(range(len(graph))))
    one = world_of(graph, must, cannot)
    other = world_of(graph, must, cannot, order)
    assert one.groups == other.groups
    assert one.verdicts == other.verdicts
    assert (one.outcome.resolution == other.outcome.resolution).all()
    assert (one.outcome.engagement_label == other.outcome.engagement_label).all()


@LAW
@given(graph=graphs)
def test_every_value_is_one_customers_or_shared_or_blocked(world_of, graph):
    world = world_of(graph)
    counted = Counter(value for group in world.groups for value in group)
    assert set(counted.values()) <= {1}
    shared = {world.values[value] for value in world.outcome.candidates[0]}
    assert not shared & set(counted)
    everything = {v.partition("=")[2] or v for vs, _ in graph for v in vs}
    assert everything == set(counted) | shared | (everything & {"anonymous"})


@LAW
@given(graph=graphs, cannot=ruled)
def test_no_customer_holds_more_accounts_than_the_cap(world_of, graph, cannot):
    for group in world_of(graph, cannot=cannot).groups:
        assert sum(value[0] == "a" for value in group) <= 1


@LAW
@given(graph=graphs)
def test_weak_values_never_join_two_customers(world_of, graph):
    """Without any weak value the linking ones fall into the same customers."""
    without = [([v for v in vs if v[0] != "p"], minute) for vs, minute in graph]
    full = {
        frozenset(v for v in group if v[0] != "p") for group in world_of(graph).groups
    }
    assert full - {frozenset()} == world_of(without).groups


@LAW
@given(graph=graphs)
def test_two_weak_values_alone_are_two_customers(world_of, graph):
    for group in world_of(graph).groups:
        if all(value[0] == "p" for value in group):
            assert len(group) == 1


@LAW
@given(graph=graphs)
def test_blocked_values_stand_with_nobody(world_of, graph):
    world = world_of(graph)
    assert all("anonymous" not in group for group in world.groups)
    for pair, verdict in world.verdicts.items():
        assert (verdict == "BLOCKED") == ("anonymous" in pair)


@LAW
@given(graph=graphs, must=ruled, cannot=ruled)
def test_every_pair_that_met_is_joined_or_refused_once(world_of, graph, must, cannot):
    world = world_of(graph, must, cannot)
    met = set()
    for vs, _ in graph:
        plain = {v.partition("=")[2] or v for v in vs}
        met |= {frozenset(pair) for pair in combinations(plain, 2)}
    assert {frozenset(pair) for pair in world.verdicts} == met
    assert len(world.verdicts) == len(met)
    joined = {"SAME", "CO_OCCURRENCE", "ATTACHMENT", "MUST_LINK"}
    for (left, right), verdict in world.verdicts.items():
        together = any({left, right} <= group for group in world.groups)
        assert together == (verdict in joined)


@LAW
@given(graph=graphs)
def test_linking_evidence_without_conflict_makes_one_customer(world_of, graph):
    """Completeness, by components of the free graph that no rule can touch."""
    slow = Slow(graph)
    edges = [
        pair
        for pair, (_, clean) in slow.pairs.items()
        if clean and set(pair) <= slow.linking
    ]
    free = {value: {value} for value in slow.linking}
    for u, v in edges:
        union = free[u] | free[v]
        for value in union:
            free[value] = union
    world = world_of(graph)
    for group in free.values():
        if sum(value[0] == "a" for value in group) <= 1:
            assert any(group <= found for found in world.groups)


@LAW
@given(graph=graphs, cannot=ruled)
def test_an_unlink_is_honoured_and_reversible(world_of, graph, cannot):
    before = world_of(graph)
    apart = world_of(graph, cannot=cannot)
    for pair in cannot:
        assert not any(set(pair) <= group for group in apart.groups)
    after = world_of(graph)
    assert after.groups == before.groups
    assert after.verdicts == before.verdicts


@LAW
@given(graph=graphs, must=ruled)
def test_a_must_link_is_honoured_when_both_are_seen_and_neither_is_shared(
    world_of, graph, must
):
    world = world_of(graph, must=must)
    owned = set().union(*world.groups) if world.groups else set()
    for pair in must:
        if set(pair) <= owned:
            assert any(set(pair) <= group for group in world.groups)


@LAW
@given(graph=graphs, must=ruled, cannot=ruled)
def test_an_engagement_is_only_ever_a_customers_whose_value_it_carries(
    world_of, graph, must, cannot
):
    world = world_of(graph, must, cannot)
    names = world.evidence.engagements.to_pylist()
    for name, label in zip(names, world.outcome.engagement_label, strict=True):
        vs, _ = graph[int(name)]
        owners = {
            int(world.outcome.label[world.number(v)])
            for v in vs
            if world.number(v) is not None
        }
        assert label < 0 or int(label) in owners


@LAW
@given(graph=graphs)
def test_links_form_each_customer_without_gaps(world_of, graph):
    """Along its own links alone, every value of a customer reaches every other."""
    world = world_of(graph)
    links = [
        pair
        for pair, verdict in world.verdicts.items()
        if verdict in ("CO_OCCURRENCE", "ATTACHMENT")
    ]
    for group in world.groups:
        reached = {min(group)}
        for _ in group:
            reached |= {v for pair in links if reached & set(pair) for v in pair}
        assert reached >= group


def test_ids_stay_unique_and_every_retired_one_leads_somewhere(contact, settled):
    """A hundred nights of random evidence, coming and going, through the ledger."""
    import random

    from journeyport.identity.history import name_customers, read_ledger

    chance = random.Random(7)
    history, prior, ever = [], {}, set()
    pool = [f"a{n}" for n in range(5)] + [f"e{n}" for n in range(7)]
    pool += [f"p{n}" for n in range(5)]
    graph = {}
    for night in range(1, 101):
        for name in chance.sample(sorted(graph), min(len(graph), chance.randrange(3))):
            del graph[name]
        for _ in range(chance.randrange(1, 4)):
            name = f"{chance.randrange(40):02d}"
            graph[name] = contact(
                name, " ".join(chance.sample(pool, chance.randrange(1, 4))), night
            )
        world = settled(graph.values())
        ledger = read_ledger(history)
        naming = name_customers(
            world.evidence,
            world.weights,
            world.outcome,
            ledger,
            prior,
            account="ABCDEF",
            version=night,
        )
        history += naming.events
        after = read_ledger(history)
        assert len(set(naming.ids.values())) == len(naming.ids) == len(world.groups)
        assert set(naming.ids.values()) == set(after.anchors)
        assert not set(after.anchors) & set(after.redirects)
        for other, reason in after.redirects.values():
            assert other in after.anchors or (other is None and reason == "RETIRED")
        minted = [e.customer_id for e in naming.events if e.event == "MINTED"]
        assert not set(minted) & ever
        ever |= set(minted)
        # From the history alone, the same ids once more.
        again = name_customers(
            world.evidence,
            world.weights,
            world.outcome,
            after,
            {},
            account="ABCDEF",
            version=night,
        )
        assert again.ids == naming.ids
        assert again.events == ()
        prior = {
            world.evidence.name(value): naming.ids[int(label)]
            for value, label in enumerate(world.outcome.label)
            if label >= 0
        }
    numbers = [event.event_number for event in history]
    assert all(b == a + 1 for a, b in pairwise(numbers))


def test_the_page_names_every_law_and_how_often_it_is_asked():
    laws = {
        name.removeprefix("test_")
        for name, test in globals().items()
        if hasattr(test, "hypothesis")
    }
    page = (Path(__file__).parents[2] / "docs" / "identity.md").read_text()
    table = page.partition("## The laws")[2].partition("## Where")[0]
    assert set(re.findall(r"\| `(\w+)` \|", table)) == laws
    assert f"on\n{USUAL} graphs" in table
