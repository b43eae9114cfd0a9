"""Which version of an engagement holds."""

from datetime import UTC, datetime, timedelta

import pytest

from journeyport.normalise import ranges
from journeyport.normalise.versions import Version, current

T0 = datetime(2026, 3, 6, tzinfo=UTC)
BASE = {"id": "e", "startDate": "2026-03-05T10:00:00Z"}


def version(name, *, landed=(0,), update=None, status=None, deleted=False, **more):
    return Version(
        name,
        deleted,
        None if update is None else T0 + timedelta(hours=update),
        status,
        more.get("ended", False),
        tuple(T0 + timedelta(minutes=minute) for minute in landed),
        more.get("weight", 0),
    )


@pytest.mark.parametrize(
    ("versions", "holds"),
    [
        ([version("a", update=1), version("b", update=2, landed=[1])], "b"),
        ([version("a", update=2, landed=[1]), version("b", update=1, landed=[2])], "a"),
        ([version("a", status="ACTIVE"), version("b", status="COMPLETED")], "b"),
        ([version("a", landed=[5], status="CREATED"), version("b", landed=[6])], "b"),
        ([version("a", weight=3), version("b", landed=[1], weight=2)], "a"),
        ([version("a", weight=3), version("b", landed=[1], weight=3)], "b"),
        ([version("a", weight=3), version("b", landed=[1, 2], weight=2)], "b"),
        ([version("a", ended=True), version("b", landed=[1], weight=9)], "a"),
        ([version("a"), version("t", landed=[1], deleted=True)], "t"),
        ([version("a", landed=[0, 2]), version("t", landed=[1], deleted=True)], "a"),
        ([version("t", landed=[1], deleted=True)], "t"),
        ([version("a", update=2), version("b", status="COMPLETED", landed=[1])], "b"),
        # an undated one, the newest, then an older one from a stale copy
        (
            [
                version("u"),
                version("c", update=2, landed=[1]),
                version("b", update=1, landed=[2, 3, 4]),
            ],
            "c",
        ),
        # the same, and the undated one holds in between
        (
            [
                version("c", update=2),
                version("u", landed=[1], weight=2),
                version("b", update=1, landed=[2, 3], weight=3),
            ],
            "u",
        ),
        # two stale reads agree, then the truth is read again
        (
            [version("x", landed=[0, 3], weight=2), version("y", landed=[1, 2])],
            "x",
        ),
        # stale twice, but not twice in a row
        (
            [version("x", landed=[0, 2], weight=2), version("y", landed=[1, 3])],
            "x",
        ),
        # what was before a tombstone counts no more
        (
            [
                version("a", weight=9),
                version("t", landed=[1], deleted=True),
                version("b", landed=[2]),
            ],
            "b",
        ),
        (
            [
                version("a", update=2),
                version("t", landed=[1], deleted=True),
                version("b", update=1, landed=[2]),
            ],
            "b",
        ),
    ],
)
def test_the_rule_chooses(versions, holds):
    assert current(versions).content_hash == holds
    assert current(versions[::-1]).content_hash == holds


def test_the_greatest_update_date_holds_whatever_landed_last(bench):
    newer = BASE | {"updateDate": "2026-03-05T12:00:00Z", "status": "COMPLETED"}
    older = BASE | {"updateDate": "2026-03-05T11:00:00Z", "status": "ACTIVE"}
    bench.land([newer])
    bench.land([older])
    bench.conform()
    assert bench.row("engagements")["status"] == "COMPLETED"


def test_without_update_dates_a_single_stale_answer_changes_nothing(bench):
    full = BASE | {"status": "COMPLETED", "conversations": ["a", "b"]}
    stale = BASE | {"status": "COMPLETED", "conversations": ["a"]}
    bench.land([full])
    bench.land([stale])
    bench.conform()
    assert bench.row("engagements")["topic_count"] == 2
    bench.land([stale])
    bench.conform()
    assert bench.row("engagements")["topic_count"] == 1


def test_the_lineage_is_that_of_the_first_landing(bench):
    bench.land([BASE], run="first")
    bench.land([BASE], run="second")
    bench.conform()
    row = bench.row("engagements")
    assert row["_run_id"] == "first"
    assert {*bench.digests()} == {*bench.conform(run_id="again").rows}


def test_a_tombstone_leaves_one_row_and_no_children(bench):
    bench.land([BASE | {"conversations": ["x"], "sourceAddress": "10.0.0.1"}])
    tomb = bench.raw(
        [BASE],
        at=T0 + timedelta(days=1),
        is_deleted=[True],
        content_hash=["tombstone"],
        deleted_at=[T0 + timedelta(days=1)],
        deleted_reason=["404 in two runs"],
        start_date=[datetime(2026, 3, 5, tzinfo=UTC)],
    )
    bench.lake.append_raw(bench.account, bench.day, "r", "tomb", tomb)
    report = bench.conform()
    row = bench.row("engagements")
    assert (row["is_deleted"], row["deleted_reason"]) == (True, "404 in two runs")
    assert row["start_date"] == datetime(2026, 3, 5, 10, tzinfo=UTC)
    assert row["source_address"] is None
    assert row["topic_count"] == 0
    assert {name for name, rows in report.rows.items() if rows} == {"engagements"}


def test_what_moved_to_another_day_leaves_no_row_behind(bench):
    bench.land([BASE, BASE | {"id": "stays"}])
    tomb = bench.raw(
        [BASE],
        at=T0 + timedelta(days=1),
        is_deleted=[True],
        content_hash=["tombstone"],
        deleted_reason=["MOVED"],
    )
    bench.lake.append_raw(bench.account, bench.day, "r", "tomb", tomb)
    bench.conform()
    assert [row["engagement_id"] for row in bench.rows("engagements")] == ["stays"]


def test_a_version_landed_after_the_tombstone_lifts_it(bench):
    bench.land([BASE])
    tomb = bench.raw([BASE], at=T0 + timedelta(days=1), is_deleted=[True])
    tomb = tomb.set_column(6, tomb.schema.field(6), [["tombstone"]])
    bench.lake.append_raw(bench.account, bench.day, "r", "tomb", tomb)
    bench.land([BASE], later=timedelta(days=2))
    bench.conform()
    assert bench.row("engagements")["is_deleted"] is False


def test_tombstones_stand_in_order_among_the_living(bench):
    bench.land([BASE | {"id": name} for name in ("a", "c")])
    tomb = bench.raw([BASE | {"id": "b"}], is_deleted=[True])
    bench.lake.append_raw(bench.account, bench.day, "r", "tomb", tomb)
    bench.conform()
    assert [row["engagement_id"] for row in bench.rows("engagements")] == [
        "a",
        "b",
        "c",
    ]


def test_many_versions_in_small_batches_give_the_same_files(bench, monkeypatch):
    for step in range(4):
        bench.land(
            [
                BASE
                | {
                    "id": f"e{n:03d}",
                    "updateDate": f"2026-03-05T1{step}:00:00Z",
                    "conversations": ["t"] * step,
                    "participants": [{"id": f"p{k}"} for k in range(n % 3)],
                }
                for n in range(50)
                if (n + step) % 3
            ]
        )
    bench.conform()
    whole = bench.digests()
    for limit, batches in ((ranges.LIMIT, (1, 7, 49)), (2_000, (7,)), (1, (49,))):
        monkeypatch.setattr(ranges, "LIMIT", limit)
        for batch in batches:
            bench.conform(batch=batch)
            assert bench.digests() == whole
    assert len({row["engagement_id"] for row in bench.rows("engagements")}) == 50
