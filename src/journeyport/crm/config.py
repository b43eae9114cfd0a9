"""What the CRM delivery is told: how to sign in, where plans lie, what stops a run.

Where these values come from (variables, files) is none of its business.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from journeyport.errors import SettingsError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Login:
    """How to sign in: by client credentials, or by JWT when a key file is given.

    Attributes:
        domain: the org's My Domain label, `acme.my` or `acme--test.sandbox.my`.
        consumer_key: of the connected (external client) app.
        consumer_secret: for client credentials.
        username: for JWT, the integration user.
        private_key_file: for JWT, the PEM file whose certificate the app holds.
        audience: for JWT, `login` for production and `test` for sandboxes.
    """

    domain: str
    consumer_key: str
    consumer_secret: str = field(default="", repr=False)
    username: str = ""
    private_key_file: str = ""
    audience: str = "login"

    def __post_init__(self) -> None:
        """Refuse a login that cannot work, before anything is sent."""
        if not self.domain or self.domain in {"login", "test"}:
            raise SettingsError(
                "The Salesforce domain must be the org's My Domain label (acme.my); "
                "Setup > My Domain shows it."
            )
        if not self.consumer_key:
            raise SettingsError(
                "The Salesforce consumer key is missing; the connected app's "
                "Manage Consumer Details page shows it."
            )
        if not self.consumer_secret and not (self.username and self.private_key_file):
            raise SettingsError(
                "The Salesforce sign-in needs a consumer secret (client credentials) "
                "or a username and a private key file (JWT)."
            )


@dataclass(frozen=True)
class Guards:
    """What stops a run before its first write.

    Attributes:
        records: most records one plan may write.
        calls: most API calls one plan may need.
        calls_share: most of the day's remaining calls one plan may use, 0 to 1.
        storage_share: how full the org's data storage may be afterwards, 0 to 1.
        blanked_share: most of a plan's field changes that may blank a field, 0 to 1.
        rejects_share: rejected records above this share make the run red, 0 to 1.
    """

    records: int = 50_000
    calls: int = 5_000
    calls_share: float = 0.5
    storage_share: float = 0.9
    blanked_share: float = 0.1
    rejects_share: float = 0.1


@dataclass(frozen=True)
class CrmConfig:
    """Everything the CRM delivery is told.

    Attributes:
        login: how to sign in.
        plan_dir: the folder of the plan files; made with mode 0700.
        base_url: sends every call there instead of to Salesforce; plain http only to
            loopback. Empty: the real org.
        api_version: of the REST API, without a leading v.
        mapping_path: a mapping of one's own; None: the packaged one.
        guards: what stops a run before its first write.
        plan_life: how long a plan may be applied.
        plan_keep: how long a plan's file is kept, so that it can be undone.
        first_records: how many records the first apply in an org writes.
        bulk_from: loads of an object from this many records on go by Bulk 2.0.
        first_rest: how long a rejected record rests before its next try; doubled with
            each further refusal, up to `longest_rest`.
        longest_rest: see `first_rest`.
        timeout: of one HTTP call, in seconds.
        retry_pause: before the first further try of a call that failed on its way, in
            seconds; it doubles each time.
        poll: the pause before the second look at a Bulk job, in seconds; it grows to
            ten times that.
        job_patience: how long a Bulk job is waited for, in seconds; after that the same
            plan takes it up again.
        lock_pauses: the pauses before each further try of a locked row, in seconds.
        undo_deletes: whether undo may delete records which that apply created, where
            the org's rights allow it; never Contacts or Accounts.
    """

    login: Login
    plan_dir: Path
    base_url: str = ""
    api_version: str = "62.0"
    mapping_path: Path | None = None
    guards: Guards = Guards()
    plan_life: timedelta = timedelta(hours=24)
    plan_keep: timedelta = timedelta(days=30)
    first_records: int = 25
    bulk_from: int = 2_000
    first_rest: timedelta = timedelta(hours=12)
    longest_rest: timedelta = timedelta(days=8)
    timeout: float = 60.0
    retry_pause: float = 0.2
    poll: float = 2.0
    job_patience: float = 3_600.0
    lock_pauses: tuple[float, ...] = (1.0, 3.0, 10.0)
    undo_deletes: bool = True

    def __post_init__(self) -> None:
        """Refuse an address that would carry secrets in the clear."""
        if not self.base_url:
            return
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError(
                "The Salesforce base URL must be http(s)://host:port; leave it empty "
                "for a real org."
            )
        if parts.scheme == "http" and not self.is_local:
            raise SettingsError(
                "The Salesforce base URL is plain http off this machine; use https, "
                "or a loopback address."
            )

    @property
    def is_local(self) -> bool:
        """Whether the base URL is this machine's own."""
        return urlsplit(self.base_url).hostname in LOOPBACK
