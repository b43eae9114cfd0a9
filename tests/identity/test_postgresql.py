"""The same nights with the state, and so the index, in PostgreSQL."""

import dataclasses

from journeyport.identity import add_rule
from journeyport.state import State


def test_nights_in_postgresql_give_the_files_of_sqlite(make_world, contact, database):
    narrow = {"candidates_listed": 2}
    plain = make_world(narrow)
    shared = make_world(narrow)
    state = State(database.render_as_string(hide_password=False))
    shared = dataclasses.replace(shared, state=state)
    nights = (
        [contact(f"{n}", f"a{n} e{n} p0", n) for n in range(5)],
        [contact("7", "e1 e2", 1500), contact("8", "p0", 1501)],
        [contact("7", "e3", 1500), contact("9", "p0 p1 e=anonymous", 2900)],
    )
    for number, contacts in enumerate(nights):
        for world in (plain, shared):
            world.put(*contacts)
            if number == 2:
                add_rule(
                    world.state,
                    account="ABCDEF",
                    kind="MUST_LINK",
                    left=("phoneNumbers", "p0"),
                    right=("accountIds", "a3"),
                    author="Ada",
                    reason="her own line",
                    clock=world.clock,
                )
            report = world.resolve().accounts["ABCDEF"]
            assert report.followed == (number > 0)
        assert plain.files() == shared.files()
    assert plain.of("p0") == plain.of("a3")
    state.close()
