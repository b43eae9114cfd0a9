"""Laws that hold for whatever is sent."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salesforce_sandbox import drafts, ids, recycle, soql
from salesforce_sandbox.errors import ApiError, Rejection
from salesforce_sandbox.org import Org
from salesforce_sandbox.query import run
from salesforce_sandbox.values import read_instant, show_instant

KEY = "JP_Customer_Id__c"
QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None), max_size=100),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=3,
)
FIELDS = st.sampled_from(
    ["LastName", "Email", KEY, "JP_First_Contact__c", "JP_Engagement_Count__c",
     "Birthdate", "JP_Open_Engagement__c", "AccountId", "Account", "Id", "Nothing"]
)  # fmt: skip


@pytest.fixture(scope="module")
def org(tmp_path_factory, schema):
    found = Org(tmp_path_factory.mktemp("laws") / "org.db", schema)
    yield found
    found.close()


@given(st.text(LETTERS, min_size=15, max_size=15))
def test_both_forms_of_an_id_name_the_same_record(short):
    full = ids.long_form(short)
    assert len(full) == 18
    assert ids.normalise(short) == ids.normalise(full) == full


@given(st.integers(0, 62**9 - 1), st.integers(0, 62**9 - 1))
def test_ids_grow_with_their_numbers(one, other):
    first, second = ids.make("003", one), ids.make("003", other)
    assert (first < second) == (one < other)


@given(
    st.datetimes(datetime(1700, 1, 1), datetime(4000, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
)
def test_an_instant_survives_to_the_second(moment):
    assert read_instant(show_instant(moment)) == moment.replace(microsecond=0)


@QUICK
@given(st.dictionaries(FIELDS, JSON, max_size=5))
def test_no_record_makes_the_org_fail(org, body):
    contact = org.schema.objects["Contact"]
    with contextlib.suppress(ApiError, Rejection):
        draft = drafts.from_json(org.schema, contact, body)
        with org.writer() as writer:
            writer.upsert(contact, contact.fields[KEY], draft)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["SELECT", "FROM", "WHERE", "Contact", "Id", "Email", ",", "(", ")", "=",
             "'x'", "5", "9" * 30, "null", "AND", "OR", "NOT", "IN", "LIKE", "ORDER",
             "BY", "LIMIT", "COUNT", "GROUP", "TODAY", "2026-01-01", "FIELDS", "\\",
             "'", "?", "Account.Name", "OFFSET", "ALL", "ROWS", "!=", "<"]
        ),
        max_size=14,
    )
)  # fmt: skip
def test_no_query_makes_the_org_fail(org, words):
    with contextlib.suppress(ApiError), org.store.reading() as connection:
        query = soql.parse(" ".join(words))
        run(org.store, connection, query, now=org.clock.now(), version="v66.0")


@QUICK
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["upsert", "delete", "undelete"]),
            st.sampled_from(["a", "B", "b", "c"]),
            st.sampled_from(["X", None, "Y"]),
        ),
        max_size=12,
    )
)
def test_the_org_holds_what_a_dictionary_would(org, steps):
    """Upserts, deletions and undeletions beside a model of ten lines."""
    org.reset()
    contact, live, binned = org.schema.objects["Contact"], {}, {}
    for verb, key, name in steps:
        fold = key.lower()
        with org.writer() as writer:
            if verb == "upsert":
                values = {KEY: key, "LastName": name}
                draft = drafts.from_json(org.schema, contact, values)
                if name is None:
                    with pytest.raises(Rejection, match="LastName"):
                        writer.upsert(contact, contact.fields[KEY], draft)
                    continue
                saved = writer.upsert(contact, contact.fields[KEY], draft)
                assert saved.created == (fold not in live)
                live[fold] = (saved.id, name)
            elif verb == "delete" and fold in live:
                recycle.delete(writer, contact, live[fold][0])
                binned[fold] = live.pop(fold)
            elif verb == "undelete" and fold in binned and fold not in live:
                recycle.undelete(writer, contact, binned[fold][0])
                live[fold] = binned.pop(fold)
    with org.store.reading() as connection:
        rows = org.store.find(connection, contact, {})
    found = {r[KEY].lower(): (r["Id"], r["LastName"]) for r in rows}
    assert found == live
