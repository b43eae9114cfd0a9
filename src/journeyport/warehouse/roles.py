"""The two roles of a PostgreSQL warehouse, as SQL for its administrator."""

from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.base import PGDialect

_SQL = """\
-- journeyport's roles. Run once as an administrator of the database.
CREATE ROLE {loader} LOGIN;
CREATE ROLE {reader} NOLOGIN;
CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {loader};
ALTER ROLE {loader} SET search_path = {schema};
GRANT TEMPORARY ON DATABASE {database} TO {loader};
GRANT USAGE ON SCHEMA {schema} TO {reader};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader};
-- Tables and views that the loader makes later are readable too.
ALTER DEFAULT PRIVILEGES FOR ROLE {loader} IN SCHEMA {schema}
    GRANT SELECT ON TABLES TO {reader};
-- Then give the loader its password with \\password, and the reader role to analysts:
-- GRANT {reader} TO somebody;
"""


def roles_sql(
    database: str,
    schema: str = "journeyport",
    loader: str = "journeyport_loader",
    reader: str = "journeyport_reader",
) -> str:
    """SQL that makes a role that loads and a role that reads, and nothing more."""
    dialect: Dialect = PGDialect()  # type: ignore[no-untyped-call]
    quote = dialect.identifier_preparer.quote_identifier
    return _SQL.format(
        database=quote(database),
        schema=quote(schema),
        loader=quote(loader),
        reader=quote(reader),
    )
