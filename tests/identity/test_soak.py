"""The laws and the nights over many more examples than every run can afford."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.soak
@pytest.mark.parametrize(
    ("file", "setting", "count"),
    [
        ("test_laws.py", "LAW_EXAMPLES", "500"),
        ("test_incremental.py", "NIGHT_SEEDS", "30"),
    ],
)
def test_what_every_run_asks_holds_over_many_more_examples(file, setting, count):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(HERE / file)],
        env={**os.environ, setting: count},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
