"""Engagements and their participants: read by id, record, add to, join and leave."""

from starlette.responses import Response

from customer_journey import bodies, search, store, trouble
from customer_journey.call import (
    Call,
    accepted,
    collected,
    expected_engagement,
    required,
)
from customer_journey.problems import Problem


def get_engagements(call: Call) -> Response:
    """List Engagements by id, in the order asked for."""
    number, size = bodies.paging(call.query)
    wanted = bodies.uuids(call.query.get("engagementIds"))
    call.notes.update(pageNumber=number, pageSize=size, asked=len(wanted))
    texts = trouble.documents(
        call, store.get_texts(trouble.reader(call), call.account, wanted)
    )
    if not texts:
        raise Problem(404, "None of the engagements is known.")
    shown = texts[(number - 1) * size : number * size]
    call.notes.update(rows=len(shown), total=len(texts))
    return Response(
        search.page_body(shown, number, size, len(texts), None),
        media_type="application/json",
    )


def get_engagement(call: Call) -> Response:
    """Get Engagement."""
    known = store.get_texts(trouble.reader(call), call.account, [call.engagement])
    texts = trouble.documents(call, known)
    if not texts:
        raise Problem(404, "There is no such engagement.")
    return Response(texts[0].encode(), media_type="application/json")


def create_engagement(call: Call) -> Response:
    """Record an engagement; the same id again adds to the one recorded."""
    body = bodies.engagement(call.body)
    body["identifiers"] = required(call, body["identifiers"])
    operation = {"kind": "create", "engagement": body["id"], "body": body}
    call.service.writes.accept(call.account, operation)
    return accepted()


def update_engagement(call: Call) -> Response:
    """Add topics, data and identifiers to an engagement."""
    engagement = call.engagement
    body = bodies.engagement_update(call.body)
    expected_engagement(call)
    body["identifiers"] = collected(call, body["identifiers"])
    operation = {"kind": "update", "engagement": engagement, "body": body}
    call.service.writes.accept(call.account, operation)
    return accepted()


def append_identifiers(call: Call) -> Response:
    """Append identifiers to an engagement."""
    engagement = call.engagement
    values = bodies.append(call.body)
    expected_engagement(call)
    kept = collected(call, values)
    if any(kept.values()):
        call.service.writes.accept(
            call.account,
            {"kind": "append", "engagement": engagement, "identifiers": kept},
        )
    return accepted()


def add_participant(call: Call) -> Response:
    """A participant joins; one of the same id is updated."""
    engagement = call.engagement
    identity_of = bodies.text("participantId", call.path["participantId"], 1, 36)
    joined = {"id": identity_of, **bodies.participant(call.body)}
    expected_engagement(call)
    call.service.writes.accept(
        call.account,
        {"kind": "join", "engagement": engagement, "participant": joined},
    )
    return accepted()


def remove_participant(call: Call) -> Response:
    """A participant leaves and stays in the history."""
    engagement = expected_engagement(call)
    leaving = bodies.text("participantId", call.path["participantId"], 1, 36)
    found = store.get(call.service.store.reader, call.account, engagement)
    if found is not None and call.service.writes.lag <= 0:
        participants = found[1].get("participants", ())
        if all(known["id"] != leaving for known in participants):
            raise Problem(404, "There is no such participant.")
    call.service.writes.accept(
        call.account,
        {"kind": "leave", "engagement": engagement, "participant": leaving},
    )
    return accepted()
