"""Who may do what: tokens, app keys, roles, accounts, sizes."""

import json
import socket
import subprocess
import sys
import uuid
from urllib.parse import urlsplit

import jwt
import pytest

ID = "0f0e0d0c-0b0a-4900-8807-060504030201"
PHONE = {"identifiers": {"phoneNumbers": ["+4930555001"]}}
TYPE = {"name": "memberIds", "identifierStrength": "STRONG"}
PARTICIPANT = {
    "type": "AGENT",
    "dialogId": ID,
    "channelId": "Voice",
    "channelType": "VOICE",
    "timestamp": "2026-11-14T10:00:00Z",
    "extension": "4711",
}
AGENT, ADMINISTRATOR, EITHER = {"agent"}, {"administrator"}, {"agent", "administrator"}
SEARCH_ID = f"/engagements?engagementIds={ID}"
RECORD = {"id": ID, "startDate": "2026-11-14T10:00:00Z", **PHONE}
OPERATIONS = [
    ("GET", SEARCH_ID, None, AGENT),
    ("POST", "/engagements", RECORD, EITHER),
    ("GET", f"/engagements/{ID}", None, AGENT),
    (
        "POST",
        f"/engagements/{ID}:update",
        {"timestamp": "2026-11-14T10:00:00Z"},
        EITHER,
    ),
    ("POST", f"/engagements/{ID}:appendIdentifiers", PHONE, EITHER),
    ("POST", f"/engagements/{ID}/participants/p1:add", PARTICIPANT, EITHER),
    ("POST", f"/engagements/{ID}/participants/p1:remove", None, EITHER),
    ("GET", f"/engagements/{ID}/agent-notes", None, AGENT),
    ("POST", f"/engagements/{ID}/agent-note", {"note": "hello"}, EITHER),
    ("PUT", f"/engagements/{ID}/agent-note/{'n' * 20}", {"note": "hello"}, EITHER),
    ("DELETE", f"/engagements/{ID}/agent-note/{'n' * 20}", None, EITHER),
    ("POST", "/journeys:search", {}, AGENT),
    ("POST", "/journeys", PHONE, EITHER),
    (
        "POST",
        "/journeys:unlinkIdentifier",
        {**PHONE, "unlinkIdentifier": {"phoneNumbers": "+4930555001"}},
        EITHER,
    ),
    ("POST", "/journeys:listAgents", {**PHONE, "channelId": "Voice"}, AGENT),
    ("GET", "/identifiers", None, ADMINISTRATOR),
    ("POST", "/identifiers", TYPE, ADMINISTRATOR),
    ("GET", f"/identifiers/{ID}", None, ADMINISTRATOR),
    ("PUT", f"/identifiers/{ID}", TYPE, ADMINISTRATOR),
    ("POST", "/identifiers:delete", ["memberIds"], ADMINISTRATOR),
]
NAMES = [f"{method} {path.partition('?')[0]}" for method, path, _, _ in OPERATIONS]


def assert_problem(answer, status, words=""):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("role", ["agent", "administrator"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_each_operation_serves_its_roles_and_refuses_others(empty, operation, role):
    method, path, body, roles = operation
    answer = empty.call(method, path, client=role, json=body)
    if role in roles:
        assert answer.status_code in {200, 201, 202, 204, 404, 422}, answer.text
    else:
        assert_problem(answer, 403, "needs the role")


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_each_operation_refuses_strangers_and_other_accounts(empty, operation):
    method, path, body, _ = operation
    url = f"/api/journey/v1/accounts/ABCDEF{path}"
    mine, theirs = empty.headers("ABCDEF"), empty.headers("GHIJKL")
    bare = empty.http.request(method, url, json=body)
    assert_problem(bare, 401, "bearer token is missing")
    broken = {**mine, "authorization": "Bearer not.a.token"}
    assert_problem(empty.http.request(method, url, json=body, headers=broken), 401)
    keyless = {"authorization": mine["authorization"]}
    answer = empty.http.request(method, url, json=body, headers=keyless)
    assert_problem(answer, 401, "appkey header is missing")
    wrong = {**mine, "appkey": "guessed"}
    answer = empty.http.request(method, url, json=body, headers=wrong)
    assert_problem(answer, 401, "unknown app key")
    crossed = {**theirs, "appkey": mine["appkey"]}
    answer = empty.http.request(method, url, json=body, headers=crossed)
    assert_problem(answer, 403, "not belong to this account")
    answer = empty.http.request(method, url, json=body, headers=theirs)
    assert_problem(answer, 403, "not belong to this account")
    answer = empty.http.request(
        method, url, json=body, headers={**mine, "appkey": theirs["appkey"]}
    )
    assert_problem(answer, 401, "unknown app key")


def test_the_three_grants_give_tokens_that_work(empty):
    first = empty.token().json()
    assert first["expires_in"] == 900
    user = {"username": "agent", "password": empty.accounts["ABCDEF"]["users"]["agent"]}
    by_password = empty.token(grant_type="password", **user).json()
    refreshed = empty.token(
        grant_type="refresh_token", refresh_token=by_password["refresh_token"]
    ).json()
    for token in (first, by_password, refreshed):
        headers = {"authorization": f"Bearer {token['access_token']}"}
        assert empty.call(
            "POST", "/journeys:search", json={}, headers=headers
        ).is_success
    roles = jwt.decode(refreshed["access_token"], options={"verify_signature": False})[
        "roles"
    ]
    assert roles == ["Agent"]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"client_secret": "guessed"}, 401),
        ({"client_id": "nobody"}, 401),
        ({"grant_type": "password", "username": "agent", "password": "x"}, 401),
        ({"grant_type": "refresh_token", "refresh_token": "x.y.z"}, 401),
        ({"grant_type": "implicit"}, 400),
    ],
)
def test_a_grant_with_something_wrong_is_refused(empty, form, status):
    answer = empty.token(**form)
    assert_problem(answer, status)
    assert "access_token" not in answer.text


