"""A comparison with the source's own grouping in words, and as plain values.

Both hold personal values: they are for the person who asked, never for a log.
"""

import shlex
from collections import Counter
from collections.abc import Iterable
from typing import Any

from journeyport.identity.compare import (
    SAME,
    VERDICTS,
    Compared,
    Comparison,
    Proposal,
)
from journeyport.identity.history import Identifier


def render(compared: Compared, *, most: int = 10) -> str:
    """The comparison in words, `most` identifiers of a list at most."""
    counts = Counter(one.verdict for one in compared.comparisons)
    told = ", ".join(
        f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]
    )
    nothing = "no customer to compare"
    lines = [f"{compared.account}: {told or nothing} (calls: {compared.asked})."]
    for one in compared.comparisons:
        if one.verdict != SAME or one.unknown:
            lines += _one(one, most)
    if compared.proposals:
        lines.append(
            "Unlinked in the source though an engagement carries both; rule so, too, "
            "where it is right:"
        )
        lines += [_command(compared.account, one) for one in compared.proposals]
    if compared.stopped:
        lines.append(f"Stopped early: {compared.stopped}")
    return "\n".join(lines)


def _one(comparison: Comparison, most: int) -> list[str]:
    lines = [f"{comparison.customer_id} {comparison.verdict}"]
    if len(comparison.groups) > 1:
        apart = " | ".join(_listed(group, most) for group in comparison.groups)
        lines.append(f"  the source keeps apart: {apart}")
    if comparison.others:
        lines.append(f"  the source also links: {_listed(comparison.others, most)}")
    if comparison.unknown:
        lines.append(f"  the source does not know: {_listed(comparison.unknown, most)}")
    return lines


def _listed(identifiers: Iterable[Identifier], most: int) -> str:
    names = ["=".join(identifier) for identifier in identifiers]
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + more)


def _command(account: str, proposal: Proposal) -> str:
    sides = " ".join(
        shlex.quote("=".join(side)) for side in (proposal.left, proposal.right)
    )
    return (
        f"  journeyport identity unlink {sides} --account {account} "
        f'--reason "unlinked in the source"  # engagement {proposal.engagement_id}, '
        f"{proposal.seen_at:%Y-%m-%d %H:%M} UTC"
    )


def to_json(compared: Compared) -> dict[str, Any]:
    """As plain values; instants in ISO 8601, identifiers as type=value."""

    def plain(identifiers: Iterable[Identifier]) -> list[str]:
        return ["=".join(identifier) for identifier in identifiers]

    return {
        "account": compared.account,
        "asked": compared.asked,
        "stopped": compared.stopped,
        "customers": [
            {
                "customer_id": one.customer_id,
                "verdict": one.verdict,
                "groups": [plain(group) for group in one.groups],
                "others": plain(one.others),
                "unknown": plain(one.unknown),
                "unseen": one.unseen,
            }
            for one in compared.comparisons
        ],
        "proposals": [
            {
                "left": "=".join(one.left),
                "right": "=".join(one.right),
                "engagement_id": one.engagement_id,
                "seen_at": one.seen_at.isoformat(),
            }
            for one in compared.proposals
        ],
    }
