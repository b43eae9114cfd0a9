"""Sign-in: OAuth client credentials and JWT bearer, and the sessions they give.

The connected app is one: its key and secret are made with the org and kept in it. A
public key, when one is configured, checks JWT assertions.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from salesforce_sandbox.errors import SandboxError

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class OAuthError(SandboxError):
    """A sign-in is refused, in the OAuth error form.

    Args:
        error: The OAuth error code.
        description: What is wrong.
    """

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


class Sessions:
    """The connected app and the sessions that it opened.

    Args:
        key: The consumer key.
        secret: The consumer secret.
        username: The user that every session acts as.
        public_key: An RSA public key or certificate in PEM, for JWT bearer.
        lifetime: How long a session lives.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        username: str,
        public_key: str | None = None,
        lifetime: timedelta = timedelta(hours=2),
    ) -> None:
        self.key, self.secret, self.username = key, secret, username
        self.public_key, self.lifetime = public_key, lifetime
        self._open: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def grant(self, form: dict[str, str], authorization: str | None) -> str:
        """Opens a session and returns its access token.

        Raises:
            OAuthError: The grant, the client or the assertion is wrong.
        """
        grant = form.get("grant_type", "")
        if grant == "client_credentials":
            self._check_client(form, authorization)
        elif grant == JWT_GRANT:
            self._check_assertion(form.get("assertion", ""))
        else:
            raise OAuthError("unsupported_grant_type", "grant type not supported")
        token = f"00D{secrets.token_urlsafe(40)}"
        with self._lock:
            self._open[token] = datetime.now(UTC) + self.lifetime
        return token

    def _check_client(self, form: dict[str, str], authorization: str | None) -> None:
        key, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization and authorization.lower().startswith("basic "):
            try:
                pair = base64.b64decode(authorization[6:]).decode()
            except (binascii.Error, UnicodeDecodeError):
                pair = ""
            key, _, secret = pair.partition(":")
        if not secrets.compare_digest(key, self.key):
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if not secrets.compare_digest(secret, self.secret):
            raise OAuthError("invalid_client", "invalid client credentials")

    def _check_assertion(self, assertion: str) -> None:
        if self.public_key is None:
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")
        try:
            claims: dict[str, Any] = jwt.decode(
                assertion,
                _public_key(self.public_key),
                algorithms=["RS256"],
                issuer=self.key,
                options={"verify_aud": False, "require": ["iss", "sub", "aud", "exp"]},
            )
        except jwt.ExpiredSignatureError as expired:
            raise OAuthError("invalid_grant", "expired authorization code") from expired
        except jwt.InvalidIssuerError as other:
            raise OAuthError(
                "invalid_client_id", "client identifier invalid"
            ) from other
        except jwt.InvalidTokenError as wrong:
            raise OAuthError("invalid_grant", "invalid assertion") from wrong
        if claims["sub"] != self.username:
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")

    def valid(self, token: str) -> bool:
        """Tells whether a token's session is open."""
        with self._lock:
            until = self._open.get(token)
        return until is not None and until > datetime.now(UTC)

    def end_all(self) -> None:
        """Ends every session."""
        with self._lock:
            self._open.clear()


def _public_key(pem: str) -> Any:
    """Returns what PyJWT checks with; the platform is given a certificate."""
    if "BEGIN CERTIFICATE" in pem:
        from cryptography import x509  # noqa: PLC0415  only JWT needs it

        return x509.load_pem_x509_certificate(pem.encode()).public_key()
    return pem
