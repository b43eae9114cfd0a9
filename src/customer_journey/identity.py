"""Which identifiers the source holds to be one customer: its journeys.

A journey is a set of identifiers. Values that come together on an engagement, by append
or by Create Journey are linked, transitively and whatever their strength; Unlink gives
one of them a journey of its own. A label per identifier is enough, since links are made
when a write happens and are not derived again from old engagements.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from customer_journey.models import identifiers

Values = Mapping[str, Iterable[str]]


def known(
    connection: sa.Connection, account: str, values: Values
) -> Sequence[sa.Row[Any, Any, Any, Any]]:
    """The rows (identifier, name, value, journey) of those values that are held."""
    asked = [
        sa.and_(identifiers.c.name == name, identifiers.c.value.in_(list(listed)))
        for name, listed in values.items()
    ]
    if not asked:
        return []
    query = sa.select(
        identifiers.c.identifier,
        identifiers.c.name,
        identifiers.c.value,
        identifiers.c.journey,
    ).where(identifiers.c.account_id == account, sa.or_(*asked))
    return connection.execute(query).all()


def journeys_of(connection: sa.Connection, account: str, values: Values) -> list[int]:
    """The journeys that hold any of the values."""
    return sorted({row.journey for row in known(connection, account, values)})


def members(
    connection: sa.Connection, account: str, journeys: Sequence[int]
) -> dict[str, list[str]]:
    """Every identifier of the journeys, by name, in the order they were first seen."""
    if not journeys:
        return {}
    query = (
        sa.select(identifiers.c.name, identifiers.c.value)
        .where(identifiers.c.account_id == account, identifiers.c.journey.in_(journeys))
        .order_by(identifiers.c.identifier)
    )
    found: dict[str, list[str]] = {}
    for name, value in connection.execute(query):
        found.setdefault(name, []).append(value)
    return found


def link(connection: sa.Connection, account: str, values: Values) -> list[int]:
    """Make the values, and all they were linked to, one journey; answers their numbers.

    Values not seen before are recorded.
    """
    wanted = {(name, value) for name, listed in values.items() for value in listed}
    if not wanted:
        return []
    rows = known(connection, account, values)
    numbers = [row.identifier for row in rows]
    journeys = {row.journey for row in rows}
    new = sorted(wanted - {(row.name, row.value) for row in rows})
    journey = min(journeys) if journeys else None
    for name, value in new:
        number = _record(connection, account, name, value, journey)
        journey = number if journey is None else journey
        numbers.append(number)
    if len(journeys) > 1:
        connection.execute(
            sa.update(identifiers)
            .where(
                identifiers.c.account_id == account, identifiers.c.journey.in_(journeys)
            )
            .values(journey=journey)
        )
    return sorted(numbers)


def unlink(connection: sa.Connection, account: str, name: str, value: str) -> list[int]:
    """Take one identifier out of its journey; answers the journey of the rest.

    The rest keeps its label, also when it is the number of the one taken out.
    """
    rows = known(connection, account, {name: [value]})
    if not rows:
        return []
    number, journey = rows[0].identifier, rows[0].journey
    query = sa.select(identifiers.c.identifier).where(
        identifiers.c.account_id == account,
        identifiers.c.journey == journey,
        identifiers.c.identifier != number,
    )
    rest = sorted(connection.execute(query).scalars())
    if not rest:
        return []
    lowest = connection.execute(
        sa.select(sa.func.min(identifiers.c.journey)).where(
            identifiers.c.account_id == account
        )
    ).scalar_one()
    # labels below zero are ours: no identifier's number is ever negative
    connection.execute(
        sa.update(identifiers)
        .where(identifiers.c.identifier == number)
        .values(journey=min(lowest, 0) - 1)
    )
    return [journey]


def _record(
    connection: sa.Connection, account: str, name: str, value: str, journey: int | None
) -> int:
    result = connection.execute(
        sa.insert(identifiers).values(
            account_id=account, name=name, value=value, journey=journey or 0
        )
    )
    number = inserted_key(result)
    if journey is None:
        connection.execute(
            sa.update(identifiers)
            .where(identifiers.c.identifier == number)
            .values(journey=number)
        )
    return number


def inserted_key(result: sa.CursorResult[Any]) -> int:
    """The number the database gave to the row that was inserted."""
    key = result.inserted_primary_key
    if key is None:
        raise LookupError("The insert answered no key.")
    return int(key[0])
