"""Checking an account-day's certificates: chain, state, lake and files.

What a certificate says, and when one is issued, is in `certificate`.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import orjson

from journeyport.errors import ArgumentError
from journeyport.extract.certificate import as_text, markdown, path_of
from journeyport.lake import Lake
from journeyport.state import State, certificates
from journeyport.state.certificates import Issued


@dataclass(frozen=True)
class Verification:
    """What checking an account-day's certificates against the lake found.

    Attributes:
        issued: the latest certificate.
        findings: what is wrong, one sentence each; none when all holds.
        checked: how many certificates and files were looked at.
    """

    issued: Issued
    findings: tuple[str, ...]
    checked: int

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.findings

    def text(self) -> str:
        """The certificate and what checking it found, as Markdown."""
        found = "\n".join(f"- {finding}" for finding in self.findings)
        verdict = (
            f"Verified: {self.checked} certificates and files match their hashes."
            if self.ok
            else f"NOT verified:\n{found}"
        )
        return f"{markdown(orjson.loads(self.issued.document))}\n{verdict}\n"


def verify_certificate(
    lake: Lake, state: State, account: str, day: date
) -> Verification:
    """Check the chain of an account-day's certificates, and the latest one's files.

    Raises:
        ArgumentError: there is no certificate.
    """
    chain = certificates.chain(state, account, day)
    if not chain:
        raise ArgumentError(
            f"There is no certificate of {day} for account {account}; export the day "
            "first."
        )
    findings: list[str] = []
    previous: str | None = None
    for issued in chain:
        findings += _check(lake, issued, previous)
        previous = issued.certificate_hash
    following = path_of(replace(chain[-1], number=chain[-1].number + 1))
    with suppress(FileNotFoundError):
        lake.read_document(following)
        findings.append(
            f"The lake holds a later certificate that the state lacks ({following})."
        )
    files = orjson.loads(chain[-1].document)["files"]
    for file in files:
        findings += _check_file(lake, file)
    return Verification(chain[-1], tuple(findings), len(chain) + len(files))


def _check(lake: Lake, issued: Issued, previous: str | None) -> list[str]:
    name = f"Certificate {issued.number}"
    try:
        content = lake.read_document(path_of(issued))
    except FileNotFoundError:
        return [f"{name} is in the state and not in the lake ({path_of(issued)})."]
    findings: list[str] = []
    if hashlib.sha256(content).hexdigest() != issued.certificate_hash:
        findings.append(f"{name} in the lake is not the one that was issued.")
    if content.decode(errors="replace") != issued.document:
        findings.append(f"{name} in the state differs from the one in the lake.")
    document = orjson.loads(issued.document)
    if document["previous"] != previous:
        findings.append(f"{name} does not follow the one before it.")
    if wrong := [n for n, kept in _columns(issued).items() if document[n] != kept]:
        findings.append(f"{name} does not say what the state does: {', '.join(wrong)}.")
    return findings


def _columns(issued: Issued) -> dict[str, Any]:
    """What the state keeps beside a certificate, as the certificate says it."""
    return {
        "account": issued.account_id,
        "day": issued.day.isoformat(),
        "number": issued.number,
        "status": issued.status,
        "coverage": issued.coverage,
        "claim_from": as_text(issued.claim_from),
        "claim_to": as_text(issued.claim_to),
        "proof": issued.proof,
        "calls": issued.call_count,
        "engagements": issued.row_count,
    }


def _check_file(lake: Lake, file: dict[str, Any]) -> list[str]:
    try:
        content = lake.read_document(file["path"])
    except FileNotFoundError:
        return [f"{file['path']} is gone."]
    if hashlib.sha256(content).hexdigest() != file["sha256"]:
        return [f"{file['path']} is not the file that was certified."]
    return []
