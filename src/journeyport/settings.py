"""The settings: every JOURNEYPORT_ variable, what it is and what it must be.

They are read in `environment`; what they become (clients, the lake, the state) is
built in `deployment`. Nothing is opened here.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)
from pydantic.fields import FieldInfo

from journeyport.errors import SettingsError

PREFIX = "JOURNEYPORT_"

PER_ACCOUNT = (
    "client_id",
    "client_secret",
    "app_key",
    "username",
    "password",
    "time_zone",
    "phone_region",
)
"""Settings that a suffix such as `_ABCDEF` gives to one account alone."""

FIRST_DAY = date(2025, 1, 1)
"""The first day that can be exported where JOURNEYPORT_FIRST_DAY says nothing."""

_PLATFORM = "the administrator of your contact centre's cloud account"
_YOU = "you"
_DATA = "your data team"
_CRM = "your Salesforce administrator"


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _account(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{6}", value):
        raise ValueError("an account is exactly six letters")
    return value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it must be scheme and host, such as https://host.example.com")
    if parts.path not in {"", "/"} or parts.query or parts.username:
        raise ValueError("only scheme and host belong there, no path and no user")
    return value.rstrip("/")


def zone_name(value: str) -> str:
    """The name of a time zone; ValueError when it is none."""
    if value == "UTC":
        return value  # known without opening the zone database
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("it is no time zone; Europe/Berlin is one") from error
    return value


def _region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("it is no two-letter country; US and DE are")
    return value


def time_of_day(value: str) -> str:
    """A time of day, hours and minutes; ValueError when it is none."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError("it is no time of day; 02:30 is one")
    return value


