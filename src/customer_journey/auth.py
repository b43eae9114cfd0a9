"""Who asks: app keys, the three grants, signed tokens, roles.

Secrets are made at random when an account is made, unless they are given, and are kept
in the database so that a restart changes nothing. What a role may do is said by the
operation, in operations.py.
"""

import hmac
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import sqlalchemy as sa

from customer_journey import models
from customer_journey.clock import Clock
from customer_journey.instants import SECOND
from customer_journey.problems import Problem
from customer_journey.store import Store

AGENT = "Agent"
ADMINISTRATOR = "Account Administrator"
TOKEN_SECONDS = 900
REFRESH_SECONDS = 8 * 3600
#: What an account collects before its administrators add to it: name and strength.
TYPES = {
    "phoneNumbers": ("Phone numbers", "WEAK"),
    "emailAddresses": ("E-mail addresses", "STRONG"),
    "accountIds": ("Account ids", "VERY_STRONG"),
    "facebookIds": ("Facebook ids", "STRONG"),
    "whatsappIds": ("WhatsApp ids", "STRONG"),
    "instagramIds": ("Instagram ids", "STRONG"),
}


@dataclass(frozen=True)
class Given:
    """Credentials somebody chose for an account; what is absent is made at random."""

    client_id: str | None = None
    client_secret: str | None = None
    app_key: str | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token speaks for."""

    account: str
    subject: str
    name: str
    roles: frozenset[str] = field(default_factory=frozenset)


def ensure_account(store: Store, account: str, given: Given) -> None:
    """Make the account unless it is there; given credentials replace kept ones."""
    with store.write() as connection:
        known = connection.execute(
            sa.select(models.accounts).where(models.accounts.c.account_id == account)
        ).first()
        if known is None:
            _make_account(connection, account)
        if given.app_key:
            connection.execute(
                sa.update(models.accounts)
                .where(models.accounts.c.account_id == account)
                .values(app_key=given.app_key)
            )
        chosen = {
            name: value
            for name in ("client_id", "client_secret")
            if (value := getattr(given, name))
        }
        if chosen:
            connection.execute(
                sa.update(models.clients)
                .where(
                    models.clients.c.account_id == account,
                    models.clients.c.label == "exporter",
                )
                .values(**chosen)
            )


def _make_account(connection: sa.Connection, account: str) -> None:
    position = connection.execute(
        sa.select(sa.func.count()).select_from(models.accounts)
    ).scalar_one()
    connection.execute(
        sa.insert(models.accounts).values(
            account_id=account, app_key=secrets.token_urlsafe(18), position=position
        )
    )
    both = f"{AGENT},{ADMINISTRATOR}"
    for label, roles in (
        ("exporter", both),
        ("agent", AGENT),
        ("administrator", ADMINISTRATOR),
    ):
        connection.execute(
            sa.insert(models.clients).values(
                account_id=account,
                client_id=f"{account.lower()}-{label}",
                client_secret=secrets.token_urlsafe(24),
                roles=roles,
                label=label,
            )
        )
        if label != "exporter":
            connection.execute(
                sa.insert(models.users).values(
                    account_id=account,
                    username=label,
                    password=secrets.token_urlsafe(18),
                    roles=roles,
                )
            )
    for place, (name, (display, strength)) in enumerate(TYPES.items()):
        connection.execute(
            sa.insert(models.identifier_types).values(
                account_id=account,
                name=name,
                identifier_id=type_id(account, name),
                display_name=display,
                strength=strength,
                position=place,
            )
        )


def type_id(account: str, name: str) -> str:
    """The id of a type that every account starts with: the same on every machine."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"customer-journey:{account}:{name}"))


def announced(
    store: Store, chosen: dict[str, Given], *, again: bool
) -> dict[str, dict[str, Any]]:
    """Every account, for the line that ``serve`` prints; its secrets once.

    A secret that somebody chose is never told, one made at random at the first start
    and when asked for `again`; an account made later is told at its own first start.
    """
    found = {}
    for account, kept in credentials(store).items():
        name = f"told {account}"
        told = store.setting(name) is not None
        known = {"client_id": kept["client_id"]} if told and not again else kept
        if not told:
            store.set_setting(name, "yes")
        given = chosen.get(account, Given())
        for key in ("client_secret", "app_key"):
            if getattr(given, key):
                known.pop(key, None)
        found[account] = known
    return found


def credentials(store: Store) -> dict[str, dict[str, Any]]:
    """Every account's credentials as they are kept."""
    found: dict[str, dict[str, Any]] = {}
    for account in store.reader.execute(
        sa.select(models.accounts).order_by(models.accounts.c.position)
    ).all():
        found[account.account_id] = {"app_key": account.app_key, "users": {}}
    for client in store.reader.execute(sa.select(models.clients)).all():
        pair = {"client_id": client.client_id, "client_secret": client.client_secret}
        if client.label == "exporter":
            found[client.account_id].update(pair)
        else:
            found[client.account_id][f"{client.label}_client"] = pair
    for user in store.reader.execute(sa.select(models.users)).all():
        found[user.account_id]["users"][user.username] = user.password
    return found


