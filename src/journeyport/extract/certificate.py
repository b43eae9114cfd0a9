"""Completeness certificates: what an account-day was proved to hold, and how.

A certificate is a JSON document in the lake, chained to the one before by its hash,
and a row in the state. It is issued after the day's tables are written, so that it can
name them by their SHA-256; one that says the same as the last is not issued.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Any

import orjson

from journeyport.clock import Clock
from journeyport.errors import ArgumentError, PermanentError
from journeyport.extract.checks import ASSUMPTIONS
from journeyport.lake import Lake, Manifest
from journeyport.state import State, certificates, windows
from journeyport.state.certificates import Issued
from journeyport.state.windows import WalkedDay, WalkedWindow

FORM = 1
"""Raised by one when the document's shape changes."""

_SAME = (
    *("status", "coverage", "claim_from", "claim_to", "proof", "files", "released"),
    "field_policy_dropped",
)
"""What two certificates must share for the later one to be needless."""


@dataclass(frozen=True)
class Certificate:
    """A certificate that holds.

    Attributes:
        issued: as the state keeps it.
        is_new: it was issued now; else it is the one from before.
    """

    issued: Issued
    is_new: bool

    @property
    def document(self) -> dict[str, Any]:
        """What it says."""
        document: dict[str, Any] = orjson.loads(self.issued.document)
        return document


def certify(
    lake: Lake,
    state: State,
    account: str,
    days: Sequence[date],
    *,
    run_id: str,
    clock: Clock,
) -> list[Certificate]:
    """The certificate of each of these days that was ever walked.

    Where nothing that matters changed, the certificate from before stays and the state
    notes when it was last found to hold.

    Raises:
        PermanentError: a day's tables were never written.
    """
    done: list[Certificate] = []
    for day in sorted(set(days)):
        walked = windows.day_of(state, account, day)
        if walked is not None:
            done.append(_certify(lake, state, walked, run_id, clock))
    return done


def _certify(
    lake: Lake, state: State, walked: WalkedDay, run_id: str, clock: Clock
) -> Certificate:
    manifest = lake.manifest(walked.account, walked.day)
    if manifest is None:
        raise PermanentError(
            f"The tables of {walked.account} {walked.day} were not written, so they "
            "cannot be certified; run the tables step for this day."
        )
    walks = windows.windows_of(state, walked.account, walked.day, walked.run_id)
    before = certificates.latest(state, walked.account, walked.day)
    now = clock.now()
    document = _document(lake, walked, walks, manifest)
    if before is not None and _same(document, orjson.loads(before.document)):
        certificates.note_verified(state, before, now, run_id)
        return Certificate(before, is_new=False)
    document |= {
        "number": 1 if before is None else before.number + 1,
        "previous": None if before is None else before.certificate_hash,
        "run_id": run_id,
        "issued_at": as_text(now),
    }
    content = orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    issued = Issued(
        account_id=walked.account,
        day=walked.day,
        number=document["number"],
        run_id=run_id,
        status=walked.status,
        coverage=walked.coverage,
        claim_from=walked.claim_from,
        claim_to=walked.claim_to,
        window_count=len(walks),
        call_count=walked.calls,
        row_count=document["engagements"],
        proof=walked.proof,
        document=content.decode(),
        certificate_hash=hashlib.sha256(content).hexdigest(),
        previous_hash=document["previous"],
        issued_at=now,
    )
    lake.write_document(path_of(issued), content)
    certificates.record(state, issued)
    return Certificate(issued, is_new=True)


def path_of(issued: Issued) -> str:
    """Where a certificate lies in the lake."""
    folder = f"certificates/account={issued.account_id}/day={issued.day}"
    return f"{folder}/{issued.number}.json"


