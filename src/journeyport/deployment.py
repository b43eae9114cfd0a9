"""From settings to the plain objects that the work is done with.

Everything is made when it is first asked for, so that a command needs the settings of
what it uses and no others. Nothing here does the work.
"""

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from journeyport import environment, loopback
from journeyport.clock import Clock, SetClock, SystemClock
from journeyport.errors import ArgumentError, SettingsError
from journeyport.settings import PREFIX, Settings, secret

if TYPE_CHECKING:
    from journeyport.alerts.channels import Alerting
    from journeyport.client import AccountAccess, SourceClient
    from journeyport.crm.config import CrmConfig
    from journeyport.extract.report import ExtractOptions
    from journeyport.identity.config import IdentityConfig
    from journeyport.lake import Lake
    from journeyport.night import Run
    from journeyport.normalise import AccountRules
    from journeyport.state import State
    from journeyport.state.receipts import Actor

_SALESFORCE = (
    "salesforce_domain",
    "salesforce_client_id",
    "salesforce_client_secret",
    "salesforce_username",
    "salesforce_private_key_file",
)


class Deployment:
    """One installation of journeyport, as its settings describe it.

    Args:
        read: gives the settings; called once, when one of them is first wanted.
    """

    def __init__(self, read: Callable[[], Settings]) -> None:
        self._read = read

    @cached_property
    def settings(self) -> Settings:
        """The settings; a rehearsal's are checked to stay on this machine.

        Raises:
            SettingsError: one is wrong.
        """
        settings = self._read()
        if settings.loopback_only:
            for name in (
                "source_url",
                "lake_url",
                "state_url",
                "warehouse_url",
                "salesforce_base_url",
            ):
                loopback.require(getattr(settings, name), f"{PREFIX}{name.upper()}")
            for name in ("alert_slack_url", "alert_heartbeat_url"):
                address = secret(getattr(settings, name))
                loopback.require(address, f"{PREFIX}{name.upper()}")
            if settings.alert_smtp_host:
                host = f"smtp://{settings.alert_smtp_host}"
                loopback.require(host, f"{PREFIX}ALERT_SMTP_HOST")
            loopback.refuse_others()
        return settings

    @cached_property
    def home(self) -> Path:
        """The folder of everything kept on this machine; made, for its owner only."""
        home = self.settings.home.absolute()
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SettingsError(
                f"The folder {home} of JOURNEYPORT_HOME cannot be made "
                f"({error.strerror}); name one that this user may write to."
            ) from None
        return home

    @cached_property
    def clock(self) -> Clock:
        """The computer's clock, or the set one of a rehearsal."""
        instant = self.settings.clock
        return SystemClock() if instant is None else SetClock(instant)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts to work on.

        Raises:
            SettingsError: none are named.
        """
        accounts: tuple[str, ...] = self.settings.need("accounts")
        return accounts

    def account(self, named: str | None) -> str:
        """The account that somebody named; unnamed, the only one there is.

        Raises:
            ArgumentError: it is none of ours, or there are several to choose from.
        """
        accounts = self.accounts
        if named is None and len(accounts) == 1:
            return accounts[0]
        for account in accounts:
            if named is not None and named.upper() == account.upper():
                return account
        wrong = "" if named is None else f"{named} is not in JOURNEYPORT_ACCOUNTS. "
        raise ArgumentError(
            f"{wrong}Name one of your accounts (--account in a command): "
            f"{', '.join(accounts)}."
        )

    @cached_property
    def lake(self) -> "Lake":
        """The lake."""
        from journeyport.lake import Lake

        return Lake(self.settings.lake_url or str(self.home / "lake"))

    @cached_property
    def state(self) -> "State":
        """The state."""
        from journeyport.state import State

        return State(self.settings.state_url or f"sqlite:///{self.home / 'state.db'}")

    @cached_property
    def warehouse_url(self) -> str:
        """The warehouse's SQLAlchemy URL."""
        default = f"duckdb:///{self.home / 'warehouse.duckdb'}"
        return self.settings.warehouse_url or default

    @cached_property
    def source(self) -> "SourceClient":
        """The source, signed in to lazily.

        Raises:
            SettingsError: a setting of the source is missing.
        """
        from journeyport.client import SourceClient, SourceConfig
        from journeyport.pacing import START

        settings = self.settings
        rate, ceiling = settings.call_rate, settings.call_ceiling
        if ceiling is not None:
            rate = min(START, ceiling) if rate is None else rate
            if rate > ceiling:
                raise SettingsError(
                    "JOURNEYPORT_CALL_RATE is above JOURNEYPORT_CALL_CEILING; lower "
                    "the one or raise the other."
                )
        config = SourceConfig(
            base_url=settings.need("source_url"),
            accounts=tuple(self._access(account) for account in self.accounts),
            concurrency=settings.concurrency,
            rate=rate,
            ceiling=ceiling,
            budget=settings.call_budget,
        )
        return SourceClient(config, self.clock)

    def _access(self, account: str) -> "AccountAccess":
        from journeyport.client import AccountAccess

        settings = self.settings
        return AccountAccess(
            account_id=account,
            client_id=settings.need("client_id", account),
            client_secret=secret(settings.need("client_secret", account)) or "",
            app_key=secret(settings.need("app_key", account)) or "",
            username=settings.of("username", account),
            password=secret(settings.of("password", account)),
        )

    @cached_property
    def options(self) -> "ExtractOptions":
        """How to extract."""
        from journeyport.extract.policy import load_policy
        from journeyport.extract.report import ExtractOptions

        settings = self.settings
        return ExtractOptions(
            settle=timedelta(minutes=settings.settle_minutes),
            concurrency=settings.concurrency,
            channels=settings.channels,
            policy=load_policy(
                settings.field_policy,
                key=(secret(settings.policy_key) or "").encode(),
                data_keys=settings.data_keys,
            ),
            lookback_days=settings.lookback_days,
            first_day=settings.first_day,
            retention_days=settings.retention_days,
            audit_days=settings.audit_days,
            rotation=settings.audit_rotation,
            tombstone_share=settings.tombstone_share,
            purge_after=timedelta(days=settings.purge_days),
        )

    @cached_property
    def rules(self) -> "tuple[AccountRules, ...]":
        """How each account's documents are read."""
        from journeyport.normalise import AccountRules

        of = self.settings.of
        return tuple(
            AccountRules(account, of("phone_region", account), of("time_zone", account))
            for account in self.accounts
        )

    @cached_property
    def identity(self) -> "IdentityConfig":
        """The identity rules: the packaged ones or one's own."""
        from journeyport.identity.config import load_config

        return load_config(self.settings.identity_rules)

    @property
    def rule_hashes(self) -> dict[tuple[str, str | None], str]:
        """The rules a run goes by: the hash of each set, by name and account."""
        found: dict[tuple[str, str | None], str] = {
            ("identity rules", account): self.identity.fingerprint(account)
            for account in self.accounts
        }
        found["field policy", None] = self.options.policy.hash
        return found

    @cached_property
    def crm(self) -> "CrmConfig | None":
        """The CRM delivery; None where no setting of Salesforce is made.

        Raises:
            SettingsError: some are made and others are missing.
        """
        from journeyport.crm.config import CrmConfig, Guards, Login

        settings = self.settings
        if all(getattr(settings, name) is None for name in _SALESFORCE):
            return None
        login = Login(
            domain=settings.need("salesforce_domain"),
            consumer_key=settings.need("salesforce_client_id"),
            consumer_secret=secret(settings.salesforce_client_secret) or "",
            username=settings.salesforce_username or "",
            private_key_file=str(settings.salesforce_private_key_file or ""),
            audience=settings.salesforce_audience,
        )
        return CrmConfig(
            login,
            plan_dir=self.home / "plans",
            base_url=settings.salesforce_base_url or "",
            mapping_path=settings.salesforce_mapping,
            guards=Guards(
                records=settings.salesforce_max_records,
                calls=settings.salesforce_max_calls,
                calls_share=settings.salesforce_calls_share,
                storage_share=settings.salesforce_storage_share,
                blanked_share=settings.salesforce_blanked_share,
                rejects_share=settings.salesforce_rejects_share,
            ),
        )

    def work(self, actor: "Actor", run_id: str = "") -> "Run":
        """What the steps of one piece of work share; it has an id of its own.

        Args:
            actor: who does it.
            run_id: the id of a run that there is already.
        """
        from journeyport.night import Run

        name = run_id or f"cli-{uuid.uuid4().hex[:12]}"
        return Run(self.lake, self.state, self.clock, name, actor=actor)

    @cached_property
    def alerting(self) -> "Alerting":
        """Where alerts go.

        Raises:
            SettingsError: a mail server is named without addresses, or would be told
                a password that others can read.
        """
        from journeyport.alerts.channels import Alerting, Mail

        settings = self.settings
        mail = None
        if settings.alert_smtp_host:
            mail = Mail(
                host=settings.alert_smtp_host,
                port=settings.alert_smtp_port,
                security=settings.alert_smtp_security,
                user=settings.alert_smtp_user or "",
                password=secret(settings.alert_smtp_password) or "",
                sender=settings.need("alert_mail_from"),
                recipients=settings.need("alert_mail_to"),
            )
            in_clear = mail.security == "none" and not loopback.is_loopback(mail.host)
            if in_clear and mail.user:
                raise SettingsError(
                    "JOURNEYPORT_ALERT_SMTP_SECURITY is none, and a password would be "
                    "sent in the clear; set it to starttls or tls."
                )
        return Alerting(
            stale_after=timedelta(hours=settings.alert_stale_hours),
            slack_url=secret(settings.alert_slack_url) or "",
            mail=mail,
            heartbeat_url=secret(settings.alert_heartbeat_url) or "",
        )

    def close(self) -> None:
        """Give back what was opened."""
        opened = vars(self)
        for name in ("source", "state"):
            if name in opened:
                opened.pop(name).close()


def here() -> Deployment:
    """The installation that the environment and `.env` describe."""
    return Deployment(environment.read)
