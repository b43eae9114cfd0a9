"""The tables of the index and its temporary ones; what an index says it is of.

How they are read and written is in `index`.
"""

from dataclasses import dataclass

import sqlalchemy as sa

metadata = sa.MetaData()
_P = "identity_index_"

basis = sa.Table(
    _P + "basis",
    metadata,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("rules", sa.String, nullable=False),
    sa.Column("operators", sa.String, nullable=False),
    sa.Column("told", sa.String, nullable=False),
)
days = sa.Table(
    _P + "days",
    metadata,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("day", sa.String, primary_key=True),
    sa.Column("content", sa.String, nullable=False),
)
engagements = sa.Table(
    _P + "engagements",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("day", sa.String, nullable=False),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String),
    sa.Column("channel", sa.String),
    sa.Column("topic", sa.String),
    sa.Index(_P + "by_name", "account", "name", unique=True),
    sa.Index(_P + "by_day", "account", "day"),
)
values = sa.Table(
    _P + "values",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("value", sa.String, nullable=False),
    # 0 blocked, 1 weak, 2 links
    sa.Column("weight", sa.SmallInteger, nullable=False),
    # weak, and shared by more customers than are listed: not walked through
    sa.Column("crowded", sa.Boolean, nullable=False),
    sa.Column("customer", sa.String),
    # engagements that carry it
    sa.Column("often", sa.Integer, nullable=False),
    sa.Index(_P + "by_value", "account", "kind", "value", unique=True),
)
evidence = sa.Table(
    _P + "evidence",
    metadata,
    sa.Column("value", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("engagement", sa.Integer, primary_key=True, autoincrement=False),
    sa.Index(_P + "by_engagement", "engagement", "value"),
    sqlite_with_rowid=False,
)
sharers = sa.Table(
    _P + "sharers",
    metadata,
    sa.Column("value", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("customer", sa.String, primary_key=True),
    sa.Index(_P + "by_customer", "customer"),
    sqlite_with_rowid=False,
)
TEMPORARY = {
    "wanted_values": "id INTEGER PRIMARY KEY",
    "wanted_engagements": "id INTEGER PRIMARY KEY",
    "edge_values": "id INTEGER PRIMARY KEY",
    "edge_engagements": "id INTEGER PRIMARY KEY",
    "asked": "kind TEXT, value TEXT",
    "asked_names": "name TEXT",
}


@dataclass(frozen=True)
class Basis:
    """What an index is of.

    Attributes:
        version: the identity version.
        rules: fingerprint of the configuration.
        operators: numbers of the operators' rules that held.
        told: rows and versions of the snapshots written with it.
    """

    version: int
    rules: str
    operators: str
    told: str
