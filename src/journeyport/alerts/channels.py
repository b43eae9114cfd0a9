"""The channels: a Slack webhook, mail by SMTP, and the heartbeat's address.

An error of a channel never repeats its address: a webhook's is a secret.
"""

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Literal

import httpx

from journeyport.alerts.messages import Message
from journeyport.errors import TransientError

_TIMEOUT = 10.0


@dataclass(frozen=True)
class Mail:
    """A mail server and the envelope.

    Attributes:
        host: the server.
        port: its port.
        security: how the connection is made safe.
        user: to sign in as; empty: without signing in.
        password: that user's.
        sender: the address it comes from.
        recipients: the addresses it goes to.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str
    password: str
    sender: str
    recipients: tuple[str, ...]

    def __repr__(self) -> str:
        """Without the password."""
        return f"Mail(host={self.host!r}, port={self.port})"


@dataclass(frozen=True, repr=False)
class Alerting:
    """Where alerts go, and after how long data is stale.

    Attributes:
        stale_after: the deadline.
        slack_url: an incoming webhook; empty: none.
        mail: a mail server; None: none.
        heartbeat_url: called when a night was delivered; empty: none.
    """

    stale_after: timedelta
    slack_url: str = ""
    mail: Mail | None = None
    heartbeat_url: str = ""

    @property
    def channels(self) -> dict[str, Callable[[Message], None]]:
        """How a message is sent, by the channel's name."""
        found: dict[str, Callable[[Message], None]] = {}
        if self.slack_url:
            found["slack"] = self._slack
        if self.mail is not None:
            found["mail"] = self._mail
        return found

    def beat(self) -> None:
        """Call the heartbeat's address.

        Raises:
            TransientError: it did not answer well.
        """
        _answered("The heartbeat's address", "GET", self.heartbeat_url, None)

    def _slack(self, message: Message) -> None:
        text = f"*{_escaped(message.title)}*\n{_escaped(message.text)}"
        _answered("Slack", "POST", self.slack_url, {"text": text})

    def _mail(self, message: Message) -> None:
        if self.mail is not None:
            _sent(self.mail, message)


def _answered(name: str, method: str, url: str, document: object) -> None:
    try:
        with httpx.Client(timeout=_TIMEOUT) as http:
            answer = http.request(method, url, json=document)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransientError(
            f"{name} could not be reached ({type(error).__name__}); check its setting."
        ) from None
    if not answer.is_success:
        raise TransientError(
            f"{name} answered {answer.status_code}; check its setting."
        )


def _sent(mail: Mail, message: Message) -> None:
    letter = EmailMessage()
    letter["Subject"] = f"[journeyport] {message.title}"
    letter["From"] = mail.sender
    letter["To"] = ", ".join(mail.recipients)
    letter["Date"] = formatdate()
    letter["Message-ID"] = make_msgid(
        domain=parseaddr(mail.sender)[1].rpartition("@")[2] or "localhost"
    )
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.text)
    try:
        with _connected(mail) as server:
            if mail.user:
                server.login(mail.user, mail.password)
            server.send_message(letter)
    except (smtplib.SMTPException, OSError) as error:
        raise TransientError(
            f"The mail server {mail.host} did not take a message "
            f"({type(error).__name__}); check JOURNEYPORT_ALERT_SMTP_* and the "
            "addresses."
        ) from None


def _connected(mail: Mail) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=_TIMEOUT, context=context)
    server = smtplib.SMTP(mail.host, mail.port, timeout=_TIMEOUT)
    if mail.security == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _escaped(text: str) -> str:
    """As Slack wants its three special signs."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
