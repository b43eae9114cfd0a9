"""Generated documents to tables and back: nothing lost, nothing invented."""

import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from journeyport.normalise.documents import ARRAYS
from journeyport.schema import Kind
from journeyport.shape import (
    Array,
    Leaf,
    Mapping,
    Struct,
    decoder,
    document,
    text,
)
from journeyport.tables import BY_NAME

START = datetime(2026, 3, 5, tzinfo=UTC)

texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8
) | st.sampled_from(["", " ", "null", "ünïcode ☎", "a\x1fb", '"', "\\", "0"])
moments = st.builds(
    lambda micros, minutes: (START + timedelta(microseconds=micros)).astimezone(
        timezone(timedelta(minutes=minutes))
    ),
    st.integers(0, 86_399_999_999),
    st.integers(-14 * 60, 14 * 60),
)
PLAIN = {
    Kind.STRING: texts,
    Kind.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Kind.BOOLEAN: st.booleans(),
    Kind.INSTANT: moments.map(lambda moment: moment.isoformat()),
}


def leaf_or_null(kind):
    return st.none() | PLAIN[kind]


def of(shape):
    """A strategy for one shape; null and absence wherever the source may do so."""
    if isinstance(shape, Leaf):
        return leaf_or_null(shape.kind)
    if isinstance(shape, Array):
        return st.none() | st.lists(of(shape.item), max_size=3)
    if isinstance(shape, Mapping):
        return st.none() | st.dictionaries(texts, of(shape.value), max_size=3)
    fields = {name: of(inner) for name, inner in shape.fields.items()}
    return st.none() | st.fixed_dictionaries({}, optional=fields)


def engagement():
    fields = {
        name: of(inner)
        for name, inner in document().fields.items()
        if name not in {"id", "startDate", "accountId"}
    }
    required = {
        "id": st.uuids(version=4).map(str),
        "startDate": PLAIN[Kind.INSTANT],
    }
    account = {"accountId": st.sampled_from([None, "ABCDEF", "abcdef"])}
    return st.fixed_dictionaries(required, optional=fields | account)


def plain(value, shape):
    """A document with absence, null and empty made one, instants made comparable."""
    if value is None:
        return None
    if isinstance(shape, Leaf):
        return datetime.fromisoformat(value) if shape.kind is Kind.INSTANT else value
    if isinstance(shape, Array):
        return [plain(item, shape.item) for item in value if item is not None]
    if isinstance(shape, Mapping):
        return {key: plain(item, shape.value) for key, item in value.items()}
    fields = {key: plain(value.get(key), inner) for key, inner in shape.fields.items()}
    # An object within an object shows only through what it holds.
    return {
        key: None if isinstance(shape.fields[key], Struct) and _is_void(item) else item
        for key, item in fields.items()
    }


def _is_void(value):
    return value is not None and all(item is None for item in value.values())


def back(bench, engagement_id):
    """The document again, from the tables alone."""

    def rows(table):
        mine = [r for r in bench.rows(table) if r["engagement_id"] == engagement_id]
        assert len({tuple(r[k] for k in BY_NAME[table].key) for r in mine}) == len(mine)
        return mine

    (whole,) = rows("engagements")
    made = _object(BY_NAME["engagements"], whole, "")
    for name, table in ARRAYS.items():
        prefix = f"{name}[]"
        entries = sorted(rows(table.name), key=lambda row: row["ordinal"])
        if any(column.source == prefix for column in table.columns):
            (column,) = (c.name for c in table.columns if c.source == prefix)
            made[name] = [row[column] for row in entries]
        else:
            made[name] = [_object(table, row, f"{prefix}.") for row in entries]
    identifiers = {}
    for row in sorted(rows("engagement_identifiers"), key=lambda row: row["ordinal"]):
        identifiers.setdefault(row["identifier_type"], []).append(row["raw_value"])
    made["identifiers"] = identifiers
    made["data"] = {r["data_key"]: r["data_value"] for r in rows("engagement_data")}
    return made


