"""Row hashes and casts."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyport import arrow
from journeyport.errors import ContractError
from journeyport.schema import Column, Kind, Layout, Origin, Table

PLAIN = Table(
    "plain",
    "Two texts.",
    "one row",
    ("a",),
    Layout.DAILY,
    (
        Column("a", Kind.STRING, "A text."),
        Column("b", Kind.STRING, "A text."),
        Column("n", Kind.INTEGER, "A number."),
        Column("_row_hash", Kind.STRING, "The hash.", required=True),
        Column("_run_id", Kind.STRING, "The run.", origin=Origin.LINEAGE),
    ),
)

texts = st.one_of(st.none(), st.text(alphabet="ab\x1d\x1e\x1f\x1001é", max_size=4))


def hashes(rows, run="r"):
    data = pa.table(
        {
            "a": pa.array([row[0] for row in rows], pa.string()),
            "b": pa.array([row[1] for row in rows], pa.string()),
            "n": pa.array([row[2] for row in rows], pa.int64()),
            "_run_id": pa.array([run] * len(rows), pa.string()),
        }
    )
    return arrow.conform(PLAIN, data).column("_row_hash").to_pylist()


@given(st.lists(st.tuples(texts, texts, st.sampled_from([None, 0, 1])), max_size=12))
def test_rows_hash_equal_exactly_when_they_are_equal(rows):
    made = hashes(rows)
    for row, digest in zip(rows, made, strict=True):
        for other, also in zip(rows, made, strict=True):
            assert (row == other) == (digest == also)


NUMBERS = Table(
    "numbers",
    "All that is no text.",
    "one row",
    ("n",),
    Layout.DAILY,
    (
        Column("n", Kind.INTEGER, "A number."),
        Column("x", Kind.NUMBER, "A number."),
        Column("flag", Kind.BOOLEAN, "A flag."),
        Column("at", Kind.INSTANT, "An instant."),
        Column("day", Kind.DATE, "A day."),
        Column("m", Kind.INTEGER, "A number."),
        Column("_row_hash", Kind.STRING, "The hash.", required=True),
    ),
)

INSTANTS = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)]
wholes = st.one_of(st.none(), st.sampled_from([0, 1, -1, 31, 2**63 - 1, -(2**63)]))
numbers = st.tuples(
    wholes,
    st.one_of(st.none(), st.sampled_from([0.0, 1.0, 1.5, -1e300])),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.sampled_from(INSTANTS)),
    st.one_of(st.none(), st.sampled_from([date(1970, 1, 1), date(2026, 3, 5)])),
    wholes,
)


@given(st.lists(numbers, max_size=10))
def test_rows_of_numbers_hash_equal_exactly_when_they_are_equal(rows):
    schema = pa.schema([one.remove_metadata() for one in arrow.schema_of(NUMBERS)][:-1])
    names = schema.names
    data = [dict(zip(names, row, strict=True)) for row in rows]
    whole = arrow.conform(NUMBERS, pa.Table.from_pylist(data, schema=schema))
    made = whole.column("_row_hash").to_pylist()
    alone = [
        arrow.conform(NUMBERS, pa.Table.from_pylist([one], schema=schema))
        for one in data
    ]
    assert made == [one.column("_row_hash")[0].as_py() for one in alone]
    for row, digest in zip(rows, made, strict=True):
        for other, also in zip(rows, made, strict=True):
            assert (row == other) == (digest == also)


@given(st.lists(st.tuples(texts, texts, st.none()), min_size=1, max_size=8))
def test_a_row_hashes_the_same_alone_and_in_company(rows):
    assert hashes(rows) == [hashes([row])[0] for row in rows]


def test_the_run_does_not_show_in_the_hash():
    assert hashes([("x", "y", 1)], "one") == hashes([("x", "y", 1)], "two")


def test_null_and_the_empty_text_hash_apart():
    (null, empty) = hashes([(None, "y", 1), ("", "y", 1)])
    assert null != empty


def test_a_slice_of_a_table_hashes_like_the_rows_it_holds():
    rows = [("a", None, 1), ("b", "c", 2), (None, "d\x1f", 3)]
    data = pa.table(
        {
            "a": [row[0] for row in rows],
            "b": [row[1] for row in rows],
            "n": [row[2] for row in rows],
        }
    )
    part = arrow.conform(PLAIN, data.slice(1, 2)).column("_row_hash").to_pylist()
    assert part == hashes(rows)[1:]


def test_a_missing_column_that_may_be_null_becomes_nulls():
    made = arrow.conform(PLAIN, pa.table({"a": ["x"]}))
    assert made.column("b").to_pylist() == [None]


def test_a_required_column_with_nulls_is_an_error_that_names_it():
    strict = Table(
        "strict",
        "One.",
        "one row",
        ("a",),
        Layout.DAILY,
        (Column("a", Kind.STRING, "A text.", required=True),),
    )
    with pytest.raises(ContractError, match=r"strict\.a is required and holds nulls"):
        arrow.conform(strict, pa.table({"a": pa.array([None], pa.string())}))
    with pytest.raises(ContractError, match=r"strict\.a is required and missing"):
        arrow.conform(strict, pa.table({"z": ["x"]}))


def test_views_show_the_bytes_of_each_text_and_none_for_null():
    texts = pa.array(["x", "aé", None, ""], pa.string()).slice(1)
    found = arrow.views(texts)
    assert [None if view is None else bytes(view) for view in found] == [
        "aé".encode(),
        None,
        b"",
    ]


@given(
    st.lists(st.text(alphabet="aé€", max_size=4), max_size=9),
    st.integers(min_value=1, max_value=30),
)
def test_a_column_of_texts_holds_them_in_their_order_whatever_a_chunk_holds(
    texts, most
):
    encoded = [text.encode() for text in texts]
    column = arrow.texts_of(encoded, most)
    column.validate(full=True)
    assert column.to_pylist() == texts
    sizes = [
        len(b"".join(one.encode() for one in part.to_pylist()))
        for part in column.chunks
    ]
    alone = max(map(len, encoded), default=0)
    assert all(size <= max(most, alone) for size in sizes)
