"""What those who read PostgreSQL see: views, roles, whole engagements, few writes."""

import threading

import pytest
import sqlalchemy as sa
from nights import COUNTS, FIRST, World, assert_equal, fill
from target import Target

from journeyport import warehouse
from journeyport.errors import AccessError
from journeyport.lake import Lake
from journeyport.tables import DAILY

TORN = " UNION ALL ".join(
    f"SELECT count(*) FROM engagements e WHERE e.{count} <> (SELECT count(*) FROM "
    f"{child} c WHERE c.account_id = e.account_id "
    "AND c.engagement_id = e.engagement_id)"
    for child, count in COUNTS.items()
)
"""Engagements whose children are not as many as they say, over all child tables."""

DAILY_TABLES = [table.name for table in DAILY]


def test_a_reader_never_sees_a_torn_engagement(loaded_postgresql, world):
    done = threading.Event()
    seen: set[str] = set()
    torn: list[int] = []

    def read() -> None:
        engine = sa.create_engine(loaded_postgresql.url)
        while not done.is_set():
            with engine.connect() as connection:
                torn.append(sum(connection.scalars(sa.text(TORN))))
                hashes = "SELECT string_agg(_row_hash, '' ORDER BY _row_hash) FROM "
                seen.add(connection.scalar(sa.text(hashes + "engagements")))
            done.wait(0.02)  # the load needs the processor too
        engine.dispose()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(5):
            for name in ("AAAAAA-0-000", "AAAAAA-0-001", "AAAAAA-0-002"):
                world.change("AAAAAA", name)
            world.write(("AAAAAA", FIRST))
            loaded_postgresql.load(world, tables=DAILY_TABLES)
    finally:
        done.set()
        reader.join()
    assert len(seen) > 2
    assert set(torn) == {0}


def test_a_night_that_changes_one_percent_writes_little_more(postgresql, tmp_path):
    world = fill(World(Lake(tmp_path / "lake")), days=2, each=100, accounts=("AAAAAA",))
    postgresql.load(world)
    postgresql.execute("SELECT pg_stat_force_next_flush()")
    before = counters(postgresql)
    for number in range(2):
        # All of 1 % of the engagements but the number of their children.
        world.change("AAAAAA", f"AAAAAA-{number % 2}-{number:03d}", shape=0)
    world.write()
    report = postgresql.load(world)
    written = counters(postgresql) - before
    rows = report.data.unchanged + report.data.changed
    assert 0.008 * rows < report.data.changed == report.data.updated
    assert written == report.data.changed
    assert written <= 0.012 * rows


def counters(target) -> int:
    """Rows the server says it wrote into tables that hold data."""
    data = set(warehouse.DATA_TABLES)
    rows = target.execute(
        "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"
    )
    return sum(count for name, count in rows if name in data)


def test_a_view_leads_from_every_customer_id_to_the_living_one(loaded, world):
    loaded.execute(
        "UPDATE customer_id_redirects SET retired_customer_id = 'old-' || _row_hash, "
        "customer_id = (SELECT min(customer_id) FROM customers) "
        "WHERE account_id = 'AAAAAA'"
    )
    (living,) = loaded.execute("SELECT count(*) FROM customers")
    found = loaded.execute(
        "SELECT is_retired, count(*), count(DISTINCT current_customer_id) "
        "FROM current_customers GROUP BY is_retired ORDER BY is_retired"
    )
    assert found[0] == (False, *living, *living)
    retired, ids, leads_to = found[1]
    assert (retired, leads_to) == (True, 1)
    assert ids > 1


def test_views_show_engagements_with_customer_and_the_timeline(loaded, world):
    whole = loaded.execute(
        "SELECT e.engagement_id, c.customer_id, o.queued FROM engagements e "
        "JOIN engagement_customers c USING (account_id, engagement_id) "
        "JOIN engagement_outcomes o USING (account_id, engagement_id)"
    )
    shown = loaded.execute(
        "SELECT engagement_id, customer_id, queued FROM engagements_with_customer"
    )
    assert sorted(map(str, shown))[:3] != []
    assert set(map(str, whole)) <= set(map(str, shown))
    assert len(shown) == len(world.made)
    steps = loaded.execute("SELECT engagement_id, status FROM journey_timeline")
    assert len(steps) == len(world.made)
    matched = loaded.execute("SELECT record_id FROM crm_customers")
    held = loaded.execute(
        "SELECT record_id FROM customer_crm_ids WHERE valid_to IS NULL"
    )
    assert sorted(matched) == sorted(held)
    assert held


def test_a_view_is_made_anew_only_when_it_must(loaded_postgresql, world):
    number = "SELECT oid FROM pg_class WHERE relname = 'journey_timeline'"
    before = loaded_postgresql.execute(number)
    loaded_postgresql.load(world)
    assert loaded_postgresql.execute(number) == before
    loaded_postgresql.execute("DROP VIEW journey_timeline")
    loaded_postgresql.load(world)
    assert loaded_postgresql.execute("SELECT 1 FROM journey_timeline LIMIT 1")


@pytest.fixture
def roles(database):
    """The two roles, made by the SQL we give; the database's URL."""
    name = database.database
    engine = sa.create_engine(database, isolation_level="AUTOCOMMIT")
    roles = {"loader": f"{name}_loader", "reader": f"{name} reader"}
    with engine.connect() as connection:
        for statement in warehouse.roles_sql(name, "contact centre", **roles).split(
            ";"
        ):
            if lines := [x for x in statement.splitlines() if not x.startswith("--")]:
                connection.exec_driver_sql("\n".join(lines) or "SELECT 1")
        connection.exec_driver_sql(f'CREATE ROLE "{name}_analyst" LOGIN')
        connection.exec_driver_sql(f'GRANT "{name} reader" TO "{name}_analyst"')
    yield database
    with engine.connect() as connection:
        for role in (f"{name}_loader", f"{name} reader", f"{name}_analyst"):
            connection.exec_driver_sql(f'DROP OWNED BY "{role}" CASCADE')
            connection.exec_driver_sql(f'DROP ROLE "{role}"')
    engine.dispose()


def test_the_loader_loads_and_the_reader_only_reads(roles, world):
    loader = roles.set(username=f"{roles.database}_loader")
    target = warehouse_of(loader)
    assert target.load(world).data.inserted > 150
    assert target.load(world).data.changed == 0
    assert_equal(target, world)
    analyst = roles.set(username=f"{roles.database}_analyst")
    engine = sa.create_engine(analyst)
    with engine.connect() as connection:
        for name in ("engagements", "journey_timeline"):
            select = sa.text(f'SELECT count(*) FROM "contact centre".{name}')
            assert connection.scalar(select) == len(world.made)
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            connection.execute(sa.text('DELETE FROM "contact centre".engagements'))
    engine.dispose()
    with pytest.raises(AccessError, match="grant it the loader role"):
        warehouse_of(analyst).load(world, schema="contact centre")


def warehouse_of(url: sa.URL):
    return Target("postgresql", url.render_as_string(hide_password=False))