def _object(table, row, prefix):
    made = {}
    for column in table.columns:
        path = column.source.removeprefix(prefix)
        if not path or not column.source.startswith(prefix) or "(" in path:
            continue
        *outer, last = path.split(".")
        place = made
        for step in outer:
            place = place.setdefault(step, {})
        place[last] = row[column.name]
    return made


def expected(sent):
    made = plain(sent, document())
    made["accountId"] = "ABCDEF"
    identifiers = {
        key: values for key, values in (made["identifiers"] or {}).items() if values
    }
    return made | {"identifiers": identifiers, "data": made["data"] or {}}


def _without_voids(value):
    if isinstance(value, dict):
        cleaned = {key: _without_voids(item) for key, item in value.items()}
        return {k: v for k, v in cleaned.items() if v is not None and v != {}} or None
    if isinstance(value, list):
        return [_without_voids(item) for item in value] or None
    return value


def alike(sent, made):
    """Equal once null, absent and empty are one; nulls as map values stay."""
    data = (sent.pop("data") or {}, made.pop("data") or {})
    assert data[0] == data[1]
    assert _without_voids(sent) == _without_voids(made)


documents = st.lists(engagement(), min_size=1, max_size=4, unique_by=lambda d: d["id"])
thorough = settings(
    max_examples=15,
    deadline=None,
    # A document has ninety fields and a day takes a while: what fails is shown as it
    # was found instead of being shrunk for minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def fresh(make_bench):
    """A new lake for each example."""

    def make():
        return make_bench(Path(tempfile.mkdtemp(dir=make_bench("x").lake.url + "/..")))

    make_bench("x").lake.files.make_folder("")
    return make


@thorough
@given(documents)
def test_tables_give_the_documents_back(fresh, sent):
    go_round(fresh(), sent)


@pytest.mark.soak
@pytest.mark.timeout(1_800)  # five hundred lakes
@settings(thorough, max_examples=500)
@given(documents)
def test_tables_give_many_documents_back(fresh, sent):
    go_round(fresh(), sent)


def go_round(bench, sent):
    for one in sent:
        read = decoder().decode(orjson.dumps(shuffled(one)))
        assert text(read) == orjson.dumps(one, option=orjson.OPT_SORT_KEYS)
    bench.land(sent)
    report = bench.conform()
    assert report.rejects == []
    assert {key for key in report.drift if not key.startswith("new value")} == set()
    assert len(bench.rows("engagements")) == len(sent)
    for one in sent:
        alike(expected(one), back(bench, one["id"]))


def shuffled(value):
    if isinstance(value, dict):
        return {key: shuffled(item) for key, item in reversed(value.items())}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@settings(thorough, max_examples=8)
@given(documents)
def test_the_order_of_documents_and_of_keys_does_not_show(fresh, sent):
    there, again = fresh(), fresh()
    there.land(sent)
    again.land([shuffled(one) for one in reversed(sent)])
    there.conform()
    again.conform()
    assert there.digests() == again.digests()


@settings(thorough, max_examples=8)
@given(documents, st.integers(1, 3))
def test_the_batch_size_does_not_show(fresh, sent, batch):
    bench = fresh()
    bench.land(sent)
    bench.conform()
    whole = bench.digests()
    assert not bench.conform(batch=batch).changed
    assert bench.digests() == whole


@settings(thorough, max_examples=12)
@given(
    engagement(),
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L"]), min_size=3).map(
            lambda name: f"x{name}"
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2)
            ),
            max_leaves=4,
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_what_has_no_column_is_in_extra_and_changes_nothing_else(fresh, sent, unknown):
    bench = fresh()
    sent["participants"] = [{"id": "p", **unknown}]
    bench.land([sent | unknown])
    report = bench.conform()
    assert report.rejects == []
    assert orjson.loads(bench.row("engagements")["extra"]) == unknown
    assert orjson.loads(bench.row("participants")["extra"]) == unknown
    alike(expected(sent), back(bench, sent["id"]))
    named = Counter({f"unknown field {name}": 1 for name in unknown})
    named.update({f"unknown field participants[].{name}": 1 for name in unknown})
    found = {k: n for k, n in report.drift.items() if k.startswith("unknown")}
    assert found == dict(named)
