"""What lands of a document: its version, its text, and whether it fits the tables."""

import json
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from model_source import ACCOUNT

from journeyport import shape
from journeyport.clock import SystemClock
from journeyport.errors import ContractError
from journeyport.extract import FieldPolicy
from journeyport.extract.documents import DayStore, Storing
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.wire import read_answer

DAY = datetime(2026, 3, 5, tzinfo=UTC).date()
KEEP = FieldPolicy(())
FITTING = {
    "id": "e1",
    "accountId": ACCOUNT,
    "startDate": "2026-03-05T10:00:00.000Z",
    "status": "COMPLETED",
    "endDate": None,
    "data": {"b": '\u001f\t/"é☎', "a": None},
    "identifiers": {"phoneNumbers": ["+12125550143", None]},
    "queues": [{"queueId": "q", "priority": -0}, None],
    "agentNotes": [{"id": "n", "note": "secret", "createdBy": {"name": "Ann"}}],
}


@pytest.fixture
def landed(tmp_path):
    """Land documents, or their texts; the rows of raw."""
    state = State(f"sqlite:///{tmp_path}/state.db")

    def land(*documents, policy=KEEP):
        to = Storing(
            Lake(tmp_path), state, ACCOUNT, "run", SystemClock(), policy, timedelta(0)
        )
        texts = [
            one if isinstance(one, bytes) else orjson.dumps(one) for one in documents
        ]
        page = b'{"engagements":[' + b",".join(texts) + b"]}"
        pending = []
        store = DayStore(to, DAY)
        store.add(read_answer(page).rows, pending)
        store.flush(pending)
        return to.lake.read_raw(ACCOUNT, DAY).to_pylist()

    yield land
    state.close()


def backwards(value):
    if isinstance(value, dict):
        return {key: backwards(item) for key, item in reversed(value.items())}
    return [backwards(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("more", [{}, {"mood": {"b": 1, "a": [1.0, 2**60]}}])
def test_neither_order_of_keys_nor_white_space_makes_a_version(landed, more):
    document = FITTING | more
    (row,) = landed(document)
    spaced = orjson.dumps(backwards(document), option=orjson.OPT_INDENT_2)
    assert landed(spaced) == [row]
    sorted_text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()
    assert row["payload"] == sorted_text


def test_what_a_document_fits_is_noted_and_what_it_does_not(landed):
    other = {
        "unknown": {"mood": 1},
        "wrong": {"status": 3},
        "fraction": {"queues": [{"rank": 1.0}]},
        "half": {"data": {"a": "half"}},
        "case": {"accountId": ACCOUNT.lower()},
    }
    documents = {key: FITTING | {"id": key} | more for key, more in other.items()}
    half = orjson.dumps(documents.pop("half")).replace(b'"half"}', b'"\\ud800"}')
    rows = landed(FITTING, half, *documents.values())
    assert {row["engagement_id"]: row["fits"] for row in rows} == {
        "e1": shape.name(),
        **dict.fromkeys(other),
    }


@pytest.mark.parametrize(
    ("rules", "fits"),
    [
        ({"agentNotes[].note": "drop", "data{}": "drop", "data.a": "keep"}, True),
        ({"queues": "drop"}, True),
        ({"agentNotes[].note": "redact"}, False),
        ({"agentNotes": "redact"}, False),
        ({"id": "drop"}, False),
    ],
)
def test_a_policy_does_to_a_document_that_fits_what_it_does_to_others(
    landed, rules, fits
):
    policy = FieldPolicy(tuple(rules.items()))
    plain, fitting = landed(
        FITTING | {"id": "e0", "mood": 1}, FITTING | {"id": "e0" * 2}, policy=policy
    )
    assert (plain["fits"], fitting["fits"]) == (None, shape.name() if fits else None)
    others, ours = (orjson.loads(one["payload"]) for one in (plain, fitting))
    assert others.pop("mood") == 1
    assert others.pop("id", "e0") * 2 == ours.pop("id", "e0e0")
    assert others == ours


def test_a_page_goes_on_over_half_a_character(landed):
    text = orjson.dumps(FITTING | {"id": "half", "data": {"a": "half"}})
    rows = landed(FITTING, text.replace(b'"half"}', b'"b\\ud800"}'))
    assert [row["engagement_id"] for row in rows] == ["e1", "half"]
    assert json.loads(rows[1]["payload"])["data"] == {"a": "b\ud800"}
    nameless = read_answer(b'{"engagements":[{"id":"\\ud800"}]}').rows[0]
    assert (nameless.id, nameless.fitting) == (None, None)


@pytest.mark.parametrize("text", [b"[3]", b'["\\ud800"]', b'"\\ud800"', b"{}x"])
def test_what_is_no_list_of_documents_is_refused(text):
    with pytest.raises(ContractError):
        read_answer(b'{"engagements":' + text + b"}")
