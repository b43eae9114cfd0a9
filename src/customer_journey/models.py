"""The tables of the service's database, and nothing about how they are used.

Each engagement is one row that carries its current document as JSON text, so that a
page is a join of strings; the narrow tables beside it only find the rows. Types and
constraints are such as SQLite and PostgreSQL both take.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

#: Microseconds of one tally.
STRETCH = 600_000_000

# SQLite makes only a column declared INTEGER its row id
_Serial = BigInteger().with_variant(Integer, "sqlite")

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("app_key", Text, nullable=False),
    Column("position", Integer, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("client_id", Text, primary_key=True),
    Column("client_secret", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("label", Text, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("username", Text, primary_key=True),
    Column("password", Text, nullable=False),
    Column("roles", Text, nullable=False),
)

identifier_types = Table(
    "identifier_types",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("identifier_id", Text, nullable=False),
    Column("display_name", Text),
    Column("strength", Text, nullable=False),
    Column("position", Integer, nullable=False),
)

engagements = Table(
    "engagements",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("engagement_id", Text, nullable=False),
    Column("start_us", BigInteger, nullable=False),
    Column("identifiers", Text, nullable=False),
    Column("document", Text, nullable=False),
)

#: What a search can ask for beside dates: channel, agent, conversation.
facets = Table(
    "facets",
    metadata,
    Column("account_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("start_us", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
)

#: How many engagements start in each stretch of ten minutes: a day's total is a sum of
#: 144 numbers, however many engagements the day has.
tallies = Table(
    "tallies",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("stretch", BigInteger, primary_key=True),
    Column("engagements", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

identifiers = Table(
    "identifiers",
    metadata,
    Column("identifier", _Serial, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("journey", BigInteger, nullable=False),
)

#: Which engagement carries which identifier.
occurrences = Table(
    "occurrences",
    metadata,
    Column("identifier", BigInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)

#: Writes that were accepted and are not visible yet.
pending = Table(
    "pending",
    metadata,
    Column("pending", _Serial, primary_key=True),
    Column("due_us", BigInteger, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("engagement_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
)

#: Made after a bulk load, by one sort each: kept during it, their pages are rewritten
#: with nearly every batch, since ids and values come in no order.
secondary_indexes = (
    Index(
        "engagements_by_id",
        engagements.c.account_id,
        engagements.c.engagement_id,
        unique=True,
    ),
    Index(
        "engagements_by_start",
        engagements.c.account_id,
        engagements.c.start_us,
        engagements.c.engagement_id,
    ),
    Index(
        "facets_by_value",
        facets.c.account_id,
        facets.c.kind,
        facets.c.value,
        facets.c.start_us,
        facets.c.seq,
        unique=True,
    ),
    Index(
        "identifiers_by_value",
        identifiers.c.account_id,
        identifiers.c.name,
        identifiers.c.value,
        unique=True,
    ),
    Index("identifiers_by_journey", identifiers.c.account_id, identifiers.c.journey),
)
