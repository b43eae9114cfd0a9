"""Identifier types: which names an account collects values for."""

import uuid
from typing import Any

import sqlalchemy as sa
from starlette.responses import Response

from customer_journey import bodies
from customer_journey.call import Call, json_answer
from customer_journey.models import identifier_types
from customer_journey.problems import Problem
from customer_journey.validation import EXISTS

MOST_TYPES = 1000


def _shown(row: Any) -> dict[str, Any]:
    shown = {
        "identifierId": row.identifier_id,
        "name": row.name,
        "identifierStrength": row.strength,
        "url": f"/api/journey/v1/accounts/{row.account_id}/identifiers/"
        f"{row.identifier_id}",
    }
    if row.display_name is not None:
        shown["displayName"] = row.display_name
    return shown


def _types(call: Call) -> list[Any]:
    query = (
        sa.select(identifier_types)
        .where(identifier_types.c.account_id == call.account)
        .order_by(identifier_types.c.position, identifier_types.c.name)
    )
    return list(call.service.store.reader.execute(query).all())


def _type(call: Call) -> Any:
    wanted = bodies.uuid("identifierId", call.path["identifierId"])
    for row in _types(call):
        if row.identifier_id == wanted:
            return row
    raise Problem(404, "There is no such identifier type.")


def _named(call: Call, name: str) -> Any:
    query = sa.select(identifier_types).where(
        identifier_types.c.account_id == call.account, identifier_types.c.name == name
    )
    return call.service.store.reader.execute(query).one()


def _refuse_duplicate() -> Problem:
    violation = {
        "field": "name",
        "message": "is the name of another identifier type of this account",
        "code": EXISTS,
    }
    return Problem(400, "The name is taken.", [violation])


def get_identifiers(call: Call) -> Response:
    """Every configured type."""
    return json_answer([_shown(row) for row in _types(call)])


def get_identifier(call: Call) -> Response:
    """One configured type."""
    return json_answer(_shown(_type(call)))


def create_identifier(call: Call) -> Response:
    """A new type, unique by name, of at most a thousand."""
    fields = bodies.identifier_type(call.body)
    known = _types(call)
    if any(row.name == fields["name"] for row in known):
        raise _refuse_duplicate()
    if len(known) >= MOST_TYPES:
        violation = {
            "field": "name",
            "message": f"the account has {MOST_TYPES} identifier types already",
            "code": EXISTS,
        }
        raise Problem(400, "There are too many identifier types.", [violation])
    with call.service.store.write() as connection:
        connection.execute(
            sa.insert(identifier_types).values(
                account_id=call.account,
                identifier_id=str(uuid.uuid4()),
                position=max((row.position for row in known), default=0) + 1,
                **fields,
            )
        )
    return json_answer(_shown(_named(call, str(fields["name"]))))


def update_identifier(call: Call) -> Response:
    """Change a type's name, display name or strength."""
    fields = bodies.identifier_type(call.body)
    row = _type(call)
    names = {one.name for one in _types(call)} - {row.name}
    if fields["name"] in names:
        raise _refuse_duplicate()
    chosen = identifier_types.c.identifier_id == row.identifier_id
    mine = identifier_types.c.account_id == call.account
    with call.service.store.write() as connection:
        connection.execute(
            sa.update(identifier_types).where(mine, chosen).values(fields)
        )
    return json_answer(_shown(_type(call)))


def delete_identifiers(call: Call) -> Response:
    """Stop collecting types, given by name or id; what was collected stays."""
    wanted = set(bodies.names(call.body))
    chosen = [
        row.name for row in _types(call) if {row.name, row.identifier_id} & wanted
    ]
    if not chosen:
        raise Problem(404, "None of the identifier types is configured.")
    with call.service.store.write() as connection:
        connection.execute(
            sa.delete(identifier_types).where(
                identifier_types.c.account_id == call.account,
                identifier_types.c.name.in_(chosen),
            )
        )
    return Response(status_code=200)
