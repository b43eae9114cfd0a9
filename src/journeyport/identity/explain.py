"""Why two identifiers are one customer, or what keeps them apart.

Reads only what was published: `identity_links`, `identity_refusals` and
`customer_identifiers`. The answer holds personal values: it is for the person who
asked, never for a log.
"""

from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from journeyport.errors import ArgumentError
from journeyport.identity.history import Identifier
from journeyport.identity.rules import list_rules
from journeyport.lake import Lake
from journeyport.state import State

SAME, APART, NEVER_MET = "SAME_CUSTOMER", "APART", "NEVER_MET"

REASONS = {
    "CO_OCCURRENCE": "an engagement carries both",
    "ATTACHMENT": "an engagement carries both, and the weak one was seen with nobody "
    "else",
    "MUST_LINK": "an operator ruled that they are one customer's",
    "CAP": "one customer would hold more values of a very strong type than its cap "
    "allows",
    "OVERFULL_ENGAGEMENT": "they only met in engagements that carry more values of a "
    "very strong type than its cap allows",
    "WEAK_SHARED": "a weak value that was seen with several customers proves nothing",
    "WEAK_PAIR": "two weak values never link each other",
    "BLOCKED": "a value is on the blocklist",
    "HUB": "a value was seen with too many very strong ones to be anybody's own",
    "CANNOT_LINK": "an operator ruled that they are not one customer's",
}


@dataclass(frozen=True)
class Step:
    """One link or refusal between two identifiers.

    Attributes:
        rule: as in the table it comes from.
        engagement_id, seen_at: the evidence; None: an operator's rule.
        ruling: number, author and reason of the operator's rule, where it is one.
    """

    left: Identifier
    right: Identifier
    rule: str
    engagement_id: str | None
    seen_at: datetime | None
    ruling: str | None = None


@dataclass(frozen=True)
class Explanation:
    """What is known between two identifiers.

    Attributes:
        verdict: SAME_CUSTOMER, APART or NEVER_MET.
        left_customer, right_customer: None: SHARED, blocked or unseen.
        chain: the links that lead from left to right; where APART, links up to the
            refusal on either side of it, in order.
        refusal: the one that keeps them apart; None unless APART.
    """

    account: str
    left: Identifier
    right: Identifier
    verdict: str
    left_customer: str | None
    right_customer: str | None
    chain: tuple[Step, ...]
    refusal: Step | None

    def to_json(self) -> dict[str, Any]:
        """As plain values; instants in ISO 8601."""

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: plain(item) for name, item in value.items()}
            if isinstance(value, list | tuple):
                return [plain(item) for item in value]
            return value.isoformat() if isinstance(value, datetime) else value

        found: dict[str, Any] = plain(asdict(self))
        return found


def explain(
    lake: Lake, state: State, left: str, right: str, *, account: str | None = None
) -> Explanation:
    """Explain two identifiers, each as `value` or `type=value`.

    Raises:
        ArgumentError: one is unknown, or it takes an account or a type to tell which.
    """
    known = known_identifiers(lake, account)
    account, one, other = _both(known, left, right)
    ours, theirs = _customer(known, account, one), _customer(known, account, other)
    rulings = _rulings(state, account)
    links = _Links(lake, account, rulings)
    if one == other or (ours is not None and ours == theirs):
        chain = links.path(ours, one, other)
        return Explanation(account, one, other, SAME, ours, theirs, chain, None)
    refused = _refusal(lake, account, (one, ours), (other, theirs), rulings)
    if refused is None:
        return Explanation(account, one, other, NEVER_MET, ours, theirs, (), None)
    chain = (
        *links.path(ours, one, refused.left),
        refused,
        *links.path(theirs, refused.right, other),
    )
    return Explanation(account, one, other, APART, ours, theirs, chain, refused)


