"""What Schemathesis needs to know of a running service: its data, and what is excused.

Loaded by ``st run`` (see test_contract.py), never by pytest. A random UUID names
nothing, so calls that are otherwise sound are pointed at what exists. Every excused
failure is one that the contract's own prose demands, with its reason; whatever is
excused or answered is counted in a file for the test to judge.
"""

import json
import os
import re
import uuid
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import quote, unquote

import httpx
import schemathesis

ACCOUNT = re.compile(r"[a-zA-Z]{6}")
REPORT = Path(os.environ["CUSTOMER_JOURNEY_REPORT"])

#: (operation, status, code of the violation or None) and why the schema cannot say it.
EXCUSED = {
    (
        "createEngagement",
        400,
        1012,
    ): "no identifier name is left that the account has configured",
    (
        "createJourney",
        400,
        1012,
    ): "no identifier name is left that the account has configured",
    ("createIdentifier", 400, 1011): "a name is unique, and there are at most 1000",
    ("updateIdentifier", 400, 1011): "a name is unique in its account",
    ("createAgentNote", 422, None): "an engagement has one agent note",
}

http = httpx.Client(
    base_url=os.environ["CUSTOMER_JOURNEY_URL"],
    headers={
        "authorization": f"Bearer {os.environ['CUSTOMER_JOURNEY_TOKEN']}",
        "appkey": os.environ["CUSTOMER_JOURNEY_KEY"],
    },
)
known_engagements: list[str] = []
known_notes: set[tuple[str, str]] = set()
used_names: set[str] = set()
answers: dict[str, Counter] = defaultdict(Counter)
excused: Counter = Counter()


def new_engagement() -> str:
    engagement = str(uuid.uuid4())
    answer = http.post(
        "/accounts/ABCDEF/engagements",
        json={
            "id": engagement,
            "startDate": "2026-11-14T12:00:00Z",
            "identifiers": {"accountIds": [f"for-{engagement}"]},
        },
    )
    assert answer.status_code == 202, answer.text
    known_engagements.append(engagement)
    return engagement


def new_note() -> tuple[str, str]:
    engagement = new_engagement()
    answer = http.post(
        f"/accounts/ABCDEF/engagements/{engagement}/agent-note", json={"note": "made"}
    )
    pair = engagement, answer.json()["id"]
    known_notes.add(pair)
    return pair


def new_type() -> tuple[str, str]:
    name = f"type{uuid.uuid4().hex[:12]}"
    answer = http.post(
        "/accounts/ABCDEF/identifiers",
        json={"name": name, "identifierStrength": "WEAK"},
    )
    identifier = answer.json()["identifierId"]
    return identifier, name


def type_exists(identifier: str) -> bool:
    return http.get(f"/accounts/ABCDEF/identifiers/{identifier}").status_code == 200


def new_participant(engagement: str, participant: str) -> None:
    http.post(
        f"/accounts/ABCDEF/engagements/{engagement}/participants/{participant}:add",
        json={
            "type": "AGENT",
            "dialogId": engagement,
            "channelId": "Voice",
            "channelType": "VOICE",
            "timestamp": "2026-11-14T12:00:00Z",
            "extension": "4000",
        },
    )


for _ in range(3):
    new_engagement()


def is_positive(case) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.path_parameters or {}
    if ACCOUNT.fullmatch(str(path.get("accountId", ""))):
        path["accountId"] = "ABCDEF"
    # Schemathesis measures a changed path value as it is quoted for the URL, and takes
    # a sound one of 36 characters for too long
    sent = str(path.get("participantId", ""))
    if len(sent) > 36 and 1 <= len(unquote(sent)) <= 36:
        path["participantId"] = quote("participánt")
    if not is_positive(case):
        return
    operation = case.operation.definition.raw["operationId"]
    point_at_what_exists(operation, path)
    fill_in(operation, case)


def point_at_what_exists(operation, path):
    if operation in {"updateAgentNote", "deleteAgentNote"}:
        if (path["engagementId"], path["noteId"]) not in known_notes:
            path["engagementId"], path["noteId"] = new_note()
    elif operation == "removeParticipant":
        if path["engagementId"] not in known_engagements:
            path["engagementId"] = new_engagement()
            path["participantId"] = "somebody"
            new_participant(path["engagementId"], "somebody")
    elif "engagementId" in path and path["engagementId"] not in known_engagements:
        path["engagementId"] = new_engagement()
    if "identifierId" in path and not type_exists(path["identifierId"]):
        path["identifierId"] = new_type()[0]


def fill_in(operation, case):
    if operation == "getEngagements" and isinstance(case.query, dict):
        case.query["engagementIds"] = known_engagements[-2:]
    if operation == "deleteIdentifiers":
        case.body[0] = new_type()[1]
    if operation in {"createIdentifier", "updateIdentifier"}:
        if case.body["name"] in used_names:
            case.body["name"] = f"{case.body['name'][:30]}.{uuid.uuid4().hex[:12]}"
        used_names.add(case.body["name"])
    if operation == "createEngagement":
        known_engagements.append(case.body["id"])


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation.definition.raw["operationId"]
    if is_positive(case):
        answers[operation][str(response.status_code)] += 1
    if operation == "createAgentNote" and response.status_code == 201:
        pair = case.path_parameters["engagementId"], response.json()["id"]
        known_notes.add(pair)
    write_report()


@schemathesis.hook
def filter_failure(context, failure, case, response):
    operation = case.operation.definition.raw["operationId"]
    try:
        violations = response.json().get("violations") or [{"code": None}]
    except ValueError:
        return True
    key = (operation, response.status_code, violations[0]["code"])
    if type(failure).__name__ == "RejectedPositiveData" and key in EXCUSED:
        excused[f"{operation}: {EXCUSED[key]}"] += 1
        write_report()
        return False
    return True


def write_report():
    REPORT.write_text(json.dumps({"answers": answers, "excused": excused}))
