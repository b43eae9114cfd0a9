"""The identifier types of an account, and the strengths in use.

Ours outrank the source's; a source that does not let us read its types costs a warning,
not the run, so that the role Agent is enough. An account that does not sign in says
nothing about its types: that is a failure, and changes no strengths.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import conform, empty, schema_of
from journeyport.client import RoleError
from journeyport.extract.report import Source
from journeyport.lake import Lake
from journeyport.tables import IDENTIFIER_TYPES

STRENGTHS = ("WEAK", "STRONG", "VERY_STRONG")

OUT_OF_THE_BOX: Mapping[str, str] = {
    "phoneNumbers": "WEAK",
    "emailAddresses": "STRONG",
    "accountIds": "VERY_STRONG",
}
"""The source's own strengths, for when its types cannot be read."""


@dataclass(frozen=True)
class IdentifierTypes:
    """An account's identifier types.

    Attributes:
        account: the account.
        types: name to what the source says of it; empty where it may not be read.
        configured: our strengths, by name.
        warning: why the source's types could not be read; None: they could.
    """

    account: str
    types: Mapping[str, Mapping[str, Any]]
    configured: Mapping[str, str]
    warning: str | None = None

    def strength(self, name: str) -> str:
        """The strength in use: configured, else the source's, else WEAK."""
        sent = self.types.get(name, {}).get("identifierStrength")
        known = OUT_OF_THE_BOX if self.warning else {}
        for strength in (self.configured.get(name), sent, known.get(name)):
            if strength in STRENGTHS:
                return str(strength)
        return "WEAK"

    @property
    def strengths(self) -> dict[str, str]:
        """The strengths in use, of all types that are known or configured."""
        names = {*self.types, *self.configured}
        if self.warning:
            names |= set(OUT_OF_THE_BOX)
        return {name: self.strength(name) for name in sorted(names)}


def identifier_types(
    source: Source, account: str, configured: Mapping[str, str]
) -> IdentifierTypes:
    """Read an account's identifier types; ours decide where the source refuses.

    Args:
        source: the source.
        account: the account.
        configured: our strengths, by name.

    Raises:
        AccessError: the account does not sign in.
        JourneyportError: the source gave no answer; see `SourceClient.search`.
    """
    try:
        listed = source.identifier_types(account)
    except RoleError:
        warning = (
            f"Account {account} does not show its identifier types (role Account "
            "Administrator); the configured strengths are used."
        )
        return IdentifierTypes(account, {}, configured, warning)
    types = {one["name"]: one for one in listed if isinstance(one.get("name"), str)}
    return IdentifierTypes(account, types, configured)


def write_identifier_types(
    lake: Lake, found: Sequence[IdentifierTypes], *, run_id: str
) -> None:
    """Write the table `identifier_types`; accounts not named keep their rows.

    Call it after the daily tables are written: types that engagements carry and the
    source does not list become rows, too. A source that refuses says nothing new of
    the types it once listed: those stay.
    """
    named = pa.array([one.account for one in found], pa.string())
    before = lake.read_snapshot(IDENTIFIER_TYPES.name)
    ours = pc.is_in(before.column("account_id"), named)
    kept, last = before.filter(pc.invert(ours)), before.filter(ours).to_pylist()
    known = [_with_known(one, last) if one.warning else one for one in found]
    rows = [row for one in known for row in _rows(lake, one)]
    made = (
        conform(IDENTIFIER_TYPES, pa.Table.from_pylist(rows, schema=_SCHEMA))
        if rows
        else empty(IDENTIFIER_TYPES)
    )
    whole = pa.concat_tables([kept, made])
    lake.write_snapshot(IDENTIFIER_TYPES.name, whole, run_id=run_id)


_SCHEMA = schema_of(IDENTIFIER_TYPES)


def _with_known(
    found: IdentifierTypes, before: Sequence[Mapping[str, Any]]
) -> IdentifierTypes:
    types = {
        row["identifier_type"]: {
            "identifierId": row["identifier_id"],
            "displayName": row["display_name"],
            "identifierStrength": row["source_strength"],
        }
        for row in before
        if row["account_id"] == found.account and not row["is_seen_only"]
    }
    return replace(found, types=types)


def _rows(lake: Lake, found: IdentifierTypes) -> list[dict[str, Any]]:
    seen = lake.values("engagement_identifiers", "identifier_type", found.account)
    names = {*found.types, *seen}
    return [
        {
            "account_id": found.account,
            "identifier_type": name,
            "identifier_id": _text(found.types.get(name, {}).get("identifierId")),
            "display_name": _text(found.types.get(name, {}).get("displayName")),
            "source_strength": _text(
                found.types.get(name, {}).get("identifierStrength")
            ),
            "strength": found.strength(name),
            "is_seen_only": name not in found.types,
            "_row_hash": "",
        }
        for name in sorted(names)
    ]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
