"""What would change under other rules: customers that would merge, split or go.

Nothing is written. Both sides are worked out from the same evidence, so that evidence
which came since the last night does not show up as a change of rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from journeyport.clock import Clock
from journeyport.identity.config import IdentityConfig
from journeyport.identity.history import read_ledger
from journeyport.identity.resolve import Decision, decide, prior_customers
from journeyport.identity.rules import list_rules
from journeyport.identity.standing import Resolution
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state.identity import read_history, read_version


@dataclass(frozen=True)
class AccountDiff:
    """What other rules would do to one account.

    Attributes:
        merges: customers that would become one, as sorted ids.
        splits: customers that would fall apart, and into how many.
        gone: customers that would no longer be (all their values shared or blocked).
        moved: engagements that would be of other customers or of none.
        before, after: engagements per resolution.
    """

    merges: tuple[tuple[str, ...], ...]
    splits: Mapping[str, int]
    gone: tuple[str, ...]
    moved: int
    before: Mapping[str, int]
    after: Mapping[str, int]


def diff(
    lake: Lake,
    state: State,
    config: IdentityConfig,
    new: IdentityConfig,
    *,
    accounts: Sequence[str],
    clock: Clock,
) -> dict[str, AccountDiff]:
    """Compare today's rules with others on all evidence, account by account."""
    return {
        account: _account(lake, state, (config, new), account, clock)
        for account in accounts
    }


def render(diffs: Mapping[str, AccountDiff], *, most: int = 20) -> str:
    """The differences in words, `most` customers of a kind at most."""
    lines: list[str] = []
    for account, found in diffs.items():
        lines.append(
            f"{account}: {len(found.merges)} merges, {len(found.splits)} splits, "
            f"{len(found.gone)} customers gone, {found.moved} engagements moved."
        )
        lines += [f"  would merge: {', '.join(ids)}" for ids in found.merges[:most]]
        for name, parts in list(found.splits.items())[:most]:
            lines.append(f"  would split: {name} into {parts}")
        lines += [f"  would go: {name}" for name in found.gone[:most]]
        for resolution in Resolution:
            before = found.before.get(resolution.name, 0)
            after = found.after.get(resolution.name, 0)
            if before != after:
                lines.append(f"  engagements {resolution.name}: {before} -> {after}")
    return "\n".join(lines)


def _account(
    lake: Lake,
    state: State,
    both: tuple[IdentityConfig, IdentityConfig],
    account: str,
    clock: Clock,
) -> AccountDiff:
    ledger = read_ledger(read_history(state, account))
    prior = prior_customers(
        lake.read("customer_identifiers", accounts=[account]),
        read_version(state, account),
    )
    rules = list_rules(state, account, now=clock.now())
    old, other = (
        decide(
            lake, rules_of, account, rules=rules, ledger=ledger, prior=prior, version=0
        )
        for rules_of in both
    )
    becomes: dict[str, set[int]] = {name: set() for name in old.naming.ids.values()}
    comes: dict[int, set[str]] = {}
    for before, after in zip(
        old.outcome.label.tolist(), other.outcome.label.tolist(), strict=True
    ):
        if before < 0 or after < 0:
            continue
        name = old.naming.ids[before]
        becomes[name].add(after)
        comes.setdefault(after, set()).add(name)
    return AccountDiff(
        merges=tuple(
            sorted(tuple(sorted(ids)) for ids in comes.values() if len(ids) > 1)
        ),
        splits={
            name: len(parts)
            for name, parts in sorted(becomes.items())
            if len(parts) > 1
        },
        gone=tuple(sorted(name for name, parts in becomes.items() if not parts)),
        moved=_moved(old, other),
        before=_resolutions(old),
        after=_resolutions(other),
    )


def _moved(old: Decision, new: Decision) -> int:
    before = old.tables["engagement_customers"]["customer_id"]
    after = new.tables["engagement_customers"]["customer_id"]
    same = pc.fill_null(pc.equal(before, after), False)
    nobody = pc.and_(pc.is_null(before), pc.is_null(after))
    return len(before) - int(pc.sum(pc.or_(same, nobody)).as_py() or 0)


def _resolutions(decision: Decision) -> dict[str, int]:
    counts = np.bincount(decision.outcome.resolution, minlength=len(Resolution))
    return {kind.name: int(counts[kind]) for kind in Resolution}
