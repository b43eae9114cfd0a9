"""A document with a value in each leaf of the contract, no two of them alike."""

from datetime import UTC, datetime, timedelta
from itertools import count

from journeyport.schema import Kind
from journeyport.shape import Array, Leaf, Mapping, document

START = datetime(2026, 3, 5, 12, tzinfo=UTC)


def sentinels():
    """A value of a kind, never the same again."""
    numbers = count(1)

    def value(kind):
        number = next(numbers)
        if kind is Kind.INSTANT:
            return (START + timedelta(seconds=number)).isoformat()
        if kind is Kind.INTEGER:
            return 1_000_000 + number
        if kind is Kind.BOOLEAN:
            return True
        return f"sentinel-{number}"

    return value


def filled(shape, value):
    if isinstance(shape, Leaf):
        return value(shape.kind)
    if isinstance(shape, Array):
        return [filled(shape.item, value)]
    if isinstance(shape, Mapping):
        return {value(Kind.STRING): filled(shape.value, value)}
    return {name: filled(inner, value) for name, inner in shape.fields.items()}


def contract_complete():
    made = filled(document(), sentinels())
    return made | {
        "id": "6f9619ff-8b86-4011-b42d-00c04fc964ff",
        "accountId": "ABCDEF",
        "startDate": START.isoformat(),
    }
