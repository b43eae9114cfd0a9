"""The lake: replaced whole, same rows same bytes, readable by everybody."""

import stat
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from journeyport import arrow
from journeyport.errors import ArgumentError, SettingsError
from journeyport.lake import Lake
from journeyport.lake.writing import ROW_GROUP, TableFile
from journeyport.tables import (
    AGENTS,
    DAILY,
    ENGAGEMENT_TOPICS,
    RAW_ENGAGEMENTS,
    TABLES,
)

DAY = date(2026, 3, 5)
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def topics(count, account="ABCDEF"):
    rows = pa.table(
        {
            "account_id": [account] * count,
            "engagement_id": [f"e{n:06d}" for n in range(count)],
            "start_date": [NOW] * count,
            "ordinal": [0] * count,
            "topic": [f"topic {n % 7}" for n in range(count)],
            "_extracted_at": [NOW] * count,
            "_run_id": ["r"] * count,
        }
    )
    return arrow.conform(ENGAGEMENT_TOPICS, rows)


def agents(*names):
    rows = {"account_id": ["ABCDEF"] * len(names), "agent_id": list(names)}
    rows["engagement_count"] = [1] * len(names)
    return arrow.conform(AGENTS, pa.table(rows))


def raw(*ids):
    columns = {
        "account_id": ["ABCDEF"] * len(ids),
        "engagement_id": list(ids),
        "start_date": [NOW] * len(ids),
        "content_hash": [f"h-{one}" for one in ids],
        "policy_hash": ["p"] * len(ids),
        "is_deleted": [False] * len(ids),
        "_extracted_at": [NOW] * len(ids),
        "_run_id": ["r"] * len(ids),
    }
    return arrow.shape(RAW_ENGAGEMENTS, pa.table(columns))


def write(lake, count=3, day=DAY, account="ABCDEF", **options):
    options = {"run_id": "r", "facts": {}} | options
    data = {"engagement_topics": topics(count, account)}
    return lake.write_day(account, day, data, **options)


def everything(folder):
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_day_has_a_file_of_every_daily_table_and_a_manifest(lake):
    manifest = write(lake)
    assert set(manifest.tables) == {table.name for table in DAILY}
    for table in DAILY:
        path = f"{table.name}/account=ABCDEF/day=2026-03-05/part-0.parquet"
        assert lake.files.exists(path)
        assert manifest.tables[table.name].sha256 == lake.files.sha256(path)
    assert lake.manifest("ABCDEF", DAY) == manifest.__class__(
        manifest.run_id, manifest.tables, {}, "ABCDEF", "2026-03-05"
    )
    assert lake.days("ABCDEF") == [DAY]


def test_the_same_content_leaves_every_file_untouched(lake):
    assert write(lake, run_id="one").changed
    before = everything(lake.url)
    assert not write(lake, run_id="two").changed
    assert everything(lake.url) == before


def test_other_content_replaces_only_the_files_it_changes(lake):
    write(lake, 3)
    before = everything(lake.url)
    assert write(lake, 4).changed
    after = everything(lake.url)
    changed = {path.parts[-4] for path in after if after[path] != before[path]}
    assert changed == {"engagement_topics", "lake"}


def test_batches_do_not_show_in_a_file_of_several_row_groups(lake):
    whole = topics(2 * ROW_GROUP + 5)
    digests = set()
    for size in (len(whole), ROW_GROUP - 1, 70_000):
        with TableFile(lake.files, f"x/{size}.parquet", ENGAGEMENT_TOPICS) as file:
            for start in range(0, len(whole), size):
                file.write(whole.slice(start, size))
            digests.add(file.finish().sha256)
            file.keep()
        with pq.ParquetFile(lake.files.place(f"x/{size}.parquet")) as written:
            assert written.metadata.num_row_groups == 3
    assert len(digests) == 1


