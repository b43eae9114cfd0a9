"""What operators rule about two identifiers: made, listed, taken back, applied.

Rules outrank evidence. How a rule acts on customers is in `partition` and `standing`;
where rules are kept, in `state.identity`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from journeyport.clock import Clock
from journeyport.errors import ArgumentError
from journeyport.identity.evidence import Evidence, Weights
from journeyport.identity.history import Identifier, locate
from journeyport.identity.partition import Rulings
from journeyport.state import State
from journeyport.state.identity import (
    OperatorRule,
    insert_rule,
    mark_undone,
    read_rules,
)

MUST_LINK, CANNOT_LINK = "MUST_LINK", "CANNOT_LINK"


def add_rule(
    state: State,
    *,
    account: str,
    kind: str,
    left: Identifier,
    right: Identifier,
    author: str,
    reason: str,
    clock: Clock,
    expires_at: datetime | None = None,
) -> OperatorRule:
    """Rule that two identifiers are one customer's, or never are.

    `left` and `right` are (type, normalised value); `kind` is MUST_LINK or CANNOT_LINK;
    without `expires_at` the rule holds until it is undone.

    Raises:
        ArgumentError: it makes no sense, or contradicts a rule that holds.
    """
    now = clock.now()
    if kind not in (MUST_LINK, CANNOT_LINK):
        raise ArgumentError(
            f"There is no rule {kind!r}; there are MUST_LINK and CANNOT_LINK."
        )
    if left == right:
        raise ArgumentError("A rule needs two different identifiers; name another.")
    if not all((*left, *right)):
        raise ArgumentError("A rule needs type and value of both identifiers.")
    if not author.strip() or not reason.strip():
        raise ArgumentError("A rule needs an author and a reason; give both.")
    if expires_at is not None and expires_at.tzinfo is None:
        raise ArgumentError("A rule's expiry needs a time zone; write it in UTC.")
    if expires_at is not None and expires_at <= now:
        raise ArgumentError(
            "A rule that expired already does nothing; name a later day."
        )
    low, high = sorted((left, right))
    holding = list_rules(state, account, now=now)
    for rule in holding:
        if rule.kind == kind and (rule.left, rule.right) == (low, high):
            raise ArgumentError(
                f"Rule {rule.number} says that already; undo it to change it."
            )
    _refuse_contradiction(holding, kind, low, high)
    return insert_rule(
        state,
        account=account,
        kind=kind,
        left=low,
        right=high,
        author=author.strip(),
        reason=reason.strip(),
        created_at=now,
        expires_at=expires_at,
    )


def undo_rule(state: State, number: int, *, author: str, clock: Clock) -> None:
    """Take a rule back; it stays in the list as undone.

    Raises:
        ArgumentError: there is no such rule, or it was undone before.
    """
    if not author.strip():
        raise ArgumentError("Undoing a rule needs an author; say who you are.")
    if not mark_undone(state, number, author=author.strip(), now=clock.now()):
        raise ArgumentError(
            f"Rule {number} does not stand; `journeyport identity rules` lists those "
            "that do."
        )


def list_rules(
    state: State, account: str | None = None, *, now: datetime | None = None
) -> list[OperatorRule]:
    """All rules, or those that hold at `now`."""
    rules = read_rules(state, account)
    return rules if now is None else [rule for rule in rules if rule.holds(now)]


def apply_rules(
    rules: Iterable[OperatorRule], evidence: Evidence, weights: Weights
) -> Rulings:
    """The rules in numbers; without effect where a value is unseen or blocked."""
    rules = list(rules)
    places = locate(
        evidence, [side for rule in rules for side in (rule.left, rule.right)]
    )
    found: dict[str, list[tuple[int, int]]] = {MUST_LINK: [], CANNOT_LINK: []}
    for rule, pair in zip(rules, places.reshape(-1, 2).tolist(), strict=True):
        if min(pair) < 0 or weights.blocked[pair].any():
            continue
        found[rule.kind].append((min(pair), max(pair)))
    return Rulings(
        tuple(dict.fromkeys(found[MUST_LINK])), tuple(dict.fromkeys(found[CANNOT_LINK]))
    )


def ties_of(
    rules: Iterable[OperatorRule], numbers: Mapping[Identifier, int]
) -> dict[int, set[int]]:
    """From each ruled value to those that rules name beside it, by number."""
    ties: dict[int, set[int]] = defaultdict(set)
    for rule in rules:
        if rule.left in numbers and rule.right in numbers:
            ties[numbers[rule.left]].add(numbers[rule.right])
            ties[numbers[rule.right]].add(numbers[rule.left])
    return dict(ties)


def _refuse_contradiction(
    holding: Sequence[OperatorRule], kind: str, left: Identifier, right: Identifier
) -> None:
    root: dict[Identifier, Identifier] = {}

    def find(node: Identifier) -> Identifier:
        while root.setdefault(node, node) != node:
            node = root[node]
        return node

    cannot = [(rule.number, rule.left, rule.right) for rule in holding
              if rule.kind == CANNOT_LINK]  # fmt: skip
    for rule in holding:
        if rule.kind == MUST_LINK:
            root[find(rule.left)] = find(rule.right)
    if kind == MUST_LINK:
        root[find(left)] = find(right)
    elif find(left) == find(right):
        raise ArgumentError(
            "Rules that hold say that these two are one customer; undo one of them "
            "first (`journeyport identity rules`)."
        )
    for number, one, other in cannot:
        if find(one) == find(other):
            raise ArgumentError(f"Rule {number} keeps these two apart; undo it first.")


def parse_identifier(text: str) -> Identifier:
    """`type=value` as (type, value).

    Raises:
        ArgumentError: it is not written so.
    """
    kind, _, value = text.partition("=")
    if not kind.strip() or not value.strip():
        raise ArgumentError(
            "An identifier of a rule is written type=value, as in "
            "emailAddresses=anna@example.org, with the value normalised."
        )
    return kind.strip(), value.strip()


def render_rules(rules: Iterable[OperatorRule], now: datetime) -> str:
    """One line per rule."""
    lines = []
    for rule in rules:
        if rule.undone_at is not None:
            status = f"undone {rule.undone_at:%Y-%m-%d} by {rule.undone_by}"
        elif not rule.holds(now):
            status = f"expired {rule.expires_at:%Y-%m-%d}"
        elif rule.expires_at is not None:
            status = f"holds until {rule.expires_at:%Y-%m-%d}"
        else:
            status = "holds"
        lines.append(
            f"{rule.number}. {rule.account_id} {rule.kind} {'='.join(rule.left)} "
            f"{'='.join(rule.right)} ({status}; {rule.author}, "
            f"{rule.created_at:%Y-%m-%d}: {rule.reason})"
        )
    return "\n".join(lines) or "There are no rules."