def _instant(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("an instant needs its zone, such as 2026-03-16T06:00:00Z")
    return value.astimezone(UTC)


def _dagster_database(value: str) -> str:
    # Dagster reads a bare postgresql:// with whichever driver SQLAlchemy likes best.
    if not value.startswith("postgresql+psycopg2://"):
        raise ValueError("it must begin with postgresql+psycopg2://")
    return value


def _setting(default: Any, about: str, giver: str, example: str = "") -> Any:
    extra: dict[str, Any] = {"giver": giver, "example": example}
    return Field(default=default, description=about, json_schema_extra=extra)


Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1000)]
Share = Annotated[float, Field(gt=0, le=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Accounts = Annotated[
    tuple[Annotated[str, AfterValidator(_account)], ...], BeforeValidator(_names)
]
Origin = Annotated[str, AfterValidator(_origin)]
Zone = Annotated[str, AfterValidator(zone_name)]
Region = Annotated[str, AfterValidator(_region)]


class Settings(BaseModel):
    """Everything that can be set. Absent is allowed until it is needed: see `need`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    source_url: Origin | None = _setting(
        None,
        "Scheme and host of the Customer Journey service.",
        _PLATFORM,
        "https://region.api.example.com",
    )
    accounts: Accounts = _setting(
        (), "The accounts to export, six letters each.", _PLATFORM, "ABCDEF,GHIJKL"
    )
    client_id: str | None = _setting(
        None, "The OAuth client that reads the account.", _PLATFORM, "journeyport"
    )
    client_secret: SecretStr | None = _setting(
        None, "That client's secret.", _PLATFORM, "…"
    )
    app_key: SecretStr | None = _setting(
        None, "The application key sent with every call.", _PLATFORM, "…"
    )
    username: str | None = _setting(
        None, "A user with the role Agent, where clients need one.", _PLATFORM, "reader"
    )
    password: SecretStr | None = _setting(None, "That user's password.", _PLATFORM, "…")
    channels: Names = _setting(
        (),
        "Channels to ask for where a search by date alone is refused.",
        _PLATFORM,
        "Voice,Chat",
    )
    concurrency: Annotated[int, Field(ge=1, le=32)] = _setting(
        4, "Calls to the source at the same time.", _PLATFORM, "4"
    )
    call_budget: Count | None = _setting(
        None, "Calls to the source that one run may make; default: any.", _YOU, "20000"
    )
    call_rate: Rate | None = _setting(
        None, "Calls a second that a run begins with; default: 2.", _PLATFORM, "2"
    )
    call_ceiling: Rate | None = _setting(
        None, "Calls a second never to be exceeded; default: 10.", _PLATFORM, "10"
    )
    settle_minutes: Annotated[int, Field(ge=0, le=1440)] = _setting(
        5, "How far behind the source's clock an export stops.", _DATA, "5"
    )
    lookback_days: Annotated[int, Field(ge=0, le=90)] = _setting(
        3, "Closed days that every night walks again.", _DATA, "3"
    )
    audit_days: Annotated[int, Field(ge=0, le=366)] = _setting(
        14, "Latest closed days that every night counts again.", _DATA, "14"
    )
    audit_rotation: Count = _setting(
        30, "Nights in which every closed day is walked once.", _DATA, "30"
    )
    retention_days: Count | None = _setting(
        None,
        "How long the source keeps engagements; older days are left as they are.",
        _PLATFORM,
        "365",
    )
    tombstone_share: Share = _setting(
        0.01, "Share of engagements that one run may call deleted.", _DATA, "0.01"
    )
    purge_days: Annotated[int, Field(ge=0, le=3650)] = _setting(
        7, "Days after which a deleted engagement's documents go.", _DATA, "7"
    )
    time_zone: Zone = _setting(
        "UTC", "The account's time zone, for local dates.", _YOU, "Europe/Berlin"
    )
    phone_region: Region = _setting(
        "US", "Country of phone numbers written without one.", _YOU, "US"
    )
    home: Path = _setting(
        Path("var"), "The folder for everything kept on this machine.", _YOU, "./var"
    )
    lake_url: str | None = _setting(
        None, "The lake's folder or bucket; default: home/lake.", _DATA, "./var/lake"
    )
    state_url: str | None = _setting(
        None,
        "The state database (SQLAlchemy); default: a SQLite file in home.",
        _DATA,
        "postgresql+psycopg://user@host/journeyport",
    )
    warehouse_url: str | None = _setting(
        None,
        "The warehouse (SQLAlchemy); default: a DuckDB file in home.",
        _DATA,
        "postgresql+psycopg://user@host/warehouse",
    )
    dagster_url: Annotated[str, AfterValidator(_dagster_database)] | None = _setting(
        None,
        "Dagster's own database; default: SQLite files in home/dagster.",
        _DATA,
        "postgresql+psycopg2://user@host/dagster",
    )
    keep_runs_days: Annotated[int, Field(ge=1, le=3650)] = _setting(
        90, "Days after which the clean-up forgets a run.", _DATA, "90"
    )
    salesforce_domain: str | None = _setting(
        None, "The org's My Domain name, without https.", _CRM, "acme.my"
    )
    salesforce_client_id: str | None = _setting(
        None, "Consumer key of the connected app.", _CRM, "3MVG9…"
    )
    salesforce_client_secret: SecretStr | None = _setting(
        None, "Consumer secret, for the client-credentials sign-in.", _CRM, "…"
    )
    salesforce_username: str | None = _setting(
        None, "The integration user, for the JWT sign-in.", _CRM, "jp@acme.example"
    )
    salesforce_private_key_file: Path | None = _setting(
        None, "The private key (PEM file), for the JWT sign-in.", _CRM, "./key.pem"
    )
    salesforce_audience: Literal["login", "test"] = _setting(
        "login", "login for production, test for a sandbox (JWT).", _CRM, "login"
    )
    salesforce_base_url: Origin | None = _setting(
        None,
        "Another address that answers for the org, such as a local sandbox.",
        _CRM,
        "http://127.0.0.1:8400",
    )
    salesforce_mapping: Path | None = _setting(
        None, "A mapping (YAML) instead of the packaged one.", _CRM, "./salesforce.yaml"
    )
    salesforce_max_records: Count = _setting(
        50_000, "Records that one plan may write at most.", _CRM, "50000"
    )
    salesforce_max_calls: Count = _setting(
        5_000, "API calls that one plan may need at most.", _CRM, "5000"
    )
    salesforce_calls_share: Share = _setting(
        0.5, "Share of the day's remaining API calls a plan may use.", _CRM, "0.5"
    )
    salesforce_storage_share: Share = _setting(
        0.9, "How full the org's data storage may be afterwards.", _CRM, "0.9"
    )
    salesforce_blanked_share: Share = _setting(
        0.1, "Share of a plan's changes that may blank a field.", _CRM, "0.1"
    )
    salesforce_rejects_share: Share = _setting(
        0.1, "Share of rejected records from which a run ends red.", _CRM, "0.1"
    )
    identity_rules: Path | None = _setting(
        None, "Identity rules (YAML) instead of the packaged ones.", _DATA, "./id.yaml"
    )
    field_policy: Path | None = _setting(
        None, "A field policy (YAML) instead of the packaged one.", _DATA, "./keep.yaml"
    )
    policy_key: SecretStr | None = _setting(
        None, "The key under which the field policy hashes values.", _DATA, "…"
    )
    data_keys: Names = _setting(
        (), "Keys of an engagement's data that may be stored.", _DATA, "orderNumber"
    )
    shrink_limit: Share = _setting(
        0.5, "Share of a day's rows that may vanish unasked.", _DATA, "0.5"
    )
    first_day: date | None = _setting(
        None,
        "The first day that can be exported, and where the first night begins.",
        _DATA,
        "2026-01-01",
    )
    nightly_at: Annotated[str, AfterValidator(time_of_day)] = _setting(
        "02:30", "When the nightly schedule starts.", _YOU, "02:30"
    )
    nightly_zone: Zone = _setting(
        "UTC", "The time zone of that time.", _YOU, "Europe/Berlin"
    )
    user_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]*$")] = _setting(
        "",
        "The header in which a proxy in front of the UI names the user.",
        _DATA,
        "X-Forwarded-User",
    )
    alert_slack_url: SecretStr | None = _setting(
        None, "A Slack webhook that gets the alerts.", _YOU, "…"
    )
    alert_smtp_host: str | None = _setting(
        None, "The mail server that sends the alerts.", _YOU, "mail.example.com"
    )
    alert_smtp_port: Annotated[int, Field(ge=1, le=65535)] = _setting(
        587, "The mail server's port.", _YOU, "587"
    )
    alert_smtp_security: Literal["starttls", "tls", "none"] = _setting(
        "starttls", "How mail is kept from listeners.", _YOU, "starttls"
    )
    alert_smtp_user: str | None = _setting(
        None, "Who signs in at the mail server; default: nobody.", _YOU, "journeyport"
    )
    alert_smtp_password: SecretStr | None = _setting(
        None, "That user's password.", _YOU, "…"
    )
    alert_mail_from: str | None = _setting(
        None, "The address that alerts come from.", _YOU, "journeyport@example.com"
    )
    alert_mail_to: Names = _setting(
        (), "The addresses that alerts go to.", _YOU, "data-team@example.com"
    )
    alert_stale_hours: Annotated[float, Field(gt=0, le=8760)] = _setting(
        30.0, "Hours after which data that is not renewed is stale.", _DATA, "30"
    )
    alert_heartbeat_url: SecretStr | None = _setting(
        None, "An address called after each delivered night.", _YOU, "…"
    )
    clock: Annotated[datetime, AfterValidator(_instant)] | None = _setting(
        None, "An instant to take for the present, in rehearsals only.", _YOU, ""
    )
    loopback_only: bool = _setting(
        False, "Refuse every address that is not this machine's own.", _YOU, "false"
    )
    env_file: str = _setting(
        ".env", "The file read beside the environment; - for none.", _YOU, ".env"
    )
    per_account: dict[str, Any] = Field(default_factory=dict, exclude=True)
    warnings: tuple[str, ...] = Field(default=(), exclude=True)

    def need(self, name: str, account: str | None = None) -> Any:
        """The value of a setting that cannot be done without.

        Raises:
            SettingsError: it is missing; the sentence says who can give it.
        """
        value = self.of(name, account)
        if value is None or value == ():
            raise SettingsError(_missing(name, account))
        return value

    def of(self, name: str, account: str | None = None) -> Any:
        """A setting's value: the account's own where it has one, else the common."""
        own = self.per_account.get(f"{name}_{account.upper()}") if account else None
        return getattr(self, name) if own is None else own


def secret(value: SecretStr | None) -> str | None:
    """The text of a secret, to be handed to the one who needs it."""
    return None if value is None else value.get_secret_value()


def described() -> Iterator[tuple[str, FieldInfo]]:
    """The settings a person can make, in reading order."""
    for name, field in Settings.model_fields.items():
        if field.description is not None:
            yield name, field


def hints(field: FieldInfo) -> tuple[str, str]:
    """Who can give a setting, and an example of it."""
    extra = field.json_schema_extra
    told: Mapping[str, Any] = extra if isinstance(extra, dict) else {}
    return str(told.get("giver", _YOU)), str(told.get("example", ""))


def is_secret(name: str) -> bool:
    """The setting is a secret: it may come from a file, and is never shown."""
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def _missing(name: str, account: str | None) -> str:
    field = Settings.model_fields[name]
    giver, _sample = hints(field)
    variable = f"{PREFIX}{name.upper()}"
    own = f" (or {variable}_{account} for that account alone)" if account else ""
    about = (field.description or "").rstrip(".")
    return (
        f"{variable} is missing: set it{own} in the environment or in .env; it is "
        f"{about[:1].lower()}{about[1:]}, known to {giver}."
    )
