"""Agent notes: one per engagement."""

from typing import Any

from starlette.responses import Response

from customer_journey import bodies
from customer_journey.call import Call, found_engagement, json_answer
from customer_journey.instants import format_instant
from customer_journey.problems import Problem
from customer_journey.writes import change_notes, note_id


def get_agent_notes(call: Call) -> Response:
    """List an engagement's notes."""
    _, document = found_engagement(call, call.engagement)
    return json_answer({"agentNotes": document.get("agentNotes", [])})


def create_agent_note(call: Call) -> Response:
    """The one note an engagement can have."""
    engagement = call.engagement
    text = bodies.note(call.body)
    _, document = found_engagement(call, engagement)
    if document.get("agentNotes"):
        raise Problem(422, "The engagement has an agent note already.")
    service = call.service
    now = service.clock.now()
    author = {"id": call.principal.subject, "name": call.principal.name}
    note = {
        "id": note_id(),
        "engagementId": engagement,
        "createdBy": author,
        "updatedBy": author,
        "note": text,
        "readOnly": False,
        "createdAt": format_instant(now),
        "updatedAt": format_instant(now),
    }
    with service.store.write() as connection:
        change_notes(connection, call.account, engagement, [note], now)
    return json_answer(note, 201)


def _note(call: Call) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    engagement = call.engagement
    wanted = bodies.text("noteId", call.path["noteId"], 20, 20)
    _, document = found_engagement(call, engagement)
    notes = document.get("agentNotes", [])
    for note in notes:
        if note["id"] == wanted:
            return engagement, note, notes
    raise Problem(404, "There is no such agent note.")


def update_agent_note(call: Call) -> Response:
    """Change a note's text."""
    text = bodies.note(call.body)
    engagement, note, notes = _note(call)
    now = call.service.clock.now()
    changed = {
        **note,
        "note": text,
        "updatedBy": {"id": call.principal.subject, "name": call.principal.name},
        "updatedAt": format_instant(now),
    }
    with call.service.store.write() as connection:
        kept = [changed if one is note else one for one in notes]
        change_notes(connection, call.account, engagement, kept, now)
    return json_answer(changed)


def delete_agent_note(call: Call) -> Response:
    """Remove a note."""
    engagement, note, notes = _note(call)
    with call.service.store.write() as connection:
        kept = [one for one in notes if one is not note]
        now = call.service.clock.now()
        change_notes(connection, call.account, engagement, kept, now)
    return Response(status_code=204)
