"""OAuth client credentials, JWT bearer, and sessions that end."""

import time

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from simple_salesforce import Salesforce

from salesforce_sandbox.serve import running

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def new_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="module")
def key():
    return new_key()


@pytest.fixture(scope="module")
def trusting(tmp_path_factory, schema, key):
    """An org that knows the public half of the key."""
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path = tmp_path_factory.mktemp("jwt") / "org.db"
    with running(path, schema, public_key=public.decode()) as (address, _):
        yield address


def ask(address, form, **kwargs):
    return requests.post(
        f"{address.url}/services/oauth2/token", data=form, timeout=30, **kwargs
    )


def test_client_credentials_open_a_session(address):
    answer = ask(
        address,
        {"grant_type": "client_credentials"},
        auth=(address.consumer_key, address.consumer_secret),
    ).json()
    assert answer["token_type"] == "Bearer"
    assert answer["instance_url"] == address.url
    assert address.org_id in answer["id"]
    limits = requests.get(
        f"{address.url}/services/data/v66.0/limits/",
        headers={"Authorization": f"Bearer {answer['access_token']}"},
        timeout=30,
    )
    assert limits.status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "wrong"}, "invalid_client_id"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": GRANT, "assertion": "x"}, "invalid_grant"),
    ],
)
def test_a_wrong_sign_in_is_refused(address, changes, error):
    """invalid_client, invalid_client_id, unsupported_grant_type, invalid_grant:
    Salesforce Help, "OAuth 2.0 Client Credentials Flow" and "OAuth Error Codes"."""
    form = {
        "grant_type": "client_credentials",
        "client_id": address.consumer_key,
        "client_secret": address.consumer_secret,
    }
    answer = ask(address, form | changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def assertion(address, key, **changes):
    claims = {
        "iss": address.consumer_key,
        "sub": address.username,
        "aud": "https://login.salesforce.com",
        "exp": int(time.time()) + 180,
    }
    return jwt.encode(claims | changes, private_pem(key), algorithm="RS256")


def test_a_signed_assertion_opens_a_session(trusting, key):
    form = {"grant_type": GRANT, "assertion": assertion(trusting, key)}
    assert ask(trusting, form).json()["access_token"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"exp": 1}, "invalid_grant"),
        ({"iss": "someone"}, "invalid_client_id"),
        ({"sub": "someone@example.org"}, "invalid_grant"),
    ],
)
def test_a_wrong_assertion_is_refused(trusting, key, changes, error):
    """invalid_grant: Salesforce Help, "OAuth 2.0 JWT Bearer Flow for Server-to-Server
    Integration"."""
    form = {"grant_type": GRANT, "assertion": assertion(trusting, key, **changes)}
    answer = ask(trusting, form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_an_assertion_signed_by_another_key_is_refused(trusting):
    """invalid_grant: Salesforce Help, "OAuth 2.0 JWT Bearer Flow for Server-to-Server
    Integration"."""
    form = {"grant_type": GRANT, "assertion": assertion(trusting, new_key())}
    assert ask(trusting, form).json()["error"] == "invalid_grant"


def test_simple_salesforce_signs_in_by_jwt(trusting, key, tmp_path, led_to):
    path = tmp_path / "key.pem"
    path.write_bytes(private_pem(key))
    sf = Salesforce(
        username=trusting.username,
        consumer_key=trusting.consumer_key,
        privatekey_file=str(path),
        domain="acme.my",
        session=led_to(trusting),
    )
    (org,) = sf.query("SELECT Id FROM Organization")["records"]
    assert org["Id"] == trusting.org_id


def test_sessions_can_end_in_the_middle(client):
    """INVALID_SESSION_ID: "Status Codes and Error Responses", 401."""
    assert client.get("limits").status_code == 200
    client.admin("DELETE", "sessions")
    assert client.get("limits").status_code == 401
    client.sign_in()
    assert client.get("limits").status_code == 200


def test_an_org_keeps_its_id_and_credentials_over_a_restart(tmp_path, schema):
    seen = []
    for _ in range(2):
        with running(tmp_path / "org.db", schema) as (found, _):
            seen.append((found.org_id, found.consumer_key, found.consumer_secret))
    assert seen[0] == seen[1]


def test_two_orgs_differ_in_their_ids(address, trusting):
    assert address.org_id != trusting.org_id


def test_who_is_signed_in_can_be_asked(client, address):
    """Salesforce Help, "Identity URLs"."""
    resources = client.get("").json()
    who = client.http.get(resources["identity"]).json()
    assert who["organization_id"] == address.org_id
    assert who["username"] == address.username
    stale = client.http.get(resources["identity"], headers={"Authorization": "Bearer"})
    assert stale.status_code == 401
