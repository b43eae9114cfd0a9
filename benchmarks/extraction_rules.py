"""Each rule of the walk taken out in turn, and what the laws of the tests say to it.

    python benchmarks/extraction_rules.py --seeds 60

The sources that need a rule, the laws and the walk are those of the tests
(tests/extract/test_rules.py).
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "extract"))

from adversary import violations, walked
from test_rules import WALK

from journeyport.extract.rules import ALL


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=60)
    seeds = parser.parse_args().seeds
    print(f"| rule taken out | of {seeds} seeds break a law | the laws |")
    print("| --- | ---: | --- |")
    for rule, traits in WALK.items():
        without = replace(ALL, **{rule: False})
        broken: Counter[str] = Counter()
        noticed = 0
        for seed in range(seeds):
            found = violations(walked(seed, without, traits))
            noticed += bool(found)
            broken.update(found)
        told = "; ".join(f"{law} ({n})" for law, n in broken.most_common())
        print(f"| {rule.replace('_', ' ')} | {noticed} | {told} |")


if __name__ == "__main__":
    main()
