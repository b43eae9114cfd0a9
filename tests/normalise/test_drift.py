"""What is new at the source is kept and named."""

import orjson

BASE = {"id": "e", "startDate": "2026-03-05T10:00:00Z"}


def test_unknown_fields_are_named_by_path_and_counted(bench):
    document = BASE | {
        "mood": "fine",
        "participants": [{"id": "a", "mood": "fine"}, {"id": "b", "mood": "fine"}],
        "agentNotes": [{"createdBy": {"id": "x", "team": "T"}}],
    }
    bench.land([document])
    report = bench.conform()
    assert report.drift == {
        "unknown field agentNotes[].createdBy.team": 1,
        "unknown field mood": 1,
        "unknown field participants[].mood": 2,
    }
    assert bench.lake.manifest(bench.account, bench.day).facts["drift"] == report.drift
    note = bench.row("agent_notes")
    assert orjson.loads(note["extra"]) == {"createdBy": {"team": "T"}}
    assert note["created_by_id"] == "x"


def test_a_new_value_of_an_enumeration_is_kept_and_named(bench):
    bench.land([BASE | {"status": "PAUSED", "participants": [{"type": "ROBOT"}]}])
    report = bench.conform()
    assert report.rejects == []
    assert report.drift == {
        "new value engagements.status=PAUSED": 1,
        "new value participants.participant_type=ROBOT": 1,
    }
    assert bench.row("engagements")["status"] == "PAUSED"
    assert bench.row("participants")["role"] == "UNKNOWN"


def test_an_instant_that_is_none_is_kept_as_sent(bench):
    bench.land([BASE | {"endDate": "soon", "queues": [{"queuedAt": "later"}]}])
    report = bench.conform()
    assert report.rejects == []
    assert orjson.loads(bench.row("engagements")["extra"]) == {"endDate": "soon"}
    assert orjson.loads(bench.row("queue_segments")["extra"]) == {"queuedAt": "later"}
    assert report.drift == {
        "no instant in endDate": 1,
        "no instant in queues[].queuedAt": 1,
    }


def test_what_is_new_is_counted_once_in_a_document_that_is_looked_at_twice(bench):
    bench.land([BASE | {"mood": "fine", "endDate": "soon"}])
    assert bench.conform().drift == {
        "no instant in endDate": 1,
        "unknown field mood": 1,
    }
    extra = orjson.loads(bench.row("engagements")["extra"])
    assert extra == {"mood": "fine", "endDate": "soon"}


def test_a_text_that_is_no_instant_is_found_in_the_list_of_its_own_document(bench):
    stays = [{"id": "p0"}, {"id": "p1", "joinedAt": "2026-03-05T10:00:00Z"}]
    odd = [*stays, {"id": "p2", "joinedAt": "2026-03-05T10"}]
    documents = [BASE | {"id": f"e{n}", "participants": stays} for n in range(5)]
    documents[1]["participants"] = []
    documents[3] = documents[3] | {"participants": odd}
    bench.land(documents)
    assert bench.conform().drift == {"no instant in participants[].joinedAt": 1}
    extra = {
        (row["engagement_id"], row["participant_id"]): orjson.loads(row["extra"])
        for row in bench.rows("participants")
        if row["extra"] is not None
    }
    assert extra == {("e3", "p2"): {"joinedAt": "2026-03-05T10"}}


def test_the_text_of_a_note_is_read_under_either_name(bench):
    bench.land([BASE | {"agentNotes": [{"text": "one"}, {"note": "two"}]}])
    assert bench.conform().drift == {}
    assert [row["note"] for row in bench.rows("agent_notes")] == ["one", "two"]


def test_two_different_texts_of_one_note_are_both_kept(bench):
    bench.land([BASE | {"agentNotes": [{"text": "one", "note": "two"}]}])
    bench.conform()
    note = bench.row("agent_notes")
    assert (note["note"], orjson.loads(note["extra"])) == ("two", {"text": "one"})


def test_whole_numbers_may_be_written_as_fractions(bench):
    bench.land(
        ['{"id":"e","startDate":"2026-03-05T10:00:00Z","queues":[{"rank":3.0}]}']
    )
    assert bench.conform().rejects == []
    assert bench.row("queue_segments")["rank"] == 3


def test_a_field_of_our_own_bookkeeping_name_is_an_unknown_field(bench):
    bench.land([BASE | {"_extra": "x"}])
    bench.conform()
    assert orjson.loads(bench.row("engagements")["extra"]) == {"_extra": "x"}
