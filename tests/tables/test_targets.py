"""Every table against every target it is declared for."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa
from duckdb_sqlalchemy import Dialect as DuckDB
from sqlalchemy.dialects import postgresql

from journeyport import arrow, dictionary, sql
from journeyport.schema import Kind, Layout, Origin
from journeyport.tables import BY_NAME, TABLES

ROOT = Path(__file__).parents[2]

every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


DIALECTS = {"duckdb": DuckDB, "postgresql": postgresql.dialect}


def ddl(table, dialect):
    declared = sql.ddl_table(table, sa.MetaData(), dialect)
    return str(sa.schema.CreateTable(declared).compile(dialect=DIALECTS[dialect]()))


@every_table
def test_a_table_is_an_arrow_schema_column_for_column(table):
    schema = arrow.schema_of(table)
    assert tuple(schema.names) == table.names
    for column, field in zip(table.columns, schema, strict=True):
        assert field.nullable is not column.required
        assert field.type == arrow.TYPES[column.kind]
        assert field.metadata[b"description"].decode() == column.description
        assert (field.metadata[b"personal"] == b"true") is column.personal


@every_table
def test_an_empty_table_goes_through_duckdb_and_back(table):
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(ddl(table, "duckdb"))
        held = arrow.empty(table)
        connection.register("held", held)
        connection.execute(f"INSERT INTO {table.name} SELECT * FROM held")
        found = connection.execute(f"SELECT * FROM {table.name}").to_arrow_table()
    assert found.schema.names == held.schema.names
    assert [pa.types.is_timestamp(t) for t in found.schema.types] == [
        pa.types.is_timestamp(t) for t in held.schema.types
    ]


@every_table
@pytest.mark.parametrize("dialect", sorted(sql.TYPES))
def test_a_table_has_ddl_for_each_dialect(table, dialect):
    text = ddl(table, dialect)
    for column in table.columns:
        assert column.name in text
    assert text.count("NOT NULL") == sum(column.required for column in table.columns)


@every_table
def test_a_table_has_a_section_of_the_dictionary_with_a_row_per_column(table):
    page = dictionary.markdown([table])
    assert f"## {table.name}\n" in page
    for column in table.columns:
        row = next(
            line for line in page.splitlines() if line.startswith(f"| `{column.name}`")
        )
        assert column.description.replace("|", "\\|") in row
        assert ("**Personal.**" in row) is column.personal


def test_the_dictionary_page_is_what_the_declarations_say():
    page = (ROOT / "docs" / "dictionary.md").read_text()
    assert page == dictionary.markdown(TABLES), (
        "docs/dictionary.md is stale; run "
        "`python -m journeyport.dictionary > docs/dictionary.md`"
    )


def test_the_dictionary_is_printed_by_its_module():
    printed = subprocess.run(
        [sys.executable, "-m", "journeyport.dictionary"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert printed.stdout == dictionary.markdown(TABLES)


@every_table
def test_a_key_names_columns_and_a_parent_names_a_table(table):
    assert set(table.key) <= set(table.names)
    assert len(set(table.names)) == len(table.names)
    assert table.parent is None or table.parent in BY_NAME


@every_table
def test_every_column_is_described_in_a_sentence(table):
    for column in table.columns:
        assert column.description.strip().endswith((".", "…"))


@pytest.mark.parametrize(
    "table",
    [table for table in TABLES if "_row_hash" in table.names],
    ids=lambda table: table.name,
)
def test_lineage_stays_out_of_the_row_hash(table):
    lineage = {c.name for c in table.columns if c.origin is Origin.LINEAGE}
    assert not lineage & {column.name for column in table.content}
    assert "_row_hash" not in {column.name for column in table.content}


@every_table
def test_every_kind_of_column_survives_a_row(table):
    samples = {
        Kind.STRING: "text",
        Kind.INTEGER: -(2**63),
        Kind.NUMBER: 0.1,
        Kind.BOOLEAN: True,
        Kind.INSTANT: pa.scalar(1_700_000_000_123_456, pa.timestamp("us", "UTC")),
        Kind.DATE: pa.scalar(19_000, pa.int32()).cast(pa.date32()),
        Kind.JSON: '{"a":1}',
    }
    row = pa.table({c.name: pa.array([samples[c.kind]]) for c in table.columns})
    made = arrow.conform(table, row)
    assert made.schema.equals(arrow.schema_of(table))
    for column in table.columns:
        if column.name != "_row_hash":
            assert made.column(column.name)[0].as_py() is not None


def test_daily_tables_carry_account_hash_and_lineage():
    for table in TABLES:
        if table.layout is Layout.DAILY:
            assert table.names[0] == "account_id"
            assert table.names[-3:] == ("_row_hash", "_extracted_at", "_run_id")
