"""What the source last said of each account's identifier types.

Their strengths decide who is who, and the source need not be asked when tables are made
again: they are kept beside what else cannot be made anew.
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import State, metadata, upsert

_types = sa.Table(
    "identifier_types",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("types", sa.Text, nullable=False),
)

Types = Mapping[str, Mapping[str, Any]]


def note(state: State, account: str, types: Types) -> None:
    """Note what the source says of an account's types, by name."""
    row = {"account_id": account, "types": json.dumps(types, sort_keys=True)}
    with state.write() as connection:
        upsert(connection, _types, [row])


def of(state: State, account: str) -> Types | None:
    """An account's types, by name; None: they were never read."""
    query = sa.select(_types.c.types).where(_types.c.account_id == account)
    with state.read() as connection:
        found = connection.scalar(query)
    if found is None:
        return None
    types: Types = json.loads(found)
    return types
