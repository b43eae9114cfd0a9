"""How right the customers are, on invented people whose truth is known.

    python benchmarks/identity_score.py --engagements 8000 --seed 1 --out FILE

The people are the local service's own (its generator, run as a process, writes who was
behind each engagement). On top of them this script adds trouble with a frozen seed: a
share of calls comes from a switchboard, a share from a phone that two strangers share,
a share of account ids is mistyped. Then it scores, per pair of engagements:

- an engagement is *decidable* when it carries a value that nobody but its person was
  seen with. Precision: of the pairs of decidable engagements put together, how many are
  one person's; `precision_of_all` takes the undecidable ones in (a call from a shared
  phone and nothing else: no evidence tells whose it is).
- recall: of the decidable pairs of one person, how many are put together. Such a pair
  is decidable when the person's own values connect the two: STRONG and VERY_STRONG
  ones; an engagement with weak values alone counts where such a value was seen beside
  one only of the person's connected groups.

With `--own-mail`, e-mail addresses that several people use are made each person's own:
the trouble is then the switchboard, the shared phones and the typos alone. Without it,
the generator's shared mailboxes and wrongly chosen records stay in.

Beside it: plain connected components over all values, and over all but the weak ones;
with `--splink`, splink's deterministic linking (a rule per identifier type, on DuckDB,
and its clustering) over the same two sets, in a virtual environment of its own.

How account ids are mistyped (`--typing`) decides how often a slip is somebody else's
id, since the generator numbers people one after another; the figures say how often.
"""

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from math import comb
from pathlib import Path

import numpy as np
import pyarrow as pa
from identity_splink import clusters

from journeyport.identity.config import STRENGTHS, load_config
from journeyport.identity.evidence import gather, weigh
from journeyport.identity.partition import Rulings, components
from journeyport.identity.standing import Resolution, settle
from journeyport.normalise.values import normalised

REGIONS = ("DE", "US")
ACCOUNTS = ("ABCDEF", "GHIJKL")
CONFIG = load_config()
Identifier = tuple[str, str]
TYPING = ("mixed", "dropped", "doubled", "replaced")
"""How an account id is mistyped: one digit left out, typed twice, or another digit in
its place; mixed: each of the three alike often."""


@dataclass(frozen=True)
class Trouble:
    """Shares of engagements (of account ids for `typos`) that are made difficult."""

    switchboard: float = 0.05
    shared: float = 0.10
    typos: float = 0.01
    typing: str = "mixed"
    own_mail: bool = False


@dataclass(frozen=True)
class People:
    """Engagements of one account: what each carries, when, and who was behind it."""

    account: str
    carried: dict[str, frozenset[Identifier]]
    started: dict[str, int]
    person: dict[str, str]


def generated(engagements: int, seed: int, folder: Path) -> list[People]:
    """The local service's invented people, account by account."""
    database = folder / "source.db"
    subprocess.run(
        [sys.executable, "-m", "customer_journey", "generate", "--database",
         f"sqlite:///{database}", "--engagements", str(engagements), "--days", "60",
         "--start", "2026-01-01", "--seed", str(seed),
         "--accounts", ",".join(ACCOUNTS)],
        check=True, capture_output=True,
    )  # fmt: skip
    behind: dict[str, dict[str, str]] = defaultdict(dict)
    for line in Path(f"{database}.truth.jsonl").read_text().splitlines():
        told = json.loads(line)
        for name in told["engagements"]:
            behind[told["account"]][name] = told["person"]
    found = []
    with sqlite3.connect(database) as connection:
        for account, region in zip(ACCOUNTS, REGIONS, strict=True):
            carried, started = {}, {}
            for name, start, held in connection.execute(
                "SELECT engagement_id, start_us, identifiers FROM engagements "
                "WHERE account_id = ? ORDER BY engagement_id",
                (account,),
            ):
                values = {
                    (kind, normalised(kind, value, region))
                    for kind, listed in json.loads(held).items()
                    for value in listed
                }
                carried[name] = frozenset(pair for pair in values if pair[1])
                started[name] = start
            found.append(People(account, carried, started, behind[account]))
    return found