def _document(
    lake: Lake,
    walked: WalkedDay,
    walks: Sequence[WalkedWindow],
    manifest: Manifest,
) -> dict[str, Any]:
    deleted = lake.read_day("engagements", walked.account, walked.day, ["is_deleted"])
    alive = deleted.column("is_deleted").to_pylist().count(False)
    return {
        "certificate": "completeness of one account-day",
        "form": FORM,
        "account": walked.account,
        "day": walked.day.isoformat(),
        "status": walked.status,
        "released": walked.reason,
        "claim": claim(walked),
        "coverage": walked.coverage,
        "claim_from": as_text(walked.claim_from),
        "claim_to": as_text(walked.claim_to),
        "end_fixed_by": "the source's clock" if walked.source_clock else "our clock",
        "walk_began_at": as_text(walked.began_at),
        "content_read_at": as_text(walked.walked_at),
        "walked_by": walked.run_id,
        "proof": walked.proof,
        "calls": walked.calls,
        "engagements": alive,
        "engagements_shown": walked.found,
        "tombstones": len(deleted) - alive,
        "windows": [
            {
                "from": as_text(one.window_from),
                "to": as_text(one.window_to),
                "coverage": one.coverage,
                "calls": one.calls,
                "engagements": one.engagements,
                "proof": one.proof,
                "breaches": dict(one.breaches),
            }
            for one in walks
        ],
        "assumptions": [
            {
                "assumption": words,
                "checked": "in every answer",
                "broken": walked.breaches.get(breach, 0),
            }
            for breach, words in ASSUMPTIONS.items()
        ],
        "field_policy_dropped": dict(walked.dropped),
        "files": [
            {
                "table": name,
                "path": facts.path,
                "rows": facts.rows,
                "bytes": facts.bytes,
                "sha256": facts.sha256,
            }
            for name, facts in sorted(manifest.tables.items())
        ],
        "journeyport": version("journeyport"),
    }


def claim(walked: WalkedDay) -> str:
    """What a certificate claims, in one sentence."""
    span = f"[{as_text(walked.claim_from)}, {as_text(walked.claim_to)}]"
    if walked.status == windows.HELD:
        return f"Nothing: the walk over {span} could not be proved complete."
    begin = as_text(walked.began_at)
    sentence = (
        f"Every engagement of account {walked.account} ({walked.coverage}) dated in "
        f"{span}, visible before {begin} and not erased before its window was read, is "
        "in the files named here."
    )
    if walked.status == windows.RELEASED:
        return f"By somebody's word, not by proof ({walked.reason}): {sentence}"
    if walked.reason:
        return f"{sentence} Held back by a check, then {walked.reason}."
    return sentence


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in _SAME)


def release(
    state: State,
    account: str,
    day: date,
    *,
    who: str,
    reason: str,
    proved: bool = False,
) -> None:
    """Let a held account-day be delivered; its next certificate says who and why.

    Args:
        state: the state.
        account: the account.
        day: the UTC day.
        who: who decides.
        reason: why.
        proved: something other than the proof holds it back.

    Raises:
        ArgumentError: the day is not held, or no name or reason is given.
    """
    if not who.strip() or not reason.strip():
        raise ArgumentError("A release needs a name and a reason; both are certified.")
    told = f"released by {who.strip()}: {reason.strip()}"
    if windows.release(state, account, day, told, proved=proved) is None:
        raise ArgumentError(
            f"{day} of account {account} is not held, so there is nothing to release."
        )


def markdown(document: dict[str, Any]) -> str:
    """A certificate for reading: claim, windows, assumptions, files."""
    windows_table = "\n".join(
        f"| {one['from']} | {one['to']} | {one['calls']} | {one['engagements']} "
        f"| {one['proof']} |"
        for one in document["windows"]
    )
    assumptions = "\n".join(
        f"| {one['assumption']} | {_verdict(one['broken'])} |"
        for one in document["assumptions"]
    )
    files = "\n".join(
        f"| {one['table']} | {one['rows']} | `{one['sha256'][:16]}…` |"
        for one in document["files"]
    )
    return f"""# {document["account"]} {document["day"]}: {document["status"]}

{document["claim"]}

Certificate {document["number"]}, issued {document["issued_at"]} by run \
{document["run_id"]}; proof {document["proof"]}; end fixed by \
{document["end_fixed_by"]}; content read {document["content_read_at"]}; \
{document["calls"]} calls; {document["engagements"]} engagements, \
{document["tombstones"]} tombstones.

| window from | to | calls | engagements | proof |
| --- | --- | ---: | ---: | --- |
{windows_table}

| assumption | in every answer |
| --- | --- |
{assumptions}

| table | rows | SHA-256 |
| --- | ---: | --- |
{files}
"""


def _verdict(broken: int) -> str:
    return f"broken {broken} times" if broken else "held"


def as_text(instant: datetime) -> str:
    """An instant as a certificate writes it: UTC, whole seconds."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