def test_an_interrupted_write_leaves_the_day_as_it_was(lake):
    write(lake, 3)
    before = everything(lake.url)
    with lake.day_writer("ABCDEF", DAY) as writer:
        writer.write("engagement_topics", topics(9))
    assert everything(lake.url) == before


def test_what_a_killed_run_left_behind_is_read_by_nobody_and_swept(lake):
    write(lake, 3)
    folder = Path(lake.url, "engagement_topics/account=ABCDEF/day=2026-03-05")
    left_over = folder / ".part-0.parquet.0123.tmp"
    left_over.write_bytes(b"half a file")
    assert len(lake.read("engagement_topics")) == 3
    with duckdb.connect() as connection:
        place = f"{lake.url}/engagement_topics/**/*.parquet"
        found = connection.execute(f"SELECT count(*) FROM '{place}'").fetchall()
    assert found == [(3,)]
    write(lake, 4)
    assert not left_over.exists()


def test_a_day_is_not_there_before_its_manifest(lake):
    write(lake)
    lake.files.delete("_manifests/account=ABCDEF/day=2026-03-05.json")
    assert lake.days("ABCDEF") == []
    assert len(lake.read("engagement_topics")) == 0


def test_reading_takes_days_accounts_and_columns(lake):
    for day, count in ((4, 1), (5, 2), (6, 3)):
        write(lake, count, date(2026, 3, day))
    write(lake, 5, account="GHIJKL")
    assert lake.accounts() == ["ABCDEF", "GHIJKL"]
    assert len(lake.read("engagement_topics")) == 11
    assert len(lake.read("engagement_topics", accounts=["GHIJKL"])) == 5
    assert len(lake.read("engagement_topics", date(2026, 3, 5))) == 10
    part = lake.read("engagement_topics", end=date(2026, 3, 4), columns=["topic"])
    assert part.to_pydict() == {"topic": ["topic 0"]}


def test_a_table_nobody_declared_is_an_error_in_words(lake):
    with pytest.raises(ArgumentError, match="no table 'turns'"):
        lake.read("turns")


def test_what_was_never_written_is_empty_and_typed(lake):
    for table in TABLES:
        assert lake.read(table.name).schema.names == list(table.names)
        assert len(lake.read(table.name)) == 0
    assert lake.manifest("ABCDEF", DAY) is None
    assert lake.accounts() == []


def test_a_column_added_later_is_null_in_older_files(lake):
    write(lake)
    path = "engagement_topics/account=ABCDEF/day=2026-03-05/part-0.parquet"
    old = pq.read_table(lake.files.place(path), partitioning=None).drop(["_run_id"])
    pq.write_table(old, lake.files.place(path))
    assert lake.read("engagement_topics").column("_run_id").null_count == 3


def test_snapshots_are_put_in_order_and_left_alone_when_the_same(lake):
    assert lake.write_snapshot("agents", agents("b", "a"), run_id="one").changed
    before = everything(lake.url)
    assert not lake.write_snapshot("agents", agents("a", "b"), run_id="two").changed
    assert everything(lake.url) == before
    assert lake.read_snapshot("agents").column("agent_id").to_pylist() == ["a", "b"]
    assert lake.snapshot_manifest("agents").run_id == "one"
    assert len(lake.read("agents", accounts=["ABCDEF"])) == 2
    assert len(lake.read("agents", accounts=["GHIJKL"])) == 0


def test_the_values_of_a_column_are_those_of_all_days_of_one_account(lake):
    for number, account in enumerate(("ABCDEF", "ABCDEF", "GHIJKL")):
        rows = topics(2 + number, account)
        day = date(2026, 3, 5 + number)
        lake.write_day(account, day, {"engagement_topics": rows}, run_id="r", facts={})
    assert lake.values("engagement_topics", "topic", "ABCDEF") == {
        f"topic {number}" for number in range(3)
    }
    assert lake.values("engagement_topics", "topic", "QRSTUV") == set()


