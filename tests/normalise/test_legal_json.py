"""JSON that is legal and seldom seen is read alike, screened at landing or here."""

import pyarrow as pa
import pytest

from journeyport.normalise.columns import parse
from journeyport.shape import name

HEAD = '"id": "a", "startDate": "2026-03-05T10:00:00Z", "accountId": "ABCDEF"'


def fields(body: str, fits: str | None) -> dict:
    payloads = pa.array([f"{{{HEAD}, {body}}}"] * 2, pa.string())
    seen, columns = parse(payloads, pa.array([fits] * 2, pa.string()), "ABCDEF")
    assert not seen.faults
    found = {key: column.to_pylist() for key, column in columns.items()}
    assert all(first == second for first, second in found.values())
    return {key: first for key, (first, _) in found.items()}


@pytest.mark.parametrize("fits", [None, name()])
@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        (r'"conversations": ["a\u0000b"]', "conversations", ["a\0b"]),
        (r'"conversations": ["\ud83d\ude00", "\/"]', "conversations", ["😀", "/"]),
        ('"conversations" : [ "x" , null ]', "conversations", ["x", None]),
        ('"conversations": null', "conversations", []),
        ('"conversations": []', "conversations", []),
        ('"status": "}{", "direction": "\\"}{\\""', "status", "}{"),
        (r'"st\u0061tus": "X"', "status", "X"),
        ('"status": "A", "status": "B"', "status", "B"),
        (
            '"data": {"k": null, "": "1"}',
            "data",
            [{"key": "", "value": "1"}, {"key": "k", "value": None}],
        ),
    ],
)
def test_it_is_read_as_it_means(body, field, value, fits):
    assert fields(body, fits)[field] == value


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("5.0", 5),
        ("1e2", 100),
        ("-0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_a_whole_number_is_one_however_it_is_written(sent, meant):
    (queue,) = fields(f'"queues": [{{"priority": {sent}}}]', None)["queues"]
    assert queue["priority"] == meant


def test_no_documents_have_no_fields():
    none = pa.array([], pa.string())
    seen, columns = parse(none, none, "ABCDEF")
    assert not seen.faults
    assert {len(column) for column in columns.values()} == {0}
