"""A rebuild of identity beside scipy's plain connected components, on the same edges.

    python benchmarks/identity.py --edges 10000000 --runs 5 --out FILE

An edge is one value on one engagement. The graph is invented: people with an account
id, e-mail addresses and phones; some phones shared by a few people, some calls from
switchboards, some account ids mistyped. Both sides get the same integer arrays; ours
pairs values, finds hubs, partitions under the cap, attaches weak values, judges every
pair and gives every engagement its customer. Numbering the values, giving customer ids
and writing tables are not in it.

CPU seconds, median of interleaved runs. The largest resident set is of the whole
process, scipy's and the graph's own arrays included.
"""

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from journeyport.identity.evidence import Evidence, Weights
from journeyport.identity.partition import Rulings
from journeyport.identity.standing import Outcome, Resolution, settle

KINDS = ("accountIds", "emailAddresses", "phoneNumbers")


def invented(edges: int, seed: int = 1) -> tuple[Evidence, Weights]:
    """About so many edges: each person has one engagement in two with an account id."""
    chance = np.random.default_rng(seed)
    engagements = int(edges / 1.9)
    people = max(engagements // 5, 10)
    person = chance.integers(0, people, engagements)
    number = np.arange(engagements)
    rows: list[tuple[np.ndarray, np.ndarray]] = []

    def carry(share: float, base: np.ndarray) -> None:
        chosen = chance.random(engagements) < share
        rows.append((number[chosen], base[chosen]))

    account = person.copy()
    typo = chance.random(engagements) < 0.01
    account[typo] = people + chance.integers(0, people // 50 + 1, typo.sum())
    accounts = people + people // 50 + 1
    carry(0.5, account)
    mail = person * 2 + (chance.random(engagements) < 0.2)
    carry(0.7, accounts + mail)
    mails = 2 * people
    phone = person.copy()
    shared = chance.random(engagements) < 0.10
    phone[shared] = people + person[shared] // 3
    board = chance.random(engagements) < 0.05
    phone[board] = 2 * people + chance.integers(0, 20, board.sum())
    carry(0.7, accounts + mails + phone)
    values = accounts + mails + 2 * people + 20
    kind = np.zeros(values, np.int8)
    kind[accounts:] = 1
    kind[accounts + mails :] = 2
    engagement = np.concatenate([part[0] for part in rows])
    value = np.concatenate([part[1] for part in rows])
    order = np.lexsort((value, engagement))
    names = pa.array(np.arange(values)).cast(pa.string())
    evidence = Evidence(
        KINDS,
        kind,
        names,
        pa.array(number).cast(pa.string()),
        number.astype(np.int64),
        engagement[order].astype(np.int32),
        value[order].astype(np.int32),
    )
    weights = Weights(
        np.array([2, 1, 0], np.int8)[kind],
        np.zeros(values, np.bool_),
        np.ones(3, np.int32),
        hub_limit=3,
        listed=20,
        crowded=np.zeros(values, np.bool_),
    )
    return evidence, weights


def plain(evidence: Evidence) -> int:
    """Connected components over engagements and values."""
    size = evidence.engagement_count + evidence.value_count
    graph = coo_array(
        (
            np.ones(len(evidence.row_value), np.int8),
            (evidence.row_engagement, evidence.row_value + evidence.engagement_count),
        ),
        (size, size),
    )
    count, _ = connected_components(graph, directed=False)
    return int(count)


def main() -> None:
    """Measure and print, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    evidence, weights = invented(chosen.edges)
    scipy_seconds, our_seconds = [], []
    outcome: Outcome | None = None
    for _ in range(chosen.runs):
        started = time.process_time()
        found = plain(evidence)
        scipy_seconds.append(time.process_time() - started)
        started = time.process_time()
        outcome = settle(evidence, weights, Rulings())
        our_seconds.append(time.process_time() - started)
    assert outcome is not None
    counts = np.bincount(outcome.resolution, minlength=len(Resolution))
    mine, theirs = statistics.median(our_seconds), statistics.median(scipy_seconds)
    figures = {
        "edges": len(evidence.row_value),
        "engagements": evidence.engagement_count,
        "values": evidence.value_count,
        "pairs": len(outcome.pairs),
        "components": found,
        "customers": int(np.unique(outcome.label[outcome.label >= 0]).size),
        "engagements_by_resolution": {
            kind.name: int(counts[kind]) for kind in Resolution
        },
        "scipy_cpu_seconds": round(theirs, 2),
        "journeyport_cpu_seconds": round(mine, 2),
        "ratio": round(mine / theirs, 2),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "runs": chosen.runs,
    }
    text = json.dumps(figures, indent=2)
    if chosen.out:
        chosen.out.write_text(text + os.linesep)
    print(text)


if __name__ == "__main__":
    main()