def render(explanation: Explanation) -> str:
    """The explanation in words."""
    one, other = _shown(explanation.left), _shown(explanation.right)
    if explanation.verdict == NEVER_MET:
        return (
            f"{one} and {other} never met: no engagement carries values of both, and "
            "no rule speaks of them."
        )
    if explanation.verdict == SAME:
        lines = [f"{one} and {other} are one customer, {explanation.left_customer}:"]
    else:
        lines = [
            (
                f"{one} ({explanation.left_customer or 'nobody'}) and {other} "
                f"({explanation.right_customer or 'nobody'}) are kept apart:"
            )
        ]
    for number, step in enumerate(explanation.chain, start=1):
        sign = "≠" if step == explanation.refusal else "="
        lines.append(
            f"  {number}. {_shown(step.left)} {sign} {_shown(step.right)}: "
            f"{REASONS[step.rule]} ({step.rule}{_where(step)})"
        )
    if not explanation.chain:
        lines.append("  they are the same value.")
    return "\n".join(lines)


def _where(step: Step) -> str:
    if step.ruling is not None:
        return f", {step.ruling}"
    if step.engagement_id is None or step.seen_at is None:
        return ""
    return f", engagement {step.engagement_id}, {step.seen_at:%Y-%m-%d %H:%M} UTC"


def _shown(identifier: Identifier) -> str:
    return f"{identifier[0]}={identifier[1]}"


def known_identifiers(lake: Lake, account: str | None) -> pa.Table:
    """Every identifier that stands anywhere: with customers, or in refusals."""
    accounts = None if account is None else [account]
    names = ["account_id", "identifier_type", "value", "customer_id"]
    rows = lake.read("customer_identifiers", accounts=accounts)
    shared = pc.equal(rows["standing"], "SHARED")
    own = pc.if_else(shared, pa.scalar(None, pa.string()), rows["customer_id"])
    parts = [
        rows.select(names[:3]).append_column("customer_id", own),
    ]
    for side in ("left", "right"):
        refused = lake.read("identity_refusals", accounts=accounts).select(
            ["account_id", f"{side}_type", f"{side}_value", f"{side}_customer_id"]
        )
        parts.append(refused.rename_columns(names))
    bare = pa.schema([(name, pa.string()) for name in names])
    return pa.concat_tables([part.cast(bare) for part in parts])


def _both(known: pa.Table, left: str, right: str) -> tuple[str, Identifier, Identifier]:
    """The one account that knows both, and what is meant in it."""
    sides = [meant(known, text) for text in (left, right)]
    for number, side in enumerate(sides, start=1):
        if not side:
            raise ArgumentError(
                f"No engagement carries identifier {number} of the 2 as written; write "
                "it normalised, as value or type=value."
            )
    shared = {account for account, _ in sides[0]} & {account for account, _ in sides[1]}
    if len(shared) != 1:
        raise ArgumentError(
            "Several accounts know these identifiers; name one with --account."
            if shared
            else "No account knows both identifiers; nothing crosses accounts."
        )
    (account,) = shared
    chosen = []
    for side in sides:
        found = {identifier for where, identifier in side if where == account}
        if len(found) > 1:
            raise ArgumentError(
                "The value stands under several types; write type=value."
            )
        chosen.append(found.pop())
    return account, chosen[0], chosen[1]


def meant(known: pa.Table, text: str) -> set[tuple[str, Identifier]]:
    """Where the text stands as a value or as type=value; else without case."""
    text = text.strip()
    kind, _, value = text.partition("=")
    typed = pc.and_(
        pc.equal(known["identifier_type"], kind), pc.equal(known["value"], value)
    )
    exact = known.filter(pc.or_(typed, pc.equal(known["value"], text)))
    if not len(exact):
        exact = known.filter(pc.equal(pc.utf8_lower(known["value"]), text.lower()))
    return {
        (row["account_id"], (row["identifier_type"], row["value"]))
        for row in exact.to_pylist()
    }


