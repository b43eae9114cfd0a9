"""Days that are held back: the warehouse keeps what it has of them."""

from datetime import timedelta

import pytest
from nights import FIRST, assert_equal

from journeyport import warehouse

HELD = ("AAAAAA", FIRST)
NEXT = FIRST + timedelta(days=1)
NEW = [f"new-{number}" for number in range(6)]
TABLES = [
    "engagements",
    "participants",
    "engagement_customers",
    "customers",
    "journeys",
]


@pytest.fixture
def changed(world):
    """Both accounts changed; the day held back has new engagements too."""
    world.tables = frozenset(TABLES)
    for account in ("AAAAAA", "BBBBBB"):
        world.change(account, f"{account}-0-000")
    world.change("AAAAAA", "AAAAAA-1-001")
    world.change("AAAAAA", "AAAAAA-0-001", is_deleted=True)
    world.add(*HELD, *NEW)
    world.write()
    return world


def of_the_day(target) -> list[list]:
    """The rows of the day held back, table by table."""
    return [
        target.execute(
            f"SELECT _row_hash FROM {name} WHERE account_id = 'AAAAAA' AND "
            f"start_date >= '{FIRST}' AND start_date < '{NEXT}' ORDER BY 1"
        )
        for name in TABLES[:3]
    ]


@pytest.mark.parametrize("named", [True, False], ids=["days named", "all days"])
def test_a_day_held_back_keeps_its_last_good_state(loaded, changed, named):
    before = of_the_day(loaded)
    days = [(a, d) for a in ("AAAAAA", "BBBBBB") for d in (FIRST, NEXT)]
    held = {"days": days if named else None, "except_days": [HELD], "tables": TABLES}
    report = loaded.load(changed, **held)
    assert of_the_day(loaded) == before
    assert report.tables["engagements"].updated == 2
    # Everything else is where the lake is; only that day's rows differ.
    found = warehouse.verify(changed.lake, loaded.url, tables=["engagements"])
    assert [(d.account, d.day) for d in found.differences] == [HELD]
    assert loaded.load(changed, **held).data.changed == 0
    # Held no longer: what was left out then is not taken for delivered.
    loaded.load(changed, tables=TABLES)
    assert_equal(loaded, changed)


def test_customers_known_by_a_day_held_back_alone_do_not_come(loaded, changed):
    lake = changed.lake.read_snapshot("customers").column("customer_id").to_pylist()
    owners = changed.lake.read_snapshot("engagement_customers").to_pylist()
    new = {row["customer_id"] for row in owners if row["engagement_id"] in NEW}
    new = {(one,) for one in (new - {None}) & set(lake)}
    assert new
    loaded.load(changed, except_days=[HELD], tables=TABLES)
    ids = "SELECT customer_id FROM customers UNION SELECT customer_id FROM journeys"
    assert not new & set(loaded.execute(ids))
    loaded.load(changed, tables=TABLES)
    assert new <= set(loaded.execute(ids))
