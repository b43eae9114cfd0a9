"""Incremental equals rebuilt, to the byte, after any sequence of nights."""

import os
import random
from datetime import timedelta

import pytest

from journeyport.identity import add_rule, list_rules, undo_rule
from journeyport.identity.index import FILE

NIGHTS = 6
SEEDS = int(os.environ.get("NIGHT_SEEDS", "3"))
"""The soak asks for many more."""
POOL = (
    [f"a{n}" for n in range(7)]
    + [f"e{n}" for n in range(9)]
    + [f"p{n}" for n in range(6)]
    + ["p0", "p0", "p1", "e=anonymous", "p=unknown"]
)
RULED = [value for value in POOL if "=" not in value]
KINDS = {"a": "accountIds", "e": "emailAddresses", "p": "phoneNumbers"}
NARROW = {"candidates_listed": 2, "hub_limit": 2}


class Nights:
    """The same happenings in two worlds; one follows, the other rebuilds."""

    def __init__(self, make_world, contact, seed):
        self.chance = random.Random(seed)
        self.contact = contact
        self.following = make_world(NARROW)
        self.rebuilding = make_world(NARROW)
        self.names = set()
        self.reconfigured = False

    @property
    def worlds(self):
        return self.following, self.rebuilding

    def happen(self, night):
        for world in self.worlds:
            world.held = set()
        for _ in range(self.chance.randrange(1, 6)):
            self.chance.choice(
                (self.come, self.come, self.come, self.change, self.go)
            )()
        if self.chance.random() < 0.3:
            self.rule()
        self.reconfigured = night == 3 or self.chance.random() < 0.1
        if self.reconfigured:
            self.reconfigure()
        for world in self.worlds:
            world.write_held()
            world.clock.advance(timedelta(days=1))

    def come(self, name=None):
        name = name or f"{self.chance.randrange(60):02d}"
        # The name decides the day, so that no engagement moves between days.
        minute = (int(name) % 4) * 1440 + self.chance.randrange(3)
        values = " ".join(self.chance.sample(POOL, self.chance.randrange(4)))
        more = {
            "channel": self.chance.choice(("Voice", "Chat")),
            "status": self.chance.choice(("ACTIVE", "COMPLETED")),
            "deleted": self.chance.random() < 0.05,
        }
        for world in self.worlds:
            world.put(self.contact(name, values, minute, **more))
        self.names.add(name)

    def change(self):
        if self.names:
            self.come(self.chance.choice(sorted(self.names)))

    def go(self):
        if self.names:
            name = self.chance.choice(sorted(self.names))
            self.names.remove(name)
            for world in self.worlds:
                world.drop(name)

    def rule(self):
        now = self.following.clock.now()
        held = list_rules(self.following.state, "ABCDEF", now=now)
        if held and self.chance.random() < 0.5:
            number = self.chance.choice(held).number
            for world in self.worlds:
                undo_rule(world.state, number, author="Bob", clock=world.clock)
            return
        left, right = self.chance.sample(RULED, 2)
        kind = self.chance.choice(("MUST_LINK", "CANNOT_LINK"))
        days = self.chance.choice((None, 2))
        if left == right:
            return
        for world in self.worlds:
            try:
                add_rule(
                    world.state,
                    account="ABCDEF",
                    kind=kind,
                    left=(KINDS[left[0]], left),
                    right=(KINDS[right[0]], right),
                    author="Ada",
                    reason="told so",
                    clock=world.clock,
                    expires_at=days and now + timedelta(days=days, hours=1),
                )
            except Exception:  # noqa: BLE001 - refused in both worlds alike
                return

    def reconfigure(self):
        """Other caps and hub limits than those that hold."""
        held = self.following.config
        caps = held.caps.model_copy(update={"default": 3 - held.caps.default})
        changed = {"caps": caps, "hub_limit": self.chance.randrange(1, 5)}
        for world in self.worlds:
            world.config = held.model_copy(update=changed)

    def resolve(self):
        followed = self.following.resolve().accounts["ABCDEF"]
        rebuilt = self.rebuilding.resolve(rebuild=True).accounts["ABCDEF"]
        return followed, rebuilt


@pytest.mark.parametrize("seed", range(SEEDS))
def test_following_every_night_gives_the_files_of_a_rebuild(make_world, contact, seed):
    nights = Nights(make_world, contact, seed)
    for night in range(NIGHTS):
        nights.happen(night)
        followed, rebuilt = nights.resolve()
        assert followed.followed == (night > 0 and not nights.reconfigured)
        assert not rebuilt.followed
        for name, content in nights.rebuilding.files().items():
            if nights.following.files()[name] != content:
                mine = nights.following.lake.read_snapshot(name).to_pylist()
                theirs = nights.rebuilding.lake.read_snapshot(name).to_pylist()
                assert mine == theirs, f"{name} in night {night}"
        assert followed.version == rebuilt.version
        assert followed.changed == rebuilt.changed


def test_a_lost_index_is_made_again_and_changes_nothing(world, contact):
    world.put(contact("1", "a1 e1 p1"), contact("2", "a2 p1", 5))
    world.resolve()
    files = world.files()
    world.state.path.with_name(FILE).unlink()
    report = world.resolve().accounts["ABCDEF"]
    assert (report.followed, report.changed) == (False, False)
    assert world.files() == files
    assert world.resolve().accounts["ABCDEF"].followed


def test_a_change_of_configuration_rebuilds(world, contact):
    world.put(contact("1", "a1 e1"), contact("2", "a2 e1", 5))
    world.resolve()
    world.config = world.config.model_copy(
        update={"caps": world.config.caps.model_copy(update={"default": 2})}
    )
    report = world.resolve().accounts["ABCDEF"]
    assert not report.followed
    assert len(world.groups()) == 1


def test_an_engagement_that_moves_to_another_day_is_counted_once(world, contact):
    world.put(contact("1", "a1 e1"), contact("2", "a2", 5))
    world.resolve()
    world.put(contact("1", "a1 e1", 5 * 1440))
    world.resolve()
    names = [row["engagement_id"] for row in world.rows("engagement_customers")]
    assert names == ["1", "2"]
    assert not world.resolve().changed


def test_a_night_resolves_only_what_changed_evidence_reaches(world, contact):
    world.put(*(contact(f"{n:02d}", f"a{n} e{n}", n) for n in range(20)))
    world.resolve()
    world.put(contact("50", "e3 p3", 5 * 1440))
    assert world.resolve().accounts["ABCDEF"].touched == 1