def held(lake):
    rows = lake.read_raw("ABCDEF", DAY, ["engagement_id", "content_hash"])
    return {tuple(row.values()) for row in rows.to_pylist()}


def test_raw_is_appended_and_a_repeated_window_replaces_itself(lake):
    lake.append_raw("ABCDEF", DAY, "run", "2026-03-05T00:00:00Z", raw("a", "b"))
    lake.append_raw("ABCDEF", DAY, "run", "2026-03-05T00:00:00Z", raw("a", "b"))
    lake.append_raw("ABCDEF", DAY, "run", "w2", raw("c"))
    assert len(lake.raw_files("ABCDEF", DAY)) == 2
    assert held(lake) == {("a", "h-a"), ("b", "h-b"), ("c", "h-c")}
    assert lake.raw_days("ABCDEF") == [DAY]
    assert len(lake.read("raw_engagements")) == 3


def test_a_purge_replaces_all_raw_files_of_a_day(lake):
    lake.append_raw("ABCDEF", DAY, "run", "w1", raw("a", "b"))
    for left in (["a"], ["c"], ["d"]):
        lake.replace_raw("ABCDEF", DAY, raw(*left))
        assert {one for one, _ in held(lake)} == set(left)
        assert len(lake.raw_files("ABCDEF", DAY)) == 1


def test_a_purge_killed_before_the_old_files_went_doubles_nothing_for_good(lake):
    for name, payloads in (("run", ["{}", "{}"]), ("rewritten", [None, "{}"])):
        rows = raw("a", "b")
        place = rows.schema.get_field_index("payload")
        field = rows.schema.field(place)
        rows = rows.set_column(place, field, pa.array(payloads, field.type))
        lake.append_raw("ABCDEF", DAY, name, "0", rows)
    assert len(lake.read_raw("ABCDEF", DAY)) == 4
    lake.replace_raw("ABCDEF", DAY, lake.read_raw("ABCDEF", DAY))
    left = lake.read_raw("ABCDEF", DAY, ["engagement_id", "payload"]).to_pylist()
    assert [(row["engagement_id"], bool(row["payload"])) for row in left] == [
        ("a", False),
        ("b", True),
    ]


@pytest.mark.parametrize("ending", ["replace_raw", "sweep_raw"])
def test_no_document_stays_in_what_a_killed_run_left_half_written(lake, ending):
    rows = raw("a")
    lake.append_raw("ABCDEF", DAY, "run", "w1", rows)
    folder = Path(lake.url, "raw_engagements", "account=ABCDEF", f"day={DAY}")
    left_over = folder / ".run-w0.parquet.0123456789abcdef.tmp"
    left_over.write_bytes(b"PAR1 personal")
    arguments = [rows] if ending == "replace_raw" else []
    getattr(lake, ending)("ABCDEF", DAY, *arguments)
    assert not left_over.exists()
    assert held(lake) == {("a", "h-a")}


def test_documents_are_kept_and_compared(lake):
    assert lake.write_document("certificates/account=A/1.json", b"{}")
    assert not lake.write_document("certificates/account=A/1.json", b"{}")
    assert lake.read_document("certificates/account=A/1.json") == b"{}"
    with pytest.raises(ArgumentError, match="inside the lake"):
        lake.write_document("../elsewhere", b"")


