"""Rules against truth: the local service's invented people, with trouble added."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "identity_score.py"


def test_customers_are_right_where_the_evidence_can_tell(tmp_path):
    out = tmp_path / "score.json"
    subprocess.run(
        [sys.executable, SCRIPT, "--engagements", "8000", "--seed", "1", "--own-mail",
         "--out", out],
        check=True, capture_output=True,
    )  # fmt: skip
    score = json.loads(out.read_text())
    assert score["journeyport"]["pairs_decidable"] > 5000
    assert score["journeyport"]["precision"] >= 0.999
    assert score["journeyport"]["recall"] >= 0.95
    assert score["components"]["precision"] < 0.9
    assert score["components_without_weak"]["recall"] < 0.9
