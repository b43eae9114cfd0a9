"""Rules of ours: roles, states, transfers, outcomes, repeated stays."""

import pytest

BASE = {"id": "e", "startDate": "2026-03-05T10:00:00Z"}
AGENT = {"type": "AGENT", "id": "agent"}
BOT = {"type": "TREATMENT", "automationType": "CHATBOT"}
IVR = {"type": "TREATMENT", "automationType": "SELF_SERVICE"}
PERSON = {"type": "EXTERNAL", "id": "person"}


@pytest.mark.parametrize(
    ("sent", "role"),
    [
        (PERSON, "CUSTOMER"),
        (AGENT, "AGENT"),
        (BOT, "BOT"),
        (IVR, "TREATMENT"),
        (AGENT | {"role": "Supervisor"}, "SUPERVISOR"),
        ({"type": "SOMETHING"}, "UNKNOWN"),
        ({}, "UNKNOWN"),
    ],
)
def test_roles(bench, sent, role):
    bench.land([BASE | {"participants": [sent]}])
    bench.conform()
    assert bench.row("participants")["role"] == role


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        ({}, "ACTIVE"),
        ({"leftAt": "2026-03-05T10:05:00Z"}, "DROPPED"),
        ({"leftAt": "2026-03-05T10:05:00Z", "state": "HELD"}, "HELD"),
    ],
)
def test_states(bench, sent, state):
    bench.land([BASE | {"participants": [sent]}])
    bench.conform()
    assert bench.row("participants")["state"] == state


def outcomes(bench, document):
    bench.land([BASE | document])
    bench.conform()
    row = bench.row("engagement_outcomes")
    names = ["bot_seen", "self_service_seen", "queued", "agent_joined"]
    return tuple(row[n] for n in [*names, "abandoned_in_queue", "contained"])


ENTRY = {"queueId": "q", "queuedAt": "2026-03-05T10:00:10Z"}
TAKEN = ENTRY | {"acceptedAt": "2026-03-05T10:00:30Z"}
DONE = {"status": "COMPLETED"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            DONE | {"participants": [PERSON, BOT]},
            (True, False, False, False, False, True),
        ),
        (
            DONE | {"participants": [PERSON, IVR]},
            (False, True, False, False, False, True),
        ),
        (
            DONE | {"participants": [PERSON, BOT], "queues": [ENTRY]},
            (True, False, True, False, True, False),
        ),
        (
            DONE | {"participants": [PERSON, AGENT], "queues": [TAKEN]},
            (False, False, True, True, False, False),
        ),
        (
            DONE | {"participants": [PERSON], "queues": [TAKEN]},
            (False, False, True, False, False, False),
        ),
        (
            DONE | {"participants": [PERSON, BOT], "transfers": [{}]},
            (True, False, False, False, False, False),
        ),
        (
            {"status": "ACTIVE", "participants": [PERSON, BOT]},
            (True, False, False, False, None, None),
        ),
        (DONE | {"queues": [ENTRY]}, (None, None, True, None, None, None)),
        (
            {"participants": [BOT]},
            (True, False, False, False, None, None),
        ),
    ],
)
def test_outcomes(bench, document, expected):
    assert outcomes(bench, document) == expected


def test_a_transfer_comes_from_the_last_queue_entered_before_it(bench):
    queues = [
        {"queueId": "first", "queuedAt": "2026-03-05T10:00:00Z"},
        {"queueId": "third", "queuedAt": "2026-03-05T10:20:00Z"},
        {"queueId": "second", "queuedAt": "2026-03-05T10:10:00Z"},
        {"queueId": "undated"},
    ]
    times = ["10:00:00", "10:05:00", "10:20:00", "10:30:00"]
    transfers = [{"timestamp": f"2026-03-05T{time}Z"} for time in times]
    other = BASE | {"id": "d", "queues": [queues[0] | {"queueId": "elsewhere"}]}
    bench.land([BASE | {"queues": queues, "transfers": [*transfers, {}]}, other])
    bench.land([BASE | {"id": "f", "transfers": [transfers[3]]}])
    bench.conform()
    found = [row["from_queue_id"] for row in bench.rows("transfers")]
    assert found == [None, "first", "second", "third", None, None]


def test_consulting_is_read_off_the_type(bench):
    kinds = ["CONSULT_TRANSFER_TO_QUEUE", "TRANSFER_TO_AGENT", None]
    bench.land([BASE | {"transfers": [{"transferType": kind} for kind in kinds]}])
    bench.conform()
    assert [r["is_consult"] for r in bench.rows("transfers")] == [True, False, None]


def test_one_person_may_join_twice_and_even_be_repeated(bench):
    stay = {"id": "p", "dialogId": "d", "joinedAt": "2026-03-05T10:00:00Z"}
    later = stay | {"joinedAt": "2026-03-05T11:00:00Z"}
    bench.land([BASE | {"participants": [stay, later, stay, {}, {}]}])
    bench.conform()
    found = [(r["ordinal"], r["occurrence"]) for r in bench.rows("participants")]
    assert found == [(0, 0), (1, 0), (2, 1), (3, 0), (4, 1)]


def test_the_same_value_twice_stays_twice(bench):
    bench.land([BASE | {"identifiers": {"accountIds": ["A", None, "A"]}}])
    bench.conform()
    rows = bench.rows("engagement_identifiers")
    assert [(r["ordinal"], r["raw_value"]) for r in rows] == [(0, "A"), (2, "A")]
    assert bench.row("engagements")["identifier_count"] == 2


def test_identifiers_carry_raw_and_clean_value_and_the_strength_in_use(bench):
    sent = {"phoneNumbers": ["(212) 555-0143", "911"], "loyaltyIds": [" L1 "]}
    bench.land([BASE | {"identifiers": sent}])
    bench.conform(strengths={"loyaltyIds": "STRONG"})
    found = [
        (r["identifier_type"], r["value"], r["is_valid"], r["strength"])
        for r in bench.rows("engagement_identifiers")
    ]
    assert found == [
        ("loyaltyIds", "L1", True, "STRONG"),
        ("phoneNumbers", "+12125550143", True, "WEAK"),
        ("phoneNumbers", None, False, "WEAK"),
    ]


@pytest.mark.parametrize(
    ("sent", "category", "value"),
    [
        ("Language.English", "Language", "English"),
        ("a.b.c", "a", "b.c"),
        (".x", "", "x"),
        ("plain", None, "plain"),
        ("line\nbreak.y", "line\nbreak", "y"),
    ],
)
def test_attributes_are_split_at_the_first_dot(bench, sent, category, value):
    bench.land([BASE | {"attributes": [sent]}])
    bench.conform()
    row = bench.row("engagement_attributes")
    assert (row["category"], row["value"]) == (category, value)


def test_the_local_day_is_that_of_the_accounts_zone(bench):
    bench.land([BASE | {"startDate": "2026-03-05T03:30:00Z"}])
    bench.conform(zone="America/New_York")
    row = bench.row("engagements")
    local = (row["local_date"].isoformat(), row["local_hour"], row["local_weekday"])
    assert local == ("2026-03-04", 22, 3)


def test_durations_and_waits_are_never_negative(bench):
    backwards = TAKEN | {"acceptedAt": "2026-03-05T09:00:00Z"}
    ended = BASE | {"endDate": "2026-03-05T10:01:30Z", "queues": [TAKEN, backwards]}
    bench.land([ended])
    bench.conform()
    assert bench.row("engagements")["duration_seconds"] == 90
    assert [r["wait_seconds"] for r in bench.rows("queue_segments")] == [20, None]