def _customer(known: pa.Table, account: str, identifier: Identifier) -> str | None:
    """Whose own the identifier is; None: SHARED, blocked."""
    mine = pc.and_(
        pc.equal(known["account_id"], account),
        pc.and_(
            pc.equal(known["identifier_type"], identifier[0]),
            pc.equal(known["value"], identifier[1]),
        ),
    )
    owners = known.filter(mine)["customer_id"].drop_null().to_pylist()
    return owners[0] if owners else None


def _rulings(state: State, account: str) -> dict[frozenset[Identifier], str]:
    return {
        frozenset((rule.left, rule.right)): (
            f"rule {rule.number} by {rule.author}: {rule.reason}"
        )
        for rule in list_rules(state, account)
        if rule.undone_at is None
    }


def _step(row: dict[str, Any], rulings: dict[frozenset[Identifier], str]) -> Step:
    left = (row["left_type"], row["left_value"])
    right = (row["right_type"], row["right_value"])
    ruled = row["rule"] in ("MUST_LINK", "CANNOT_LINK")
    return Step(
        left,
        right,
        row["rule"],
        row["engagement_id"],
        row["seen_at"],
        rulings.get(frozenset((left, right))) if ruled else None,
    )


def _turned(step: Step) -> Step:
    return Step(
        step.right, step.left, step.rule, step.engagement_id, step.seen_at, step.ruling
    )


class _Links:
    """The links of one account, walked customer by customer."""

    def __init__(
        self, lake: Lake, account: str, rulings: dict[frozenset[Identifier], str]
    ) -> None:
        self._rows = lake.read("identity_links", accounts=[account])
        self._rulings = rulings

    def path(
        self, customer: str | None, start: Identifier, end: Identifier
    ) -> tuple[Step, ...]:
        """The shortest chain of links; empty where start is end."""
        if start == end or customer is None:
            return ()
        mine = self._rows.filter(pc.equal(self._rows["customer_id"], customer))
        near: dict[Identifier, list[Step]] = {}
        for row in mine.to_pylist():
            step = _step(row, self._rulings)
            near.setdefault(step.left, []).append(step)
            near.setdefault(step.right, []).append(_turned(step))
        came: dict[Identifier, Step | None] = {start: None}
        waiting = deque([start])
        while waiting and end not in came:
            here = waiting.popleft()
            for step in sorted(near.get(here, ()), key=lambda step: step.right):
                if step.right not in came:
                    came[step.right] = step
                    waiting.append(step.right)
        chain: list[Step] = []
        last = came.get(end)
        while last is not None:
            chain.append(last)
            last = came[last.left]
        return tuple(reversed(chain))


def _refusal(
    lake: Lake,
    account: str,
    left: tuple[Identifier, str | None],
    right: tuple[Identifier, str | None],
    rulings: dict[frozenset[Identifier], str],
) -> Step | None:
    """The refusal between two sides: of the pair itself, else the earliest."""
    rows = lake.read("identity_refusals", accounts=[account])
    found: list[Step] = []
    for one, other, turned in (("left", "right", False), ("right", "left", True)):
        mask = pc.and_(_is(rows, one, left), _is(rows, other, right))
        steps = [_step(row, rulings) for row in rows.filter(mask).to_pylist()]
        found += [_turned(step) if turned else step for step in steps]

    def order(step: Step) -> tuple[Any, ...]:
        direct = (step.left, step.right) == (left[0], right[0])
        return (
            not direct,
            step.seen_at.timestamp() if step.seen_at else 0,
            step.left,
            step.right,
        )

    return min(found, key=order, default=None)


def _is(rows: pa.Table, side: str, who: tuple[Identifier, str | None]) -> pa.Array:
    """Rows whose side is the identifier or another of its customer's."""
    (kind, value), customer = who
    mask = pc.and_(
        pc.equal(rows[f"{side}_type"], kind), pc.equal(rows[f"{side}_value"], value)
    )
    if customer is None:
        return mask
    theirs = pc.fill_null(pc.equal(rows[f"{side}_customer_id"], customer), False)
    return pc.or_(mask, theirs)
