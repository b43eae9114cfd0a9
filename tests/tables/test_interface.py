"""The source's interface against what is read of it."""

from journeyport.shape import paths
from journeyport.tables import DAILY, IDENTIFIER_TYPES


def test_every_field_of_an_engagement_is_read_into_a_column(leaves):
    read = {path for path, _ in paths()}
    unread = [leaf for leaf in leaves("EngagementResponse") if leaf not in read]
    assert unread == []


def test_every_field_of_an_identifier_type_has_a_column(leaves):
    sources = {column.source for column in IDENTIFIER_TYPES.columns}
    assert [leaf for leaf in leaves("IdentifierType") if leaf not in sources] == []


def test_a_field_nobody_reads_would_be_noticed(leaves):
    read = {path for path, _ in paths()}
    assert "participants[].dialogId" in leaves("EngagementResponse")
    assert "participants[].mood" not in read


def test_no_two_columns_of_a_table_read_the_same_field():
    for table in DAILY:
        sources = [column.source for column in table.columns if column.source]
        twice = {source for source in sources if sources.count(source) > 1}
        assert twice <= {"data{}"}  # its keys and its values