class Access:
    """Signs tokens and reads them back.

    Args:
        store: keeps credentials and the signing secret.
        clock: by which tokens expire.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        secret = store.setting("signing_secret")
        if secret is None:
            secret = secrets.token_urlsafe(48)
            store.set_setting("signing_secret", secret)
        self._secret = secret
        self._app_keys: dict[str, str] = {}
        self._read: dict[str, dict[str, Any]] = {}

    def check_app_key(self, given: str | None, account: str | None = None) -> None:
        """Refuse a missing app key, or one that is not the account's."""
        if not given:
            raise Problem(401, "The appkey header is missing.")
        if not self._app_keys:
            query = sa.select(models.accounts.c.account_id, models.accounts.c.app_key)
            self._app_keys = {
                row.account_id: row.app_key
                for row in self._store.reader.execute(query).all()
            }
        known = (
            [self._app_keys[account]]
            if account in self._app_keys
            else list(self._app_keys.values())
        )
        if not any(_same(given, key) for key in known):
            raise Problem(401, "The appkey header holds an unknown app key.")

    def grant(self, account: str, form: Mapping[str, str]) -> dict[str, Any]:
        """The token endpoint's answer to a form, or a refusal."""
        client = self._client(account, form)
        grant = form.get("grant_type", "")
        if grant == "client_credentials":
            return self._issue(account, client.client_id, client.label, client.roles)
        if grant == "password":
            user = self._user(account, form)
            return self._issue(account, user.username, user.username, user.roles)
        if grant == "refresh_token":
            claims = self._claims(form.get("refresh_token", ""), "refresh")
            if claims["accountId"] != account:
                raise Problem(401, "The refresh token belongs to another account.")
            roles = ",".join(claims["roles"])
            return self._issue(account, claims["sub"], claims["name"], roles)
        raise Problem(
            400,
            "The grant type is not supported.",
            [
                {
                    "field": "grant_type",
                    "message": "must be client_credentials, password or refresh_token",
                    "code": 1003,
                }
            ],
        )

    def _client(self, account: str, form: Mapping[str, str]) -> Any:
        query = sa.select(models.clients).where(
            models.clients.c.account_id == account,
            models.clients.c.client_id == form.get("client_id", ""),
        )
        client = self._store.reader.execute(query).first()
        # compared also for an unknown client, so that the time tells nothing
        expected = client.client_secret if client else self._secret
        same = _same(form.get("client_secret", ""), expected)
        if client is None or not same:
            raise Problem(401, "The client id or the client secret is wrong.")
        return client

    def _user(self, account: str, form: Mapping[str, str]) -> Any:
        query = sa.select(models.users).where(
            models.users.c.account_id == account,
            models.users.c.username == form.get("username", ""),
        )
        user = self._store.reader.execute(query).first()
        expected = user.password if user else self._secret
        same = _same(form.get("password", ""), expected)
        if user is None or not same:
            raise Problem(401, "The username or the password is wrong.")
        return user

    def _issue(
        self, account: str, subject: str, name: str, roles: str
    ) -> dict[str, Any]:
        now = self._clock.now() // SECOND
        claims = {
            "iss": "customer-journey",
            "sub": subject,
            "name": name,
            "accountId": account,
            "roles": roles.split(","),
            "iat": now,
        }

        def sign(kind: str, seconds: int) -> str:
            whole = {
                **claims,
                "typ": kind,
                "exp": now + seconds,
                "jti": secrets.token_hex(8),
            }
            return jwt.encode(whole, self._secret, algorithm="HS256")

        return {
            "access_token": sign("access", TOKEN_SECONDS),
            "expires_in": TOKEN_SECONDS,
            "refresh_token": sign("refresh", REFRESH_SECONDS),
            "refresh_expires_in": REFRESH_SECONDS,
            "token_type": "Bearer",
        }

    def _claims(self, token: str, kind: str) -> dict[str, Any]:
        claims = self._read.get(token)
        if claims is None:
            try:
                claims = jwt.decode(
                    token,
                    self._secret,
                    algorithms=["HS256"],
                    # by the service's clock, below, not by the machine's
                    options={
                        "verify_exp": False,
                        "verify_iat": False,
                        "verify_nbf": False,
                        "require": ["exp", "sub", "accountId", "roles", "typ", "name"],
                    },
                )
            except jwt.InvalidTokenError as wrong:
                raise Problem(401, "The token is not valid.") from wrong
            if len(self._read) > 10_000:
                self._read.clear()
            self._read[token] = claims
        if claims["typ"] != kind:
            raise Problem(401, "The token is not valid here.")
        if claims["exp"] * SECOND <= self._clock.now():
            raise Problem(401, "The token has expired.")
        return claims

    def principal(self, authorization: str | None) -> Principal:
        """Who the Authorization header speaks for."""
        scheme, _, token = (authorization or "").partition(" ")
        if not authorization or scheme.lower() != "bearer" or not token:
            raise Problem(
                401, "The Authorization header with a bearer token is missing."
            )
        claims = self._claims(token.strip(), "access")
        return Principal(
            claims["accountId"],
            claims["sub"],
            claims["name"],
            frozenset(claims["roles"]),
        )


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
