"""Bad documents are named and kept out; the rest of the day goes on."""

import orjson
import pytest

from journeyport import shape

GOOD = {"id": "good", "startDate": "2026-03-05T10:00:00Z", "status": "COMPLETED"}

BAD = {
    "NO_ID": {"startDate": "2026-03-05T10:00:00Z"},
    "NO_START_DATE": {"id": "bad"},
    "BAD_START_DATE": GOOD | {"id": "bad", "startDate": "soon"},
    "OTHER_ACCOUNT": GOOD | {"id": "bad", "accountId": "ZZZZZZ"},
}
WRONG = {
    "participants": {"participants": {"id": "p"}},
    "identifiers": {"identifiers": ["+12125550143"]},
    "identifiers{}": {"identifiers": {"phoneNumbers": "+12125550143"}},
    "channels[]": {"channels": ["Voice"]},
    "conversations[]": {"conversations": [1]},
    "queues[].priority": {"queues": [{"priority": "high"}]},
    "queues[].rank": {"queues": [{"rank": 2**70}]},
    "agentNotes[].readOnly": {"agentNotes": [{"readOnly": "no"}]},
    "agentNotes[].createdBy": {"agentNotes": [{"createdBy": "Ann"}]},
    "status": {"status": 3},
    "endDate": {"endDate": 3},
    "data{}": {"data": {"order": 3}},
}


@pytest.mark.parametrize("code", BAD)
def test_a_document_that_is_no_engagement_is_rejected_by_name(bench, code):
    bench.land([GOOD, BAD[code]])
    report = bench.conform()
    (reject,) = report.rejects
    assert reject.code == code
    assert orjson.loads(reject.payload) == BAD[code]
    assert [row["engagement_id"] for row in bench.rows("engagements")] == ["good"]


@pytest.mark.parametrize("field", WRONG)
def test_a_value_of_the_wrong_kind_is_rejected_with_its_path(bench, field):
    document = GOOD | {"id": "bad"} | WRONG[field]
    bench.land([document, GOOD])
    report = bench.conform()
    (reject,) = report.rejects
    assert (reject.code, reject.record_key) == ("WRONG_TYPE", "bad")
    assert reject.field == field
    assert len(bench.rows("engagements")) == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("NOT_JSON", '{"id": "bad", '),
        ("NOT_AN_OBJECT", "[]"),
        ("NOT_AN_OBJECT", "null"),
    ],
)
def test_a_text_that_is_no_document_is_rejected(bench, code, text):
    bench.land([text, GOOD])
    report = bench.conform()
    assert [reject.code for reject in report.rejects] == [code]
    assert len(bench.rows("engagements")) == 1


def test_a_document_that_is_gone_is_rejected_whatever_it_fitted(bench):
    bench.land([GOOD], payload=[None], fits=[shape.name()])
    assert [reject.code for reject in bench.conform().rejects] == ["NO_PAYLOAD"]


def test_ten_megabytes_of_notes_are_rejected_and_kept_in_raw_alone(bench):
    notes = [{"id": "n", "note": "x" * 10_000_000}]
    bench.land([GOOD | {"id": "long", "agentNotes": notes}, GOOD])
    (reject,) = bench.conform().rejects
    assert (reject.code, reject.payload) == ("TOO_LARGE", None)
    assert len(bench.rows("engagements")) == 1


def test_no_reason_holds_a_value_of_the_document(bench):
    secret = "ann@example.org"
    bench.land(
        [
            GOOD | {"id": "a", "identifiers": {"emailAddresses": secret}},
            GOOD | {"id": "b", "startDate": secret},
            GOOD | {"id": "c", "accountId": secret},
        ]
    )
    rejects = bench.conform().rejects
    assert len(rejects) == 3
    assert not any(secret in reject.reason + reject.field for reject in rejects)


def test_a_key_sent_twice_keeps_its_last_value(bench):
    twice = (
        '{"id":"x","startDate":"2026-03-05T10:00:00Z",'
        '"identifiers":{"accountIds":["A"],"accountIds":["B"]}}'
    )
    bench.land([twice, GOOD])
    assert bench.conform().rejects == []
    assert bench.row("engagement_identifiers")["raw_value"] == "B"


def test_a_day_of_nothing_but_bad_documents_has_empty_tables(bench):
    bench.land([BAD["NO_ID"], BAD["NO_START_DATE"]])
    report = bench.conform()
    assert len(report.rejects) == 2
    assert set(report.rows.values()) == {0}


def test_an_empty_day_has_every_table_without_rows(bench):
    report = bench.conform()
    assert report.documents == 0
    assert set(report.rows.values()) == {0}
    assert len(report.rows) == 11


def test_half_a_character_becomes_a_question_mark(bench):
    half = '{"id":"x","startDate":"2026-03-05T10:00:00Z","data":{"a":"b\\ud800"}}'
    bench.land([half, GOOD])
    assert bench.conform().rejects == []
    assert bench.row("engagement_data")["data_value"] == "b?"
