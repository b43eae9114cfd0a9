"""Alerts: each kind is raised by its cause, told once, forgotten when it is over.

Whatever a message could give away is planted in the documents and looked for.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from journeyport import alerts, environment
from journeyport.alerts import Alerting, Ended, Mail, RedCheck, StepFailure
from journeyport.checklist import CERTIFIED, KEYS_UNIQUE, NOTHING_NEW, RULES
from journeyport.clock import SetClock
from journeyport.deployment import Deployment
from journeyport.errors import SettingsError
from journeyport.state import State, drift, failures, rejects, verdicts, windows
from journeyport.state.failures import Failure

NOW = datetime(2026, 3, 16, 2, 30, tzinfo=UTC)
DAY = date(2026, 3, 15)
GREEN = Ended("nightly", "green", succeeded=True)


@dataclass
class Office:
    """A state, a clock and somewhere to tell."""

    state: State
    clock: SetClock
    alerting: Alerting

    def look(self, ended: Ended | None = None) -> list[str]:
        alerts.look(
            self.state,
            self.clock,
            ["ABCDEF"],
            stale_after=self.alerting.stale_after,
            ended=ended,
        )
        return alerts.tell(self.state, self.clock, self.alerting)


@pytest.fixture
def office(tmp_path, web):
    state = State(f"sqlite:///{tmp_path / 'state.db'}")
    alerting = Alerting(
        timedelta(hours=30), slack_url=f"{web.url}/hook", heartbeat_url=f"{web.url}/on"
    )
    yield Office(state, SetClock(NOW), alerting)
    state.close()


def walked(state, day, status, breaches=()):
    midnight = datetime.combine(day, datetime.min.time(), UTC)
    windows.finish_day(
        state,
        windows.WalkedDay(
            account="ABCDEF",
            day=day,
            status=status,
            proof="PROVEN",
            coverage="all engagements",
            began_at=midnight,
            claim_from=midnight,
            claim_to=midnight + timedelta(days=1),
            source_clock=True,
            walked_at=midnight + timedelta(days=1, hours=2),
            run_id="r",
            calls=1,
            found=0,
            breaches=dict.fromkeys(breaches, 1),
            dropped={},
        ),
    )


def failed(office, reason="Account ABCDEF does not sign in; look at its secret."):
    failure = Failure("landing", "ABCDEF", None, reason)
    failures.replace(office.state, "r", "landing", [failure], now=NOW)
    return Ended("nightly", "r", False, [StepFailure("operations", f"But: {reason}")])


def test_a_failing_account_is_told_once_night_after_night(office, web):
    office.look(failed(office))
    (told,) = web.posted
    assert told.startswith("*A run failed: nightly*")
    assert "does not sign in" in told
    assert 'docs/operations.md, "A run failed"' in told
    for _night in range(3):
        office.clock.advance(timedelta(days=1))
        office.look(failed(office))
    assert [one for one in web.posted if "sign in" in one] == [told]


def test_a_cause_that_came_back_after_a_good_night_is_told_again(office, web):
    office.look(failed(office))
    office.look(GREEN)
    office.look(failed(office))
    assert len(web.posted) == 2


def test_another_reason_is_another_cause_but_another_day_is_not(office, web):
    office.look(failed(office, "Run 17 held 2026-03-14."))
    office.look(failed(office, "Run 18 held 2026-03-15."))
    assert len(web.posted) == 1
    office.look(failed(office, "The budget is spent."))
    assert len(web.posted) == 2


def test_a_run_that_died_is_told(office, web):
    office.look(Ended("nightly", "r", succeeded=False))
    (told,) = web.posted
    assert "its process was killed" in told


def test_an_error_that_nobody_foresaw_is_told_by_its_type_alone(office, web):
    step = StepFailure("warehouse", None, "OperationalError")
    office.look(Ended("crm_3_apply", "r", succeeded=False, steps=[step]))
    (told,) = web.posted
    assert "The step warehouse ended with OperationalError" in told


def test_a_wrong_turn_in_an_administrator_s_job_is_told_to_nobody_else(office, web):
    step = StepFailure("apply", "The plan is stale; make a new one.")
    office.look(Ended("crm_3_apply", "r", succeeded=False, steps=[step]))
    assert web.posted == []


def test_a_red_check_is_told_until_it_passes(office, web):
    red = RedCheck("participants", KEYS_UNIQUE, RULES[KEYS_UNIQUE], ("ABCDEF 2026",))
    ended = Ended("nightly", "r", succeeded=False, red=[red])
    office.look(ended)
    office.look(ended)
    (told,) = web.posted
    assert told.startswith("*A check is red: participants*")
    assert "Held back: ABCDEF 2026" in told
    passed = Ended("export", "s", True, passed=[("participants", KEYS_UNIQUE)])
    office.look(passed)
    office.look(ended)
    assert len(web.posted) == 2


def test_a_held_day_is_told_once_and_not_as_a_red_check_too(office, web):
    walked(office.state, DAY, windows.HELD, ["order"])
    red = RedCheck("engagements", CERTIFIED, RULES[CERTIFIED], (f"ABCDEF {DAY}",))
    failure = Failure("proof", "ABCDEF", DAY, "It could not be proved.")
    failures.replace(office.state, "r", "proof", [failure], now=NOW)
    step = StepFailure("operations", "But: It could not be proved.")
    office.look(Ended("nightly", "r", succeeded=False, steps=[step], red=[red]))
    (told,) = web.posted
    assert told.startswith("*Days are held back: ABCDEF*")
    assert f"{DAY} of account ABCDEF is held back" in told
    assert "(order)" in told


def test_a_released_day_is_forgotten_and_told_again_when_it_is_held_again(office, web):
    walked(office.state, DAY, windows.HELD)
    office.look()
    windows.release(office.state, "ABCDEF", DAY, "known to be empty")
    office.look()
    assert alerts.open_causes(office.state) == []
    assert len(web.posted) == 1


def test_a_check_that_passed_for_other_days_is_not_over(office, web):
    found = [{"rule": KEYS_UNIQUE, "table": "participants", "rows": 1}]
    verdict = verdicts.Kept("these files", {}, found)
    verdicts.keep(office.state, "ABCDEF", DAY, verdict, run_id="r", now=NOW)
    red = RedCheck("participants", KEYS_UNIQUE, RULES[KEYS_UNIQUE], (f"ABCDEF {DAY}",))
    ended = Ended("nightly", "r", succeeded=False, red=[red])
    office.look(ended)
    office.look(Ended("export", "s", True, passed=[("participants", KEYS_UNIQUE)]))
    office.look(ended)
    assert len(web.posted) == 1


@dataclass(frozen=True)
class Refused:
    """A record that the CRM refused."""

    record_key: str
    field: str = "Email"
    code: str = "INVALID_EMAIL_ADDRESS"
    reason: str = "The e-mail address is none."
    payload: str | None = "ada@shop.example"
    object_name: str = "Contact"


def test_rejects_are_told_by_number_and_code_never_by_value(office, web):
    rows = [Refused("+49301234567"), Refused("C-77")]
    rejects.record(office.state, "ABCDEF", "crm", rows, day=None, run_id="r", now=NOW)
    office.look()
    office.look()
    (told,) = web.posted
    assert told.startswith("*Records are refused: ABCDEF crm*")
    assert "2 record(s) of Contact are refused with INVALID_EMAIL_ADDRESS" in told
    assert not [value for value in ("4930", "C-77", "ada@") if value in told]


def test_drift_is_told_once_for_ever_by_name(office, web):
    for day in (DAY, DAY + timedelta(days=1)):
        drift.note(
            office.state,
            "ABCDEF",
            day,
            ["new value engagements.status=PARKED"],
            run_id="r",
            now=NOW,
        )
        office.look()
    office.look(GREEN)
    (told,) = web.posted
    assert told.startswith("*The source changed: ABCDEF*")
    assert "new value engagements.status=PARKED" in told
    assert alerts.open_causes(office.state) == []


def test_what_is_new_is_told_once_and_not_as_a_red_check_too(office, web):
    names = ["new value engagements.status=PARKED"]
    drift.note(office.state, "ABCDEF", DAY, names, run_id="r", now=NOW)
    red = RedCheck("engagements", NOTHING_NEW, "The source shows nothing new.")
    office.look(Ended("nightly", "r", succeeded=True, red=[red]))
    (told,) = web.posted
    assert told.startswith("*The source changed: ABCDEF*")


def test_data_that_is_not_renewed_is_told_with_no_run_at_all(office, web):
    walked(office.state, DAY - timedelta(days=1), windows.PROVED)
    office.look(GREEN)
    assert web.posted == []
    office.clock.advance(timedelta(hours=31))
    office.look()
    (told,) = web.posted
    assert told.startswith("*Data is stale: data*")
    assert "Account ABCDEF: what is proved ends at 2026-03-15 00:00 UTC" in told
    assert "No night was delivered since 2026-03-16 02:30 UTC" in told


def test_a_delivered_night_calls_the_heartbeat_once(office, web):
    office.look(GREEN)
    office.look(GREEN)
    office.look(Ended("export", "e", succeeded=True))
    assert web.beats == ["/on"]


def test_a_night_that_was_not_delivered_calls_nothing(office, web):
    office.look(failed(office))
    assert web.beats == []


def test_a_heartbeat_that_failed_is_called_again_but_never_late(office, web):
    web.status = 503
    assert "heartbeat's address answered 503" in office.look(GREEN)[0]
    web.status = 200
    office.look()
    assert web.beats == ["/on", "/on"]
    web.status = 503
    office.look(Ended("nightly", "next", succeeded=True))
    office.clock.advance(timedelta(hours=7))
    web.status = 200
    office.look()
    assert len(web.beats) == 3


def test_what_a_channel_did_not_take_is_sent_by_the_next_look(office, web):
    web.status = 500
    (wrong,) = office.look(failed(office))
    assert wrong == "Slack answered 500; check its setting."
    web.status = 200
    office.look()
    office.look()
    assert len(web.posted) == 1


def test_nobody_answering_is_a_sentence_without_the_address(office, web):
    gone = Alerting(office.alerting.stale_after, slack_url="http://127.0.0.1:9/secret")
    office.alerting = gone
    (wrong,) = office.look(failed(office))
    assert "Slack could not be reached" in wrong
    assert "secret" not in wrong
    assert "secret" not in repr(gone)


def test_two_that_look_at_the_same_time_tell_once(office, web):
    from journeyport.state import alerts as kept

    alerts.look(
        office.state,
        office.clock,
        ["ABCDEF"],
        stale_after=timedelta(1),
        ended=failed(office),
    )
    assert len(kept.claim(office.state, ["slack"], now=NOW)) == 1
    assert alerts.tell(office.state, office.clock, office.alerting) == []
    assert web.posted == []
    office.clock.advance(timedelta(minutes=6))  # the first one died meanwhile
    office.look()
    assert len(web.posted) == 1


def mail(port, **more):
    values = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "user": "",
        "password": "",
        "sender": "journeyport@shop.example",
        "recipients": ("ada@shop.example", "bob@shop.example"),
    }
    return Mail(**values | more)


def test_mail_and_slack_are_told_independently(office, web, post):
    slack = office.alerting.slack_url
    office.alerting = Alerting(timedelta(hours=30), slack_url=slack, mail=mail(9))
    (wrong,) = office.look(failed(office))
    assert "The mail server 127.0.0.1 did not take a message" in wrong
    office.alerting = Alerting(timedelta(1), slack_url=slack, mail=mail(post.port))
    assert office.look() == []
    (letter,) = post.letters
    assert letter["subject"] == "[journeyport] A run failed: nightly"
    assert letter["to"] == "ada@shop.example, bob@shop.example"
    assert "does not sign in" in letter.get_content()
    assert len(web.posted) == 1


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A server's certificate that this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    import ipaddress

    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_mail_signs_in_behind_starttls(office, guarded_post):
    signed = mail(
        guarded_post.port, security="starttls", user="jp", password="the password"
    )
    office.alerting = Alerting(timedelta(1), mail=signed)
    assert office.look(failed(office)) == []
    assert guarded_post.signed_in == ["jp"]
    assert len(guarded_post.letters) == 1
    assert "the password" not in repr(signed)


def test_mail_to_a_server_that_cannot_be_trusted_is_not_sent(
    office, guarded_post, monkeypatch
):
    monkeypatch.delenv("SSL_CERT_FILE")
    office.alerting = Alerting(
        timedelta(1), mail=mail(guarded_post.port, security="starttls", user="jp")
    )
    (wrong,) = office.look(failed(office))
    assert "SSLCertVerificationError" in wrong
    assert guarded_post.signed_in == []


def test_a_trial_goes_to_every_channel(web, post):
    alerting = Alerting(timedelta(1), slack_url=web.url, mail=mail(post.port))
    assert alerts.try_out(alerting) == {"slack": "sent", "mail": "sent"}
    assert "This is a trial" in web.posted[0]
    assert "This is a trial" in post.letters[0]["subject"]


def test_alerts_are_set_up_by_settings_and_secrets_may_stand_in_files(tmp_path):
    (tmp_path / "hook").write_text("https://hooks.example.com/secret\n")
    environ = {
        "JOURNEYPORT_ENV_FILE": "-",
        "JOURNEYPORT_ALERT_SLACK_URL_FILE": str(tmp_path / "hook"),
        "JOURNEYPORT_ALERT_SMTP_HOST": "mail.example.com",
        "JOURNEYPORT_ALERT_MAIL_FROM": "jp@example.com",
        "JOURNEYPORT_ALERT_MAIL_TO": "a@example.com, b@example.com",
    }
    alerting = Deployment(lambda: environment.read(environ)).alerting
    assert alerting.slack_url == "https://hooks.example.com/secret"
    assert alerting.mail.recipients == ("a@example.com", "b@example.com")
    assert alerting.mail.security == "starttls"
    assert list(alerting.channels) == ["slack", "mail"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ALERT_SMTP_HOST": "mail.example.com"}, "ALERT_MAIL_FROM is missing"),
        (
            {
                "ALERT_SMTP_HOST": "mail.example.com",
                "ALERT_MAIL_FROM": "jp@example.com",
                "ALERT_MAIL_TO": "a@example.com",
                "ALERT_SMTP_SECURITY": "none",
                "ALERT_SMTP_USER": "jp",
            },
            "a password would be sent in the clear",
        ),
        (
            {"LOOPBACK_ONLY": "true", "ALERT_SLACK_URL": "https://hooks.example.com"},
            "ALERT_SLACK_URL leads off this machine",
        ),
        (
            {"LOOPBACK_ONLY": "true", "ALERT_SMTP_HOST": "mail.example.com"},
            "ALERT_SMTP_HOST leads off this machine",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(wrong, sentence):
    environ = {f"JOURNEYPORT_{name}": value for name, value in wrong.items()}
    environ |= {"JOURNEYPORT_ENV_FILE": "-"}
    with pytest.raises(SettingsError, match=sentence):
        _ = Deployment(lambda: environment.read(environ)).alerting
