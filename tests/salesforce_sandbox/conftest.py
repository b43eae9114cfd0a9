"""One sandbox on free loopback ports, emptied for each test, and clients for it."""

from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce

from salesforce_sandbox.schema import load, merge
from salesforce_sandbox.serve import running

RULES = {
    "objects": {
        "Contact": {
            "validation": [
                {
                    "name": "Phone_Needs_Plus",
                    "condition": "Phone != null AND NOT Phone LIKE '+%'",
                    "message": "A phone number starts with a plus.",
                    "field": "Phone",
                },
                {
                    "name": "Asleep",
                    "condition": "LastName = 'Anyone'",
                    "message": "never said",
                    "active": False,
                },
            ],
            "duplicate": [
                {"name": "Same_Mobile", "fields": ["MobilePhone"]},
                {"name": "Same_Title", "fields": ["Title"], "action": "alert"},
            ],
        },
        "JP_Engagement__c": {
            "validation": [
                {
                    "name": "Ends_After_Start",
                    "condition": "JP_End__c < JP_Start__c",
                    "message": "An engagement ends after it starts.",
                    "field": "JP_End__c",
                }
            ],
            "fields": {
                "JP_Mood__c": {
                    "type": "picklist",
                    "length": 40,
                    "restricted": True,
                    "values": ["Good", "Bad"],
                },
                "JP_Secret__c": {
                    "length": 10,
                    "createable": False,
                    "updateable": False,
                },
            },
        },
    }
}


class ToSandbox(HTTPAdapter):
    """Sends what is meant for any https host to the sandbox."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def send(self, request, **kwargs):
        parts = urlsplit(request.url)
        query = f"?{parts.query}" if parts.query else ""
        request.url = f"{self.url}{parts.path}{query}"
        return super().send(request, **kwargs)


class Client:
    """A plain REST client, signed in with client credentials."""

    def __init__(self, address):
        self.address = address
        self.http = requests.Session()
        self.http.trust_env = False
        self.sign_in()

    def sign_in(self):
        granted = self.http.post(
            f"{self.address.url}/services/oauth2/token",
            data={
                "grant_type": "client_credentials",
                "client_id": self.address.consumer_key,
                "client_secret": self.address.consumer_secret,
            },
        )
        self.http.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"

    def call(self, method, path, **kwargs):
        url = f"{self.address.url}/services/data/v66.0/{path}"
        return self.http.request(method, url, timeout=30, **kwargs)

    def get(self, path, **kwargs):
        return self.call("GET", path, **kwargs)

    def query(self, soql, door="query"):
        answer = self.get(door, params={"q": soql})
        assert answer.status_code == 200, answer.text
        return answer.json()["records"]

    def upsert(self, sobject, key, records, **options):
        """Upserts records through Collections and returns the results."""
        kinds = [{"attributes": {"type": sobject}, **r} for r in records]
        answer = self.call(
            "PATCH",
            f"composite/sobjects/{sobject}/{key}",
            json={"allOrNone": False, "records": kinds} | options,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def contact(self, **values):
        """Creates a Contact and returns its id."""
        answer = self.call("POST", "sobjects/Contact", json={"LastName": "X"} | values)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def admin(self, method, path, **kwargs):
        answer = self.http.request(
            method, f"{self.address.admin_url}/{path}", timeout=30, **kwargs
        )
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def fault(self, kind, **options):
        self.admin("POST", "faults", json={"kind": kind} | options)

    def rows(self, sobject):
        return self.admin("GET", f"rows/{sobject}")


@pytest.fixture(scope="session")
def schema():
    return merge(load(), RULES)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory, schema):
    with running(tmp_path_factory.mktemp("org") / "org.db", schema) as (found, _):
        yield found


@pytest.fixture
def address(sandbox):
    """An org without records."""
    requests.post(f"{sandbox.admin_url}/reset", timeout=30).raise_for_status()
    return sandbox


@pytest.fixture
def connect():
    """Makes clients of any sandbox, and closes them."""
    made = []

    def new(address):
        made.append(Client(address))
        return made[-1]

    yield new
    for client in made:
        client.http.close()


@pytest.fixture
def led_to():
    """Makes sessions whose https requests all go to a sandbox."""
    made = []

    def new(address):
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", ToSandbox(address.url))
        made.append(session)
        return session

    yield new
    for session in made:
        session.close()


@pytest.fixture
def client(address, connect):
    return connect(address)


@pytest.fixture
def salesforce(address, led_to):
    """The client that people use, led to the sandbox by an adapter."""
    return Salesforce(
        consumer_key=address.consumer_key,
        consumer_secret=address.consumer_secret,
        domain="acme.my",
        session=led_to(address),
    )
