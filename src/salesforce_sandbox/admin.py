"""The administrator's door: people's edits, the clock, counters, limits and faults.

It listens on a port of its own, on loopback only, and asks for no token. What it writes
to rows is written by the org's human user, under the same rules as the APIs, unless the
rows are seeded.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from salesforce_sandbox import drafts, recycle
from salesforce_sandbox.errors import ApiError
from salesforce_sandbox.faults import KINDS, Fault
from salesforce_sandbox.org import Org
from salesforce_sandbox.records import Writer
from salesforce_sandbox.schema import SObject
from salesforce_sandbox.values import read_instant, show_instant
from salesforce_sandbox.web import Wired, answer

router = APIRouter()


def bad(message: str) -> ApiError:
    """Returns the error for a request that the administrator's door cannot read."""
    return ApiError(400, "INVALID_INPUT", message)


@router.get("/")
def state(call: Wired) -> Response:
    """Answers the org's id, time, users, calls, limits and faults."""
    org = call.org
    with org.store.reading() as connection:
        records = org.store.count(connection)
    return answer(
        {
            "org_id": org.id,
            "now": show_instant(org.clock.now()),
            "integration_user": org.user,
            "person": org.person,
            "records": records,
            "calls": org.limits.report(),
            "limits": org.limits.resource(records),
            "faults": org.faults.show(),
        }
    )


@router.post("/reset")
def reset(call: Wired) -> Response:
    """Forgets all records, jobs, faults, sessions and counters; the org stays."""
    call.org.reset()
    return answer(None, 204)


@router.get("/calls")
def calls(call: Wired) -> Response:
    """Answers how many calls of each kind were made."""
    return answer(call.org.limits.report())


@router.delete("/calls")
def forget_calls(call: Wired) -> Response:
    """Sets the counters of calls to zero; the day's API usage stays."""
    call.org.limits.reset_calls()
    return answer(call.org.limits.report())


@router.put("/clock")
def set_clock(call: Wired) -> Response:
    """Sets the time, ``{"now": …, "frozen": …}``, or moves it, ``{"advance": s}``."""
    body = call.record()
    if "advance" in body:
        call.org.clock.advance(float(body["advance"]))
    else:
        moment = read_instant(str(body.get("now", "")))
        if moment is None:
            message = "Give the time as an ISO 8601 instant under 'now'."
            raise bad(message)
        call.org.clock.set(moment, frozen=bool(body.get("frozen", False)))
    return answer({"now": show_instant(call.org.clock.now())})


@router.delete("/clock")
def reset_clock(call: Wired) -> Response:
    """Goes back to the machine's time."""
    call.org.clock.reset()
    return answer({"now": show_instant(call.org.clock.now())})


@router.put("/limits")
def set_limits(call: Wired) -> Response:
    """Sets maxima by name, the requests ``used``, ``page_size``, ``upload_bytes``."""
    org = call.org
    for name, value in call.record().items():
        if name == "used":
            org.limits.used = int(value)
        elif name == "page_size":
            org.page_size = int(value)
        elif name == "upload_bytes":
            org.upload_bytes = int(value)
        elif name in org.limits.maximum:
            org.limits.maximum[name] = int(value)
        else:
            own = ["used", "page_size", "upload_bytes"]
            names = ", ".join([*own, *org.limits.maximum])
            raise bad(f"There is no limit {name}; there are {names}.")
    return answer({"maximum": org.limits.maximum, "used": org.limits.used})


@router.delete("/sessions")
def end_sessions(call: Wired) -> Response:
    """Ends every session; the next request of each gets 401."""
    call.org.sessions.end_all()
    return answer(None, 204)


@router.get("/faults")
def faults(call: Wired) -> Response:
    """Answers the armed faults and all kinds that there are."""
    return answer({"armed": call.org.faults.show(), "kinds": KINDS})


@router.post("/faults")
def arm(call: Wired) -> Response:
    """Arms a fault: ``{"kind": …}`` and what ``faults.Fault`` takes."""
    try:
        call.org.faults.arm(Fault(**call.record()))
    except (TypeError, ValueError) as error:
        raise bad(str(error)) from error
    return answer(call.org.faults.show(), 201)