def test_a_token_ends_with_its_time_by_the_services_clock(empty):
    token = empty.token().json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    empty.set_clock(advance_seconds=899)
    assert empty.call("POST", "/journeys:search", json={}, headers=headers).is_success
    empty.set_clock(advance_seconds=1)
    answer = empty.call("POST", "/journeys:search", json={}, headers=headers)
    empty.set_clock(now="2026-11-15T02:00:00Z")
    assert_problem(answer, 401, "expired")


def test_a_token_signed_by_somebody_else_or_by_nobody_is_refused(empty):
    claims = jwt.decode(
        empty.token().json()["access_token"], options={"verify_signature": False}
    )
    for forged in (
        jwt.encode(claims, "another secret of thirty-two bytes", algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
    ):
        headers = {"authorization": f"Bearer {forged}"}
        answer = empty.call("POST", "/journeys:search", json={}, headers=headers)
        assert_problem(answer, 401, "not valid")


def test_a_refresh_token_is_no_access_token(empty):
    headers = {"authorization": f"Bearer {empty.token().json()['refresh_token']}"}
    answer = empty.call("POST", "/journeys:search", json={}, headers=headers)
    assert_problem(answer, 401, "not valid here")


def test_no_account_reads_what_another_wrote(empty):
    engagement = str(uuid.uuid4())
    email = {"emailAddresses": [f"{engagement[:8]}@shop.example"]}
    record = {"id": engagement, "startDate": "2026-11-14T10:00:00Z"}
    empty.call("POST", "/engagements", json={**record, "identifiers": email})
    assert empty.search("ABCDEF", identifiers=email).json()["pagination"]["total"] == 1
    assert empty.search("GHIJKL", identifiers=email).json()["pagination"]["total"] == 0
    other = empty.call("GET", f"/engagements/{engagement}", account="GHIJKL")
    assert_problem(other, 404)


def test_a_body_beyond_the_limit_is_refused_unread(empty):
    huge = b'{"note": "' + b"x" * 300_000 + b'"}'
    path = f"/engagements/{ID}/agent-note"
    headers = {"content-type": "application/json"}
    assert_problem(empty.call("POST", path, content=huge, headers=headers), 413)

    def pieces():
        for _ in range(40):
            yield b"x" * 10_000

    assert_problem(empty.call("POST", path, content=pieces(), headers=headers), 413)


def test_absurd_urls_and_headers_are_refused(empty):
    long = "x" * 40_000
    answer = empty.http.get(f"/api/journey/v1/accounts/{long}")
    assert_problem(answer, 414)
    answer = empty.http.get("/health", headers={"x-long": "x" * 70_000})
    assert_problem(answer, 431)


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path, serving):
    with serving(tmp_path / "journey.db", "--body-seconds", "0.2") as service:
        headers = {**service.headers(), "content-length": "500"}
        where = urlsplit(service.url)
        with socket.create_connection((where.hostname, where.port)) as connection:
            lines = [
                "POST /api/journey/v1/accounts/ABCDEF/journeys:search HTTP/1.1",
                f"host: {where.netloc}",
                *(f"{name}: {value}" for name, value in headers.items()),
                "\r\n{",
            ]
            connection.sendall("\r\n".join(lines).encode())
            connection.settimeout(20)
            assert b" 408 " in connection.recv(4096).split(b"\r\n")[0]
        assert service.search().status_code == 200


def test_the_service_listens_on_loopback_unless_told_otherwise(empty):
    for url in (empty.url, empty.admin_url):
        assert urlsplit(url).hostname == "127.0.0.1"


def test_health_and_readiness_need_no_token(empty):
    assert empty.http.get("/health").json() == {"status": "up"}
    assert empty.http.get("/ready").json()["status"] == "ready"


def test_the_admin_endpoint_takes_only_json(empty):
    answer = empty.admin.post("/clock", data={"rate": "5"})
    assert_problem(answer, 415)
    assert_problem(empty.admin.post("/clock", json={"now": "tomorrow"}), 400)


def test_credentials_outlive_a_restart_and_can_be_chosen(tmp_path, serving):
    database = tmp_path / "journey.db"
    with serving(database, "--accounts", "QRSTUV") as first:
        before = first.accounts
    with serving(database, "--accounts", "QRSTUV") as second:
        assert second.accounts == before
        assert second.token("QRSTUV").is_success
    file = tmp_path / "credentials.json"
    chosen = {"client_id": "me", "client_secret": "s3cret", "app_key": "key"}
    file.write_text(json.dumps({"QRSTUV": chosen}))
    options = ("--accounts", "QRSTUV", "--credentials-file", str(file))
    with serving(database, *options) as third:
        assert not {"client_secret", "app_key"} & set(third.accounts["QRSTUV"])
        third.accounts["QRSTUV"] |= chosen
        assert third.token("QRSTUV").is_success


def test_random_secrets_are_told_at_the_first_start_only(tmp_path):
    first = told(tmp_path / "journey.db")
    assert all(known["client_secret"] and known["users"] for known in first.values())
    assert told(tmp_path / "journey.db") == {
        account: {"client_id": known["client_id"]} for account, known in first.items()
    }


def told(database):
    """What a start prints about the accounts."""
    command = [sys.executable, "-m", "customer_journey", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--database", str(database)], stdout=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    process.terminate()
    rest, _ = process.communicate(timeout=30)
    assert rest == ""
    return json.loads(line)["accounts"]
