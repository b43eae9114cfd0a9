"""Reading the lake from a notebook or a script."""

import subprocess
import sys
from datetime import date

import pyarrow as pa
import pytest

import journeyport
from journeyport.errors import ArgumentError

BASE = {"status": "COMPLETED", "channels": [{"id": "Voice", "type": "VOICE"}]}


@pytest.fixture
def lake(bench):
    for day, count in (("2026-03-05", 2), ("2026-03-06", 1)):
        documents = [
            BASE | {"id": f"{day}-{n}", "startDate": f"{day}T10:00:00Z", "mood": "x"}
            for n in range(count)
        ]
        bench.land(documents, day=date.fromisoformat(day))
        bench.conform(day=date.fromisoformat(day))
    return bench.lake


def test_a_table_is_read_over_days_as_arrow_and_as_a_frame(lake):
    table = journeyport.read("engagements", "2026-03-05", "2026-03-05", lake=lake)
    assert isinstance(table, pa.Table)
    assert len(table.to_pandas()) == 2
    assert len(journeyport.read("engagements", date(2026, 3, 6), lake=lake.url)) == 1
    assert len(journeyport.read("engagements", lake=lake)) == 3


def test_the_lake_of_the_settings_is_read_when_none_is_given(lake, monkeypatch):
    monkeypatch.setenv("JOURNEYPORT_LAKE_URL", lake.url)
    monkeypatch.setenv("JOURNEYPORT_ENV_FILE", "-")
    columns = journeyport.read("engagements", columns=["status"]).column_names
    assert columns == ["status"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("turns",), "no table 'turns'"),
        (("engagements", "soon"), "no day"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(lake, arguments, words):
    with pytest.raises(ArgumentError, match=words):
        journeyport.read(*arguments, lake=lake)


def test_a_column_there_is_not_is_said_in_a_sentence(lake):
    with pytest.raises(ArgumentError, match="no column"):
        journeyport.read("engagements", columns=["mood"], lake=lake)


def test_sql_sees_all_tables(lake):
    sql = "SELECT day, count(*) AS n FROM engagements GROUP BY day ORDER BY day"
    assert journeyport.query(sql, lake=lake).to_pydict() == {
        "day": [date(2026, 3, 5), date(2026, 3, 6)],
        "n": [2, 1],
    }


def test_sql_that_makes_no_sense_is_an_argument_error(lake):
    with pytest.raises(ArgumentError, match="cannot be answered"):
        journeyport.query("SELECT nothing FROM nowhere", lake=lake)


def test_a_profile_counts_channels_nulls_and_what_is_new(lake):
    found = journeyport.profile("2026-03-05", "2026-03-05", lake=lake)
    assert found.channels.to_pylist() == [
        {
            "account_id": "ABCDEF",
            "day": date(2026, 3, 5),
            "channel": "Voice",
            "engagements": 2,
        }
    ]
    shares = {
        (row["table"], row["column"]): row["null_share"]
        for row in found.nulls.to_pylist()
    }
    assert shares["engagements", "status"] == 0
    assert shares["engagements", "end_date"] == 1
    assert shares["transfers", "queue_id"] is None
    assert found.drift == {"unknown field mood": 2}


def test_importing_the_package_is_cheap_and_reads_no_settings():
    code = (
        "import sys, journeyport; assert 'pyarrow' not in sys.modules; "
        "assert 'duckdb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