@router.delete("/faults")
def disarm(call: Wired) -> Response:
    """Removes all faults."""
    call.org.faults.clear()
    return answer(None, 204)


@router.get("/rows/{sobject}")
def rows(sobject: str, call: Wired) -> Response:
    """Answers all rows of an object with all fields, the recycle bin's too."""
    found = _any(call.org, sobject)
    with call.org.store.reading() as connection:
        return answer(call.org.store.find(connection, found, {}, deleted=True))


@router.post("/rows/{sobject}")
def add(sobject: str, call: Wired) -> Response:
    """Adds one record or a list of them, made by a person; all or none."""
    found, body = call.org.sobject(sobject), call.json()
    records = body if isinstance(body, list) else [body]
    return answer({"ids": seed(call.org, found, records)}, 201)


def seed(org: Org, sobject: SObject, records: list[Any]) -> list[str]:
    """Adds records made by a person, whatever duplicate rules say; returns their ids.

    A record may name its Account by ``{"Account": {"Name": …}}``: it is made when there
    is none of that name.
    """
    made = []
    with org.writer(user=org.person, system=True) as writer:
        for record in records:
            if not isinstance(record, dict):
                message = "Each record is a JSON object of field names and values."
                raise bad(message)
            values = _with_account(org, writer, record)
            draft = drafts.from_json(org.schema, sobject, values)
            made.append(writer.create(sobject, draft).id)
    return made


def _with_account(org: Org, writer: Writer, record: dict[str, Any]) -> dict[str, Any]:
    account = record.get("Account")
    if not isinstance(account, dict) or "Name" not in account:
        return record
    accounts = org.schema.objects["Account"]
    rest = {k: v for k, v in record.items() if k != "Account"}
    found = org.store.find(writer.connection, accounts, {"Name": account["Name"]})
    if found:
        return rest | {"AccountId": found[0]["Id"]}
    draft = drafts.from_json(org.schema, accounts, account)
    return rest | {"AccountId": writer.create(accounts, draft).id}


@router.patch("/rows/{sobject}/{key}")
def edit(sobject: str, key: str, call: Wired) -> Response:
    """Changes a record as a person does."""
    found = call.org.sobject(sobject)
    draft = drafts.from_json(call.org.schema, found, call.record())
    with call.org.writer(user=call.org.person, allow_save=True) as writer:
        writer.before_row = None
        return answer({"id": writer.update(found, key, draft).id})


@router.delete("/rows/{sobject}/{key}")
def delete(sobject: str, key: str, call: Wired) -> Response:
    """Deletes a record as a person does: into the recycle bin."""
    with call.org.writer(user=call.org.person, system=True) as writer:
        return answer({"id": recycle.delete(writer, call.org.sobject(sobject), key).id})


@router.post("/rows/{sobject}/{key}/undelete")
def undelete(sobject: str, key: str, call: Wired) -> Response:
    """Takes a record out of the recycle bin."""
    with call.org.writer(user=call.org.person, system=True) as writer:
        found = call.org.sobject(sobject)
        return answer({"id": recycle.undelete(writer, found, key).id})


@router.post("/rows/{sobject}/{key}/merge")
def merge(sobject: str, key: str, call: Wired) -> Response:
    """Merges records into this one: ``{"losers": [id, …], "values": {…}}``."""
    body = call.record()
    losers, values = body.get("losers"), body.get("values") or {}
    if not isinstance(losers, list) or not isinstance(values, dict):
        message = (
            "Give the losers' ids as a list under 'losers', 'values' as an object."
        )
        raise bad(message)
    with call.org.writer(user=call.org.person, system=True) as writer:
        saved = recycle.merge(writer, call.org.sobject(sobject), key, losers, values)
    return answer({"id": saved.id})


@router.delete("/bin/{sobject}")
def empty_bin(sobject: str, call: Wired) -> Response:
    """Empties the recycle bin of an object: its rows are gone for good."""
    with call.org.store.writing() as connection:
        purged = call.org.store.purge(connection, call.org.sobject(sobject))
    return answer({"purged": purged})


def _any(org: Org, name: str) -> SObject:
    found = org.schema.find(name)
    if found is None:
        raise bad(f"The org has no object {name}.")
    return found
