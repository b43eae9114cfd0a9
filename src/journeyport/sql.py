"""Table declarations as SQLAlchemy tables, with the type of each kind per dialect.

What a database needs besides (indexes, bulk loading) is said in `warehouse`.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from journeyport.schema import Kind, Table

_SHARED: Mapping[Kind, sa.types.TypeEngine[Any]] = {
    Kind.STRING: sa.Text(),
    Kind.INTEGER: sa.BigInteger(),
    Kind.NUMBER: sa.Double(),
    Kind.BOOLEAN: sa.Boolean(),
    Kind.INSTANT: sa.TIMESTAMP(timezone=True),
    Kind.DATE: sa.Date(),
    # A JSON type would order and space the text anew, and its hash would not hold.
    Kind.JSON: sa.Text(),
}

TYPES: Mapping[str, Mapping[Kind, sa.types.TypeEngine[Any]]] = {
    "duckdb": _SHARED,
    "postgresql": _SHARED,
}
"""SQL types by dialect and kind; both hold microseconds in UTC and 64-bit numbers."""


def ddl_table(
    table: Table, metadata: sa.MetaData, dialect: str, schema: str | None = None
) -> sa.Table:
    """The table as SQLAlchemy declares it, its descriptions as comments.

    No constraint but NOT NULL: a key may hold nulls, and what keeps it unique is the
    dialect's affair.

    Args:
        table: the declaration.
        metadata: what to declare it on.
        dialect: a key of `TYPES`.
        schema: the schema in the database; None: the connection's own.
    """
    types = TYPES[dialect]
    return sa.Table(
        table.name,
        metadata,
        *(
            sa.Column(
                column.name,
                types[column.kind],
                nullable=not column.required,
                comment=column.description,
            )
            for column in table.columns
        ),
        schema=schema,
        comment=f"{table.description} One row: {table.grain}.",
    )
