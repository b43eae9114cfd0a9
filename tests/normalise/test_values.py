"""Phones, e-mails, instants, local time."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journeyport.normalise import values


@pytest.mark.parametrize(
    ("sent", "region", "made"),
    [
        ("+1 (212) 555-0143", "US", "+12125550143"),
        ("212-555-0143", "US", "+12125550143"),
        ("030 901820", "DE", "+4930901820"),
        ("+49 30 901820", "US", "+4930901820"),
        ("tel:+1-212-555-0143", "US", "+12125550143"),
        ("sip:+12125550143@pbx.example.com", "US", "+12125550143"),
        ("+1 212 555 0143 ext. 77", "US", "+12125550143;ext=77"),
        ("  2125550143 ", "US", "+12125550143"),
        ("+44 20 7946 0018", "US", "+442079460018"),
        ("911", "US", None),
        ("12345", "US", None),
        ("anonymous", "US", None),
        ("Restricted", "US", None),
        ("0000000000", "US", None),
        ("", "US", None),
        ("not a number", "US", None),
        ("+999 123", "US", None),
    ],
)
def test_phones_become_e164_or_nothing(sent, region, made):
    assert values.phone(sent, region) == made


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("Ann.Lee@Example.COM", "ann.lee@example.com"),
        (" ann@example.org ", "ann@example.org"),
        ("mailto:ann@example.org", "ann@example.org"),
        ("ann+shop@example.org", "ann+shop@example.org"),
        ("jörg@bücher.example.org", "jörg@bücher.example.org"),
        ("ann@xn--bcher-kva.example.org", "ann@bücher.example.org"),
        ("ann", None),
        ("ann@", None),
        ("ann@@example.org", None),
        ("Ann <ann@example.org>", None),
        ("", None),
    ],
)
def test_emails_become_lower_case_or_nothing(sent, made):
    assert values.email(sent) == made


def test_other_values_are_trimmed_and_keep_their_case():
    assert values.other("  AbC-1 ") == "AbC-1"
    assert values.other("   ") is None


@given(st.sampled_from(["phoneNumbers", "emailAddresses", "loyaltyIds"]), st.text())
def test_whatever_is_sent_a_value_is_made_or_not_and_made_again_the_same(kind, sent):
    made = values.normalised(kind, sent, "US")
    assert made is None or values.normalised(kind, made, "US") == made


def test_columns_are_normalised_like_single_values():
    kinds = ["phoneNumbers", "emailAddresses", "accountIds", "phoneNumbers"]
    sent = ["2125550143", "A@B.org", " X ", "2125550143"]
    made = values.normalised_column(pa.array(kinds), pa.array(sent), "US")
    assert made.to_pylist() == [
        values.normalised(kind, value, "US")
        for kind, value in zip(kinds, sent, strict=True)
    ]


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("2026-03-05T12:00:00Z", datetime(2026, 3, 5, 12, tzinfo=UTC)),
        ("2026-03-05T12:00:00.5Z", datetime(2026, 3, 5, 12, 0, 0, 500_000, UTC)),
        ("2026-03-05T12:00:00.123456789Z", datetime(2026, 3, 5, 12, 0, 0, 123456, UTC)),
        ("2026-03-05T23:59:59.9999999Z", datetime(2026, 3, 5, 23, 59, 59, 999999, UTC)),
        ("2026-03-05T12:00:00+05:30", datetime(2026, 3, 5, 6, 30, tzinfo=UTC)),
        ("2026-03-05T12:00:00-0330", datetime(2026, 3, 5, 15, 30, tzinfo=UTC)),
        ("2026-03-05T12:00:00+02", datetime(2026, 3, 5, 10, tzinfo=UTC)),
        ("2026-03-05t12:00:00z", datetime(2026, 3, 5, 12, tzinfo=UTC)),
        ("2026-03-05 12:00:00,25Z", datetime(2026, 3, 5, 12, 0, 0, 250_000, UTC)),
        ("2026-03-05T12:00:00", datetime(2026, 3, 5, 12, tzinfo=UTC)),
        ("2026-03-05T12:00Z", datetime(2026, 3, 5, 12, tzinfo=UTC)),
        ("2026-03-05", None),
        ("yesterday", None),
        ("", None),
        ("2026-13-05T12:00:00Z", None),
        ("2026-03-05T25:00:00Z", None),
        ("0001-01-01T00:00:00+05:00", None),
    ],
)
def test_instants_with_any_offset_and_any_fraction(sent, made):
    assert values.instant(sent) == made
    assert values.instants(pa.array([sent, None])).to_pylist() == [made, None]


ZONES = (
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Amsterdam",
    "Europe/Dublin",
    "Pacific/Kiritimati",
    "UTC",
)


def in_zone(moment, zone):
    return moment.replace(tzinfo=ZoneInfo(zone)).isoformat()


# Zones are put in afterwards: given to st.datetimes they cost a third of a second each,
# all their changes of the clock being looked up.
@given(
    st.lists(
        st.builds(
            in_zone,
            st.datetimes(
                min_value=datetime(3, 1, 1),  # noqa: DTZ001 - Hypothesis wants it so
                max_value=datetime(9997, 12, 31),  # noqa: DTZ001 - as above
            ),
            st.sampled_from(ZONES),
        ),
        max_size=5,
    )
)
def test_a_column_of_instants_reads_like_its_single_texts(sent):
    column = values.instants(pa.array(sent, pa.string())).to_pylist()
    assert column == [values.instant(text) for text in sent]


@given(
    st.datetimes(
        min_value=datetime(1990, 1, 1),  # noqa: DTZ001 - Hypothesis wants it so
        max_value=datetime(2035, 1, 1),  # noqa: DTZ001 - as above
        timezones=st.just(UTC),
    ),
    st.sampled_from(
        [
            "UTC",
            "America/New_York",
            "America/St_Johns",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "Europe/Berlin",
            "Pacific/Apia",
        ]
    ),
)
def test_local_time_is_what_the_zone_says(moment, zone):
    from zoneinfo import ZoneInfo

    here = moment.astimezone(ZoneInfo(zone))
    column = pa.array([moment], values.INSTANT)
    dates, hours, weekdays = values.local(column, zone)
    assert dates.to_pylist() == [here.date()]
    assert hours.to_pylist() == [here.hour]
    assert weekdays.to_pylist() == [here.isoweekday()]


def test_both_hours_of_a_night_that_has_one_twice_are_the_same_hour():
    moments = [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
    moments.append(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    dates, hours, _ = values.local(pa.array(moments, values.INSTANT), "Europe/Berlin")
    assert hours.to_pylist() == [2, 2]
    assert set(dates.to_pylist()) == {date(2026, 10, 25)}


def test_seconds_between_are_null_when_missing_or_negative():
    early, late = (datetime(2026, 3, 5, hour, tzinfo=UTC) for hour in (1, 2))
    starts = pa.array([early, late, None, early], values.INSTANT)
    ends = pa.array([late, early, late, None], values.INSTANT)
    assert values.seconds_between(starts, ends).to_pylist() == [3600.0] + [None] * 3


digits = st.text("0123456789", min_size=5, max_size=13)
codes = st.sampled_from([1, 7, 31, 32, 33, 34, 39, 44, 46, 49, 52, 54, 55, 61, 81, 86])


def slowly(monkeypatch):
    monkeypatch.setattr(values, "_plain_phone", lambda text, region: None)
    monkeypatch.setattr(values, "_is_plain_email", lambda text: False)


@pytest.fixture
def library(monkeypatch):
    """The value as the libraries alone make it, without our short cuts."""

    def ask(function, *arguments):
        with monkeypatch.context() as patched:
            slowly(patched)
            return function(*arguments)

    return ask


quickly = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@quickly
@given(codes | st.integers(1, 999), digits, st.sampled_from(["US", "DE", "GB"]))
def test_the_short_cut_for_phones_says_what_the_library_says(
    library, code, number, region
):
    for text in (f"+{code}{number}", number, f"+{code} ({number[:3]}) {number[3:]}"):
        quick = values.phone(text, region)
        assert quick == library(values.phone, text, region)


@quickly
@given(
    st.from_regex(r"[A-Za-z0-9._+-]{1,12}@[a-z0-9.-]{1,12}\.[a-z]{1,5}", fullmatch=True)
    | st.builds(
        "{}@{}".format,
        st.sampled_from(["ann", "a" * 64, "a" * 65, "a..b", ".a", "a."]),
        st.sampled_from(
            [
                "x.test",
                "x.local",
                "a.arpa",
                "x.invalid",
                "xn--a.org",
                "ab--c.org",
                f"{'d' * 63}.org",
                f"{'d' * 64}.org",
                "localhost",
                "x.example",
                "-a.org",
                "a-.org",
                "home.arpa",
                "x.onion",
                "x.c0m",
            ]
        ),
    )
)
def test_the_short_cut_for_emails_says_what_the_library_says(library, text):
    assert values.email(text) == library(values.email, text)
