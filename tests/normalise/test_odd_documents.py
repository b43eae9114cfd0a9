"""Legal JSON in any place: no value lost, none invented, no neighbour touched."""

import copy
import json
import re
from collections import Counter
from datetime import datetime
from functools import reduce
from operator import getitem

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from complete import contract_complete
from journeyport.normalise.columns import parse
from journeyport.normalise.values import instant
from journeyport.shape import EXTRA, name, text
from journeyport.wire import read_answer

ACCOUNT = "ABCDEF"
WHOLE = contract_complete()
GOOD = json.dumps(WHOLE)
MAPS = {"identifiers", "data"}
MARK = '"the place"'
HALF = re.compile("[\ud800-\udfff]")
ODD = (
    *("null", "true", "false", "0", "-0", "7", "1.0", "1e2", "0.1", "1e400"),
    *("9223372036854775807", "9223372036854775808", "1" + "0" * 30),
    *('""', '"0"', '"null"', r'"\u0000"', r'"\"\\\/"', r'"\ud83d\ude00"'),
    *(r'"\ud83d"', r'"a\udc00b"', r'"\u001f\u001e\u0010"', '"}{"', '"☎"'),
    *('"2026-03-05T10:00:00Z"', '"2026-03-05T10:00:00.123456789+05:30"'),
    *('"2026-13-05T10:00:00Z"', '"0001-01-01T00:00:00+14:00"', '"yesterday"'),
    *("[]", "{}", "[null]", "[[]]", '["a"]', "[1, true, null]", '{"": null}'),
    *('{"a": {"b": [1, {"c": "d"}]}}', '{"a": "b", "a": "c"}', '{"a": ["b"]}'),
)


def places(value, path=()):
    """Each place in a document, from the outside in."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in inside:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


PLACES = list(places(WHOLE))
OBJECTS = [
    path for path in ((), *PLACES) if isinstance(reduce(getitem, path, WHOLE), dict)
]


def marked(path):
    """The document with the mark at a place, there already or new in an object."""
    document = copy.deepcopy(WHOLE)
    reduce(getitem, path[:-1], document)[path[-1]] = json.loads(MARK)
    return json.dumps(document)


def instead(path, odd):
    return marked(path).replace(MARK, odd)


def beside(path, odd):
    return marked((*path, "odd")).replace(MARK, odd)


def twice(path, odd):
    """The odd value, and under the same name behind it what stood there."""
    key, value = json.dumps(path[-1]), json.dumps(reduce(getitem, path, WHOLE))
    return marked(path).replace(f"{key}: {MARK}", f"{key}: {odd}, {key} : {value}")


changed = st.one_of(
    st.builds(instead, st.sampled_from(PLACES), st.sampled_from(ODD)),
    st.builds(beside, st.sampled_from(OBJECTS), st.sampled_from(ODD)),
    st.builds(
        twice,
        st.sampled_from([path for path in PLACES if isinstance(path[-1], str)]),
        st.sampled_from(ODD),
    ),
)


def leaves(value, path=()):
    """What a value says, place aside; the keys of open maps say something, too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if path in {(name,) for name in MAPS}:
                yield from leaves(key)
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, (*path, None))
    elif isinstance(value, bool):
        yield "flag", value
    elif isinstance(value, int | float):
        # Beyond 64 bits JSON knows no whole numbers that all who read it agree on.
        whole = isinstance(value, int) and -(2**63) <= value < 2**63
        yield "number", value if whole else float(value)
    elif isinstance(value, datetime):
        yield "instant", value
    elif value is not None:
        plain = HALF.sub("?", value)
        moment = instant(plain)
        yield ("text", plain) if moment is None else ("instant", moment)


def said(columns, row):
    """The same of a row of columns."""
    for field, column in columns.items():
        value = column[row].as_py()
        if field in MAPS:
            value = {one["key"]: one["value"] for one in value or ()}
        yield from leaves(with_extra({field: value}))


def with_extra(value):
    if isinstance(value, list):
        return [with_extra(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: json.loads(one) if key == EXTRA and one else with_extra(one)
        for key, one in value.items()
    }


def parsed(texts, fits=None):
    seen, columns = parse(
        pa.array(texts, pa.string()),
        pa.array([fits] * len(texts), pa.string()),
        ACCOUNT,
    )
    return seen, columns


def rows(columns):
    return list(zip(*(column.to_pylist() for column in columns.values()), strict=True))


def look(odd):
    seen, columns = parsed([GOOD, odd, GOOD])
    (untouched,) = rows(parsed([GOOD])[1])
    assert [rows(columns)[0], rows(columns)[-1]] == [untouched] * 2
    assert seen.faults.keys() <= {1}
    if not seen.faults:
        assert Counter(said(columns, 1)) == Counter(leaves(json.loads(odd)))
    (row,) = read_answer(f'{{"engagements": [{odd}]}}'.encode()).rows
    if row.fitting is not None and row.account in {None, ACCOUNT}:
        # What is landed fits, and is not looked at by itself again.
        landed = text(row.fitting).decode()
        again, fitting = parsed([GOOD, landed, GOOD], name())
        assert again.faults == seen.faults
        assert rows(fitting) == rows(columns)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(changed)
@example(GOOD)
def test_it_says_what_it_said(odd):
    look(odd)


@pytest.mark.soak
@settings(deadline=None, max_examples=5_000, suppress_health_check=list(HealthCheck))
@given(changed)
def test_many_say_what_they_said(odd):
    look(odd)
