"""Values as the org keeps them, and refusals in words without values."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from journeyport.crm.protocol import Answer, Field, Verdict
from journeyport.crm.reasons import WORDS, in_words
from journeyport.crm.values import UnfitError, same, written

TEXT = Field("T__c", "string", length=10)
AREA = Field("T__c", "textarea", length=100)
WHOLE = Field("N__c", "double", precision=18, scale=0)
MONEY = Field("N__c", "currency", precision=5, scale=2)
MOMENT = Field("D__c", "datetime")
PICK = Field("P__c", "picklist", length=40, choices=("High", "Low"))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (TEXT, "  a\nb ", "a b"),
        (TEXT, "", None),
        (TEXT, "nul\x00l", "null"),
        (AREA, "a\r\nb", "a\nb"),
        (WHOLE, 3.0, 3),
        (MONEY, Decimal("1.005"), 1.01),
        (
            MOMENT,
            datetime(2026, 3, 1, 9, 0, 30, 999999, tzinfo=UTC),
            "2026-03-01T09:00:30.000Z",
        ),
        (MOMENT, date(2026, 3, 1), "2026-03-01T00:00:00.000Z"),
        (Field("B__c", "boolean"), True, True),
        (PICK, "Low", "Low"),
        (TEXT, None, None),
    ],
)
def test_a_value_is_written_as_the_field_wants_it(field, value, expected):
    assert written(field, value) == expected


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        (TEXT, "x" * 11, "STRING_TOO_LONG"),
        (PICK, "Middle", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        (MONEY, 1000, "NUMBER_OUTSIDE_VALID_RANGE"),
        (WHOLE, "three", "INVALID_TYPE"),
        (MOMENT, "soon", "INVALID_TYPE"),
        (Field("B__c", "boolean"), "yes", "INVALID_TYPE"),
    ],
)
def test_what_the_org_would_refuse_is_known_beforehand(field, value, code):
    with pytest.raises(UnfitError) as caught:
        written(field, value)
    assert caught.value.code == code
    assert str(value) not in caught.value.reason


def test_a_text_is_shortened_only_where_the_mapping_says_so():
    assert written(TEXT, "x" * 11, cut=True) == "x" * 10


@pytest.mark.parametrize(
    ("field", "left", "right"),
    [
        (MOMENT, "2026-03-01T09:00:30.000Z", "2026-03-01T09:00:30.000+0000"),
        (WHOLE, 3, 3.0),
        (TEXT, "", None),
        (Field("B__c", "boolean"), None, False),
        (Field("L__c", "reference"), "003000000000001", "003000000000001AAA"),
    ],
)
def test_what_the_org_keeps_alike_compares_alike(field, left, right):
    assert same(field, left, right)


def test_a_refusal_in_words_holds_no_value():
    values = {"Email": "anna@example.org", "LastName": "Anna", "Phone": "+4930123456"}
    for code in (*WORDS, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "SOMETHING_NEW"):
        said = "Anna at anna@example.org, +49 30 123456, on 003Sb0000000001IAA: no"
        answer = Answer(0, Verdict.REJECTED, code=code, message=said)
        words = in_words(answer, values)
        assert words
        for secret in ("Anna", "anna@", "123456", "003Sb"):
            assert secret not in words
