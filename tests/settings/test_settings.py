"""The settings: what is read, what wins, and the one sentence when it is wrong."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from journeyport import environment
from journeyport.crm.config import Guards
from journeyport.deployment import Deployment
from journeyport.errors import SettingsError
from journeyport.extract.report import ExtractOptions
from journeyport.settings import FIRST_DAY, Settings, described, is_secret, secret

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(**values):
    return environment.read({f"JOURNEYPORT_{k}": v for k, v in values.items()})


def test_nothing_set_is_no_error_until_it_is_needed():
    settings = read()
    with pytest.raises(SettingsError, match="JOURNEYPORT_SOURCE_URL is missing: set"):
        settings.need("source_url")


def test_a_missing_setting_names_the_account_and_who_can_give_it():
    with pytest.raises(SettingsError) as caught:
        read(ACCOUNTS="ABCDEF").need("app_key", "ABCDEF")
    sentence = str(caught.value)
    assert "JOURNEYPORT_APP_KEY_ABCDEF" in sentence
    assert "administrator of your contact centre" in sentence
    assert sentence.count(". ") == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOURCE_URL", "ftp://host"),
        ("SOURCE_URL", "https://host/api"),
        ("SOURCE_URL", "https://user:word@host"),
        ("ACCOUNTS", "ABCDEFG"),
        ("ACCOUNTS", "ABC-EF"),
        ("LOOKBACK_DAYS", "-1"),
        ("LOOKBACK_DAYS", "three"),
        ("SETTLE_MINUTES", "99999"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("TIME_ZONE_ABCDEF", "Mars/Olympus"),
        ("PHONE_REGION", "XX"),
        ("NIGHTLY_AT", "25:00"),
        ("CALL_BUDGET", "0"),
        ("CALL_RATE", "fast"),
        ("TOMBSTONE_SHARE", "1.5"),
        ("AUDIT_ROTATION", "0"),
        ("SALESFORCE_MAX_RECORDS", "-5"),
        ("CLOCK", "2026-03-16T06:00:00"),
        ("FIRST_DAY", "yesterday"),
        ("SALESFORCE_BASE_URL", "localhost:80"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(name, value):
    with pytest.raises(SettingsError) as caught:
        read(**{name: value})
    sentence = str(caught.value)
    assert sentence.startswith(f"JOURNEYPORT_{name} is wrong: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_wrong_value_is_not_repeated_in_the_sentence():
    with pytest.raises(SettingsError) as caught:
        read(SOURCE_URL="https://reader:hunter2@host.example.com")
    assert "hunter2" not in str(caught.value)


def test_the_environment_wins_over_the_file(tmp_path):
    Path(".env").write_text("JOURNEYPORT_LOOKBACK_DAYS=9\nJOURNEYPORT_CHANNELS=Voice\n")
    settings = read(LOOKBACK_DAYS="5")
    assert (settings.lookback_days, settings.channels) == (5, ("Voice",))


def test_the_file_can_be_left_unread():
    Path(".env").write_text("JOURNEYPORT_LOOKBACK_DAYS=9\n")
    assert read(ENV_FILE="-").lookback_days == 3


def test_an_empty_value_counts_as_absent():
    assert read(SOURCE_URL="", LAKE_URL="  ").source_url is None


def test_an_account_has_its_own_values_and_else_the_common_ones():
    settings = read(
        ACCOUNTS="ABCDEF, GHIJKL",
        APP_KEY="common",
        APP_KEY_ABCDEF="own",
        TIME_ZONE_GHIJKL="Europe/Berlin",
    )
    assert secret(settings.of("app_key", "ABCDEF")) == "own"
    assert secret(settings.of("app_key", "GHIJKL")) == "common"
    assert settings.of("time_zone", "GHIJKL") == "Europe/Berlin"
    assert settings.of("time_zone", "ABCDEF") == "UTC"
    assert settings.warnings == ()


@pytest.mark.parametrize(
    "name", [name for name, _field in described() if is_secret(name)]
)
def test_every_secret_can_come_from_a_file(name, tmp_path):
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    settings = read(**{f"{name.upper()}_FILE": str(file)})
    assert secret(getattr(settings, name)) == "s3cret"


def test_a_secret_of_one_account_can_come_from_a_file(tmp_path):
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    settings = read(ACCOUNTS="ABCDEF", CLIENT_SECRET_ABCDEF_FILE=str(file))
    assert secret(settings.of("client_secret", "ABCDEF")) == "s3cret"


def test_a_secret_given_twice_is_refused(tmp_path):
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    with pytest.raises(SettingsError, match="are both set"):
        read(APP_KEY="a", APP_KEY_FILE=str(file))


def test_an_unreadable_secret_file_is_one_sentence():
    with pytest.raises(SettingsError, match="JOURNEYPORT_APP_KEY_FILE names a file"):
        read(APP_KEY_FILE="/nowhere/at/all")


def test_no_secret_is_shown_when_settings_are_printed():
    settings = read(ACCOUNTS="ABCDEF", APP_KEY="hush-1", CLIENT_SECRET_ABCDEF="hush-2")
    assert "hush" not in repr(settings)
    assert "hush" not in str(settings)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("SOURCE_URI", "SOURCE_URL"),
        ("LOOKBACK_DAY", "LOOKBACK_DAYS"),
        ("CLIENT_SECRT_FILE", "CLIENT_SECRET_FILE"),
        ("APPKEY_ABCDEF", "APP_KEY_ABCDEF"),
    ],
)
def test_a_misspelt_variable_is_pointed_out(wrong, right):
    (warning,) = read(ACCOUNTS="ABCDEF", **{wrong: "x"}).warnings
    assert f"JOURNEYPORT_{wrong} is not a setting" in warning
    assert warning.endswith(f"did you mean JOURNEYPORT_{right}?")


def test_a_value_for_an_account_that_is_not_exported_is_pointed_out():
    (warning,) = read(ACCOUNTS="ABCDEF", APP_KEY_ZZZZZZ="x").warnings
    assert "does not name ZZZZZZ" in warning


def test_the_example_file_lists_every_setting_and_is_the_committed_one():
    text = environment.example()
    for name in Settings.model_fields:
        if name not in {"per_account", "warnings"}:
            assert f"# JOURNEYPORT_{name.upper()}=" in text
    assert (ROOT / ".env.example").read_text() == text


def test_the_first_day_is_read_without_opening_a_file():
    assert environment.first_day({}) == FIRST_DAY
    named = {"JOURNEYPORT_FIRST_DAY": "2024-02-29"}
    assert environment.first_day(named) == date(2024, 2, 29)


def test_a_rehearsal_s_day_is_read_without_opening_a_file():
    assert environment.set_day({}) is None
    assert environment.set_day({"JOURNEYPORT_CLOCK": "soon"}) is None
    named = {"JOURNEYPORT_CLOCK": "2026-03-16T23:30:00-05:00"}
    assert environment.set_day(named) == date(2026, 3, 17)


def test_the_home_is_made_for_its_owner_only(tmp_path):
    deployment = Deployment(lambda: read(HOME=str(tmp_path / "home")))
    assert deployment.home.stat().st_mode & 0o777 == 0o700


def test_a_set_clock_stands_where_it_was_set():
    deployment = Deployment(lambda: read(CLOCK="2026-03-16T07:00:00+01:00"))
    assert deployment.clock.now() == datetime(2026, 3, 16, 6, tzinfo=UTC)


def test_a_target_that_is_not_used_needs_no_settings(tmp_path):
    deployment = Deployment(lambda: read(HOME=str(tmp_path)))
    assert deployment.crm is None
    assert deployment.warehouse_url.startswith("duckdb:///")


def test_half_a_salesforce_sign_in_names_the_missing_half(tmp_path):
    deployment = Deployment(
        lambda: read(HOME=str(tmp_path), SALESFORCE_DOMAIN="acme.my")
    )
    with pytest.raises(SettingsError, match="JOURNEYPORT_SALESFORCE_CLIENT_ID is miss"):
        _ = deployment.crm


SOURCE = {
    "SOURCE_URL": "http://127.0.0.1:9",
    "ACCOUNTS": "ABCDEF",
    "CLIENT_ID": "reader",
    "CLIENT_SECRET": "word",
    "APP_KEY": "key",
}


def test_how_often_the_source_is_asked_can_be_set():
    asked = {"CALL_BUDGET": "900", "CALL_RATE": "1.5", "CALL_CEILING": "4"}
    with Deployment(lambda: read(**SOURCE, **asked)).source as source:
        config = source.config
        assert (config.budget, config.rate, config.ceiling) == (900, 1.5, 4)
        assert (source.tally.left, source.pace.rate) == (900, 1.5)


def test_a_low_ceiling_holds_from_the_first_call():
    with Deployment(lambda: read(**SOURCE, CALL_CEILING="0.5")).source as source:
        assert source.pace.rate == 0.5


def test_a_rate_above_its_ceiling_is_refused():
    asked = {"CALL_RATE": "8", "CALL_CEILING": "4"}
    with pytest.raises(SettingsError, match="CALL_RATE is above JOURNEYPORT_CALL_CEIL"):
        _ = Deployment(lambda: read(**SOURCE, **asked)).source


def test_audit_retention_and_deletion_can_be_set():
    options = Deployment(
        lambda: read(
            AUDIT_DAYS="3",
            AUDIT_ROTATION="9",
            RETENTION_DAYS="400",
            TOMBSTONE_SHARE="0.05",
            PURGE_DAYS="2",
        )
    ).options
    assert (options.audit_days, options.rotation) == (3, 9)
    assert (options.retention_days, options.tombstone_share) == (400, 0.05)
    assert options.purge_after == timedelta(days=2)


def test_the_guards_of_the_crm_can_be_set(tmp_path):
    org = {"DOMAIN": "acme.my", "CLIENT_ID": "key", "CLIENT_SECRET": "word"}
    guards = {
        "MAX_RECORDS": "10",
        "MAX_CALLS": "20",
        "CALLS_SHARE": "0.2",
        "STORAGE_SHARE": "0.3",
        "BLANKED_SHARE": "0.4",
        "REJECTS_SHARE": "0.6",
    }
    named = {f"SALESFORCE_{name}": value for name, value in (org | guards).items()}
    crm = Deployment(lambda: read(HOME=str(tmp_path), **named)).crm
    assert crm.guards == Guards(10, 20, 0.2, 0.3, 0.4, 0.6)


def test_what_is_not_set_is_as_the_parts_themselves_have_it(tmp_path):
    org = {"DOMAIN": "acme.my", "CLIENT_ID": "key", "CLIENT_SECRET": "word"}
    named = {f"SALESFORCE_{name}": value for name, value in org.items()}
    plain = Deployment(lambda: read(HOME=str(tmp_path), **named))
    assert plain.crm.guards == Guards()
    for name in ("rotation", "audit_days", "tombstone_share", "purge_after"):
        assert getattr(plain.options, name) == getattr(ExtractOptions(), name)
