"""Every leaf of a document ends in its own column."""

from datetime import datetime

from complete import contract_complete
from journeyport.schema import Origin
from journeyport.shape import EXTRA, document, paths
from journeyport.tables import DAILY

PLAIN = {"id", "accountId", "startDate"}


def leaves(document, path=""):
    """(path, value) of every leaf; the keys of open maps are leaves too."""
    if isinstance(document, list):
        for item in document:
            yield from leaves(item, f"{path}[]")
    elif isinstance(document, dict) and path in {"identifiers", "data"}:
        for key, item in document.items():
            yield f"{path}{{}}", key
            yield from leaves(item, f"{path}{{}}")
    elif isinstance(document, dict):
        for key, item in document.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    else:
        yield path, document


def comparable(value):
    return value.isoformat() if isinstance(value, datetime) else value


def test_each_sentinel_sits_in_exactly_its_own_column(bench):
    whole = contract_complete()
    bench.land([whole])
    report = bench.conform()
    assert report.rejects == []
    where = {}
    for table in DAILY:
        for row in bench.rows(table.name):
            for column in table.columns:
                if column.origin is Origin.SOURCE:
                    value = comparable(row[column.name])
                    where.setdefault(value, []).append((table.name, column))
    for path, value in leaves(whole):
        if path in PLAIN or isinstance(value, bool):
            continue
        ((table, column),) = where[value]
        assert column.source == path, f"{path} ended in {table}.{column.name}"


def test_nothing_of_a_contract_complete_document_is_left_over(bench):
    bench.land([contract_complete()])
    report = bench.conform()
    assert report.drift.keys() == {
        key for key in report.drift if key.startswith("new value")
    }
    for table in DAILY:
        if "extra" in table.names:
            assert {row["extra"] for row in bench.rows(table.name)} == {None}


def test_every_column_of_the_daily_tables_is_filled_by_somebody(bench):
    whole = contract_complete()
    whole["status"] = "COMPLETED"
    whole["transfers"][0]["timestamp"] = "2026-03-05T13:00:00Z"
    whole["attributes"] = ["Language.English"]
    whole["mood"] = "unknown to us"
    for name in ("channels", "participants", "agentNotes", "queues", "transfers"):
        whole[name][0]["mood"] = "unknown to us"
    whole["identifiers"] = {"accountIds": ["ACC-1"]}
    whole["endDate"] = "2026-03-05T14:00:00Z"
    for entry in whole["queues"]:
        entry["queuedAt"] = "2026-03-05T12:00:00Z"
        entry["acceptedAt"] = "2026-03-05T12:01:00Z"
    bench.land([whole])
    bench.conform()
    tombstones = {"deleted_at", "deleted_reason"}
    for table in DAILY:
        (row, *_) = bench.rows(table.name)
        empty = {name for name, value in row.items() if value is None}
        assert empty - tombstones == set(), table.name


def test_booleans_are_carried_both_ways(bench):
    for value in (True, False):
        whole = contract_complete()
        whole["agentNotes"][0]["readOnly"] = value
        bench.land([whole])
        bench.conform()
    assert [row["is_read_only"] for row in bench.rows("agent_notes")] == [False]


def test_the_shape_knows_every_declared_path():
    known = {path for path, _ in paths()}
    seen = {path for path, _ in leaves(contract_complete())}
    assert known == seen
    assert EXTRA not in document().fields
