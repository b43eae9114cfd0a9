"""Verifying: what differs is found, and nothing is mended."""

from datetime import timedelta

import pytest
from nights import FIRST

from journeyport import warehouse
from journeyport.errors import SettingsError
from journeyport.tables import OPERATIONS


@pytest.mark.parametrize("deep", [False, True])
def test_a_loaded_warehouse_is_equal_to_the_lake(loaded, world, deep):
    report = warehouse.verify(world.lake, loaded.url, deep)
    assert report.equal, report.differences
    assert report.tables == 24
    assert report.rows > 150


def test_a_value_altered_by_hand_is_found_deep(loaded, world):
    loaded.execute(
        "UPDATE engagements SET direction = 'changed by hand' "
        "WHERE engagement_id = 'AAAAAA-1-002'"
    )
    loaded.execute("UPDATE customers SET engagement_count = engagement_count + 1")
    assert warehouse.verify(world.lake, loaded.url).equal
    report = warehouse.verify(world.lake, loaded.url, deep=True)
    found = [(d.table, d.account, d.day, d.altered) for d in report.differences]
    assert found == [
        ("engagements", "AAAAAA", FIRST + timedelta(days=1), 1),
        ("customers", "", None, len(world.made)),
    ]


def test_what_verify_found_is_healed_by_writing_the_rows_anew(loaded, world):
    loaded.execute("UPDATE participants SET dialog_id = 'changed by hand'")
    loaded.execute("DELETE FROM customers")
    loaded.load(world, tables=["participants", "customers"], rewrite=True)
    assert warehouse.verify(world.lake, loaded.url, deep=True).equal


def test_rows_removed_or_added_by_hand_are_found(loaded, world):
    loaded.execute("DELETE FROM transfers WHERE engagement_id = 'AAAAAA-0-000'")
    loaded.execute(
        "UPDATE engagements SET account_id = 'CCCCCC' "
        "WHERE engagement_id = 'BBBBBB-0-000'"
    )
    report = warehouse.verify(world.lake, loaded.url)
    rows = [
        (d.table, d.account, d.lake_rows - d.warehouse_rows, d.missing, d.unexpected)
        for d in report.differences
    ]
    lost = next(d.missing for d in report.differences if d.table == "transfers")
    assert rows == [
        ("engagements", "BBBBBB", 1, 1, 0),
        ("engagements", "CCCCCC", -1, 0, 1),
        ("transfers", "AAAAAA", lost, lost, 0),
    ]
    assert lost > 0


def test_a_day_that_was_not_loaded_is_a_difference(loaded, world):
    world.add("AAAAAA", FIRST + timedelta(days=9), "late")
    world.write()
    report = warehouse.verify(world.lake, loaded.url, tables=["engagements"])
    assert [(d.account, d.missing) for d in report.differences] == [("AAAAAA", 1)]


def test_a_dropped_table_is_absent_and_the_next_load_makes_it_again(loaded, world):
    loaded.execute("DROP TABLE agents")
    assert warehouse.verify(world.lake, loaded.url).absent == ("agents",)
    loaded.load(world)
    assert warehouse.verify(world.lake, loaded.url, deep=True).equal


def test_verifying_a_file_that_is_not_there_makes_none(tmp_path, world):
    url = f"duckdb:///{tmp_path}/none.duckdb"
    with pytest.raises(SettingsError, match="is not there"):
        warehouse.verify(world.lake, url)
    assert not (tmp_path / "none.duckdb").exists()


def test_a_report_is_plain_data(loaded_duckdb, world):
    some = ["engagements", "customers", "certificates"]
    load = loaded_duckdb.load(world, rewrite=True, tables=some).as_dict()
    assert load["data"]["inserted"] == sum(
        counts["inserted"]
        for name, counts in load["tables"].items()
        if name not in {table.name for table in OPERATIONS}
    )
    loaded_duckdb.execute("DELETE FROM engagements WHERE account_id = 'AAAAAA'")
    found = warehouse.verify(world.lake, loaded_duckdb.url).as_dict()
    assert found["equal"] is False
    assert found["differences"][0]["day"] == FIRST.isoformat()
