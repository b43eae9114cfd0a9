"""The walk and paging by number against the same hostile model sources, by seed.

    python benchmarks/extraction_seeds.py --seeds 1000

The sources are those of the tests (tests/extract/model_source.py). Lost is what was
dated in the range, visible to every copy before the first question and not erased until
the last, and did not come out, though the exporter called its work complete.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "extract"))

from adversary import naive, violations, walked


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    seeds = range(parser.parse_args().seeds)
    proofs: Counter[str] = Counter()
    events = calls = lost = broken = there = missed = losing = 0
    for seed in seeds:
        outcome = walked(seed)
        proofs[outcome.proof] += 1
        events += outcome.source.events
        calls += outcome.calls
        broken += bool(violations(outcome))
        if outcome.proof != "UNPROVEN":
            lost += len(outcome.lost)
        gone, claimed = naive(seed)
        there += claimed
        missed += len(gone)
        losing += bool(gone)
    many = len(seeds)
    print(
        f"{many} seeds, {events / many:.1f} events and {calls / many:.1f} calls a seed"
    )
    print("| exporter | seeds that lost rows | rows lost | of rows claimed |")
    print("| --- | ---: | ---: | ---: |")
    print(f"| page numbers | {losing} | {missed:,} | {there:,} |")
    print(f"| the walk | {broken} | {lost:,} | |")
    told = ", ".join(f"{name} {count}" for name, count in sorted(proofs.items()))
    print(f"How the walks ended: {told}.")


if __name__ == "__main__":
    main()
