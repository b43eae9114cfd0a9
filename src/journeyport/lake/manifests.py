"""Manifests: what a day or a snapshot consists of, written after its files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from journeyport.errors import PermanentError


@dataclass(frozen=True)
class TableFacts:
    """One table's part in a manifest."""

    path: str
    rows: int
    bytes: int
    sha256: str
    version: int


@dataclass(frozen=True)
class Manifest:
    """What was written together.

    Attributes:
        run_id: the run that changed something last.
        tables: by table name.
        facts: what else the writer wants known: versions, fingerprints, drift.
        account: the account; empty for a snapshot.
        day: the UTC day, YYYY-MM-DD; empty for a snapshot.
        changed: the write behind this object changed files or facts; not stored.
    """

    run_id: str
    tables: Mapping[str, TableFacts]
    facts: Mapping[str, Any] = field(default_factory=dict)
    account: str = ""
    day: str = ""
    changed: bool = False

    def same(self, other: "Manifest | None") -> bool:
        """Whether the two say the same, whoever wrote them."""
        return other is not None and (
            (dict(self.tables), _plain(self.facts), self.account, self.day)
            == (dict(other.tables), _plain(other.facts), other.account, other.day)
        )

    def to_bytes(self) -> bytes:
        """As JSON with sorted keys."""
        document = asdict(self)
        del document["changed"]
        return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"

    @staticmethod
    def of(content: bytes, path: str) -> "Manifest":
        """From JSON.

        Raises:
            PermanentError: it is not a manifest.
        """
        try:
            document = json.loads(content)
            tables = {
                name: TableFacts(**facts) for name, facts in document["tables"].items()
            }
            return Manifest(**(document | {"tables": tables}))
        except (ValueError, TypeError, KeyError) as error:
            raise PermanentError(
                f"{path} is no manifest; normalise its day again from raw."
            ) from error


def _plain(facts: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(facts, sort_keys=True))