def troubled(people: People, trouble: Trouble, seed: int) -> People:
    """The same people with trouble added, the same for the same seed."""
    chance = random.Random(f"{seed}/{people.account}")
    names = sorted(people.carried)
    everybody = sorted(set(people.person.values()))
    chance.shuffle(everybody)
    mailers: dict[Identifier, set[str]] = defaultdict(set)
    for name in names:
        for value in people.carried[name]:
            if value[0] == "emailAddresses":
                mailers[value].add(people.person[name])
    pairs = {person: place // 2 for place, person in enumerate(everybody)}
    carried = {}
    for name in names:
        values = set(people.carried[name])
        if trouble.own_mail:
            values = {
                (value[0], f"{people.person[name].lower()}@own.biz")
                if len(mailers.get(value, ())) > 1
                else value
                for value in values
            }
        called = [pair for pair in values if pair[0] == "phoneNumbers"]
        draw = chance.random()
        if called and draw < trouble.switchboard + trouble.shared:
            board = draw < trouble.switchboard
            number = (
                f"+1555000{chance.randrange(4):04d}"
                if board
                else f"+1556{pairs[people.person[name]]:07d}"
            )
            values = values - set(called) | {("phoneNumbers", number)}
        for kind, value in sorted(values):
            if kind == "accountIds" and chance.random() < trouble.typos:
                wrong = _mistyped(value, chance, trouble.typing)
                values = values - {(kind, value)} | {(kind, wrong)}
        carried[name] = frozenset(values)
    return People(people.account, carried, people.started, people.person)


def _mistyped(value: str, chance: random.Random, typing: str) -> str:
    """The value with one slip: see TYPING."""
    place = chance.randrange(2, len(value))
    here = value[place]
    slips = {
        "dropped": "",
        "doubled": here * 2,
        "replaced": chance.choice([one for one in "0123456789" if one != here]),
    }
    kind = chance.choice(tuple(slips)) if typing == "mixed" else typing
    return value[:place] + slips[kind] + value[place + 1 :]


def ours(people: People) -> tuple[dict[str, Hashable], dict[str, int]]:
    """Our customers per engagement, and how many engagements of each resolution."""
    evidence, weights = _weighed(people)
    outcome = settle(evidence, weights, Rulings())
    names = evidence.engagements.to_pylist()
    labels = outcome.engagement_label.tolist()
    counts = np.bincount(outcome.resolution, minlength=len(Resolution))
    return (
        {name: label for name, label in zip(names, labels, strict=True) if label >= 0},
        {kind.name: int(counts[kind]) for kind in Resolution},
    )


def plain(people: People, *, weak: bool) -> dict[str, Hashable]:
    """Connected components over all values, or over all but the weak ones."""
    evidence, weights = _weighed(people)
    kept = (weights.strength > 0) | weak
    kept &= ~weights.blocked
    rows = kept[evidence.row_value]
    count = evidence.engagement_count
    label = components(
        count + evidence.value_count,
        evidence.row_engagement[rows],
        evidence.row_value[rows] + np.int32(count),
    )
    seen = np.unique(evidence.row_engagement[rows]).tolist()
    names = evidence.engagements.to_pylist()
    return {names[number]: int(label[number]) for number in seen}


def _weighed(people: People):  # noqa: ANN202 - a private shortcut
    evidence = _evidence(people)
    return evidence, weigh(evidence, CONFIG, people.account, {"loyaltyCards": "STRONG"})


def _evidence(people: People):  # noqa: ANN202 - a private shortcut
    names = list(people.carried)
    rows = [(name, *pair) for name in names for pair in people.carried[name]]
    columns = ("engagement_id", "identifier_type", "value")
    return gather(
        pa.table(
            {
                "engagement_id": pa.array(names, pa.string()),
                "start_date": pa.array(
                    [people.started[name] for name in names], pa.int64()
                ).cast(pa.timestamp("us", "UTC")),
            }
        ),
        pa.table(
            {
                column: pa.array([row[place] for row in rows], pa.string())
                for place, column in enumerate(columns)
            }
        ),
    )


def decidable(people: People) -> dict[str, Hashable | None]:
    """Per decidable engagement the group that its person's own values connect it with.

    None: it is decidable whose it is, but not with which other it goes.
    """
    users: dict[Identifier, set[str]] = defaultdict(set)
    for name, values in people.carried.items():
        for value in values:
            users[value].add(people.person[name])
    own = {
        name: sorted(value for value in values if len(users[value]) == 1)
        for name, values in people.carried.items()
    }
    strong = {name: [v for v in own[name] if _links(v)] for name in own}
    find = _united(strong.values())
    beside: dict[Identifier, set[Hashable]] = defaultdict(set)
    for name, values in own.items():
        for value in values:
            if strong[name]:
                beside[value].add(find(strong[name][0]))
    found: dict[str, Hashable | None] = {}
    for name, values in own.items():
        if strong[name]:
            found[name] = find(strong[name][0])
        elif values:
            reached = set().union(*(beside[value] for value in values))
            lone = values[0] if not reached and len(values) == 1 else None
            found[name] = reached.pop() if len(reached) == 1 else lone
    return found


def _links(value: Identifier) -> bool:
    strengths = {**CONFIG.strengths, "loyaltyCards": "STRONG"}
    return STRENGTHS.index(strengths.get(value[0], "WEAK")) > 0


def _united(groups: Iterable[list[Hashable]]) -> Callable[[Hashable], Hashable]:
    root: dict[Hashable, Hashable] = {}

    def find(node: Hashable) -> Hashable:
        while root.setdefault(node, node) != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for group in groups:
        for node in group[1:]:
            root[find(node)] = find(group[0])
    return find


def scored(people: People, put: dict[str, Hashable]) -> dict[str, int]:
    """Pairs put together, those of one person, decidable ones, and those found."""
    by_customer = defaultdict(set)
    for name, customer in put.items():
        by_customer[customer].add(people.person[name])
    can = decidable(people)
    sure = {name: customer for name, customer in put.items() if name in can}
    sure_by_customer = defaultdict(set)
    for name, customer in sure.items():
        sure_by_customer[customer].add(people.person[name])
    groups = {name: group for name, group in can.items() if group is not None}
    return {
        "together_of_all": _pairs(put.values()),
        "right_of_all": _pairs((put[name], people.person[name]) for name in put),
        "together": _pairs(sure.values()),
        "right": _pairs((sure[name], people.person[name]) for name in sure),
        "decidable": _pairs(groups.values()),
        "found": _pairs((groups[name], put[name]) for name in groups if name in put),
        "people_in_worst": max(map(len, by_customer.values()), default=0),
        "decidable_in_worst": max(map(len, sure_by_customer.values()), default=0),
    }


def _pairs(groups: Iterable[Hashable]) -> int:
    return sum(comb(count, 2) for count in Counter(groups).values())


def summed(parts: list[dict[str, int]]) -> dict[str, float]:
    """Precision, recall and the worst customer over all accounts."""
    total = {name: sum(part[name] for part in parts) for name in parts[0]}
    return {
        "precision": round(total["right"] / max(total["together"], 1), 5),
        "precision_of_all": round(
            total["right_of_all"] / max(total["together_of_all"], 1), 5
        ),
        "recall": round(total["found"] / max(total["decidable"], 1), 5),
        "pairs_together": total["together"],
        "pairs_decidable": total["decidable"],
        "people_in_worst_customer": max(part["people_in_worst"] for part in parts),
        "of_decidable_engagements": max(part["decidable_in_worst"] for part in parts),
    }


def score(
    engagements: int, seed: int, trouble: Trouble, *, splink: bool
) -> dict[str, object]:
    """All figures of one configuration."""
    with tempfile.TemporaryDirectory(prefix="identity-") as folder:
        everybody = [
            troubled(people, trouble, seed)
            for people in generated(engagements, seed, Path(folder))
        ]
    mine = [ours(people) for people in everybody]
    resolutions = sum((Counter(counts) for _, counts in mine), Counter())
    both = list(zip(everybody, mine, strict=True))
    peers = beside(everybody) if splink else {}
    hit = sum(clashing(people) for people in everybody)
    return {
        "configuration": {
            "engagements": engagements,
            "seed": seed,
            **vars(trouble),
        },
        "typos_that_are_somebodys_id": hit,
        "resolutions": {kind.name: resolutions[kind.name] for kind in Resolution},
        "ambiguous_share": round(resolutions["AMBIGUOUS"] / engagements, 4),
        "journeyport": summed([scored(people, put) for people, (put, _) in both]),
        "components_without_weak": summed(
            [scored(people, plain(people, weak=False)) for people in everybody]
        ),
        "components": summed(
            [scored(people, plain(people, weak=True)) for people in everybody]
        ),
        **peers,
    }


def clashing(people: People) -> int:
    """Engagements with an account id that most engagements say is another's."""
    holders: dict[Identifier, Counter[str]] = defaultdict(Counter)
    for name, values in people.carried.items():
        for value in values:
            if value[0] == "accountIds":
                holders[value][people.person[name]] += 1
    return sum(
        holder.total() - max(holder.values())
        for holder in holders.values()
        if len(holder) > 1
    )


def beside(everybody: list[People]) -> dict[str, object]:
    """Deterministic linking by splink, over all values and over all but weak ones."""
    found: dict[str, object] = {}
    for name, weak in (("splink_without_weak", False), ("splink", True)):
        parts = []
        for people in everybody:
            evidence, weights = _weighed(people)
            kept = np.flatnonzero(((weights.strength > 0) | weak) & ~weights.blocked)
            usable = {evidence.name(number) for number in kept.tolist()}
            carried = {
                engagement: sorted(values & usable)
                for engagement, values in people.carried.items()
                if values & usable
            }
            parts.append(scored(people, clusters(carried)))
        found[name] = summed(parts)
    return found


def main() -> None:
    """Score and print, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engagements", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--switchboard", type=float, default=0.05)
    parser.add_argument("--shared", type=float, default=0.10)
    parser.add_argument("--typos", type=float, default=0.01)
    parser.add_argument("--typing", choices=TYPING, default="mixed")
    parser.add_argument("--splink", action="store_true")
    parser.add_argument("--own-mail", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    trouble = Trouble(
        chosen.switchboard,
        chosen.shared,
        chosen.typos,
        chosen.typing,
        chosen.own_mail,
    )
    figures = score(chosen.engagements, chosen.seed, trouble, splink=chosen.splink)
    text = json.dumps(figures, indent=2)
    if chosen.out:
        chosen.out.write_text(text + os.linesep)
    print(text)


if __name__ == "__main__":
    main()