def test_local_folders_are_for_this_user_alone(lake):
    write(lake)
    folders = [Path(lake.url), *(p for p in Path(lake.url).rglob("*") if p.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_a_url_of_an_unknown_kind_is_an_error_in_words():
    with pytest.raises(SettingsError, match="JOURNEYPORT_LAKE_URL"):
        Lake("ftp://example.org/lake")


def test_a_file_url_is_the_folder_it_names(tmp_path):
    write(Lake(f"file://{tmp_path}/lake"), 2)
    assert len(Lake(tmp_path / "lake").read("engagement_topics")) == 2


def test_an_account_that_is_no_name_cannot_reach_other_paths(lake):
    with pytest.raises(ArgumentError, match="part of a path"):
        lake.read_day("agents", "../ABCDEF", DAY)


@pytest.fixture
def written(lake):
    for day in (4, 5):
        write(lake, 3, date(2026, 3, day))
    write(lake, 2, account="GHIJKL")
    return lake


def test_duckdb_pandas_polars_and_pyarrow_read_it_as_it_stands(written):
    folder = f"{written.url}/engagement_topics"
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT account, day, count(*) FROM '{folder}/**/*.parquet' "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert [(account, str(day), rows) for account, day, rows in found] == [
        ("ABCDEF", "2026-03-04", 3),
        ("ABCDEF", "2026-03-05", 3),
        ("GHIJKL", "2026-03-05", 2),
    ]
    frame = pd.read_parquet(folder)
    assert len(frame) == 8
    assert {"account", "day"} <= set(frame.columns)
    assert pl.scan_parquet(f"{folder}/**/*.parquet").collect().height == 8
    schema = pq.ParquetFile(f"{written.url}/{written.paths('engagement_topics')[0]}")
    assert schema.schema_arrow.names == list(ENGAGEMENT_TOPICS.names)


def test_the_catalogue_has_a_view_of_every_table(written, tmp_path):
    path = tmp_path / "catalogue.duckdb"
    written.write_catalogue(path)
    with duckdb.connect(str(path), read_only=True) as connection:
        for table in TABLES:
            names = connection.sql(f"SELECT * FROM {table.name}").columns
            assert names[: len(table.names)] == list(table.names)
        days = connection.sql(
            "SELECT count(*) FROM engagement_topics WHERE day = DATE '2026-03-05'"
        )
        assert days.fetchall() == [(5,)]
        joined = connection.sql("SELECT customer_id, resolution FROM engagements")
        assert joined.fetchall() == []
    assert path.stat().st_size < 3_000_000


def test_days_written_after_the_catalogue_show_in_its_views(written, tmp_path):
    path = tmp_path / "catalogue.duckdb"
    written.write_catalogue(path)
    with duckdb.connect(str(path), read_only=True) as reader:
        write(written, 4, date(2026, 3, 6))
        written.write_catalogue(path)  # while somebody reads
        found = reader.sql("SELECT count(*) FROM engagement_topics").fetchall()
    assert found == [(12,)]


def test_a_column_declared_later_is_null_in_the_views_of_older_files(written):
    first, *_ = written.paths("engagement_topics")
    place = written.files.place(first)
    older = pq.read_table(place, partitioning=None).drop(["topic"])
    pq.write_table(older, place)
    with duckdb.connect() as connection:
        written.create_views(connection)
        counts = "SELECT count(*), count(topic) FROM engagement_topics"
        assert connection.sql(counts).fetchall() == [(8, 5)]


def test_a_bucket_is_written_and_read_like_a_folder():
    bucket = Lake("mock:///lake")  # pyarrow's own filesystem in memory
    assert not bucket.files.is_local
    assert write(bucket, 3).changed
    assert not write(bucket, 3).changed
    assert write(bucket, 4).changed
    bucket.append_raw("ABCDEF", DAY, "run", "w", raw("a"))
    assert len(bucket.read("engagement_topics")) == 4
    bucket.sweep_raw("ABCDEF", DAY)
    assert held(bucket) == {("a", "h-a")}
    assert bucket.write_snapshot("agents", agents("a"), run_id="r").changed
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        bucket.create_views(connection)
        found = connection.sql(
            "SELECT CAST(day AS VARCHAR), count(*) FROM engagement_topics GROUP BY ALL"
        )
        assert found.fetchall() == [("2026-03-05", 4)]
        assert connection.sql("SELECT agent_id FROM agents").fetchall() == [("a",)]
