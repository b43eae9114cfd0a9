"""kill -9 at any write, start again: the same lake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kill_me import DAYS
from live_service import ACCOUNT, serving

from journeyport.lake import Lake
from journeyport.state import State, windows

SCRIPT = Path(__file__).with_name("kill_me.py")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("kills")) as running:
        yield running


def walk(live, folder, kill_at=0):
    known = {**live.accounts[ACCOUNT], "url": live.url}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), json.dumps(known), str(kill_at)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def content(folder):
    """What the lake holds, lineage left out; each version once."""
    lake = Lake(folder / "lake")
    rows = [
        (row["engagement_id"], row["content_hash"], row["payload"])
        for day in DAYS
        for row in lake.read_raw(ACCOUNT, day).to_pylist()
    ]
    return sorted(rows)


def killed_and_walked_again(live, folder, kill_at):
    folder.mkdir()
    code, _ = walk(live, folder, kill_at)
    assert code == -9, f"not killed at write {kill_at}"
    code, told = walk(live, folder)
    assert code == 0
    assert told["statuses"] == ["PROVED", "PROVED"]
    state = State(f"sqlite:///{folder / 'state.db'}")
    assert windows.unfinished(state, ACCOUNT, DAYS[0]) is None
    state.close()
    return content(folder)


def test_a_kill_at_any_write_leaves_nothing_that_a_new_start_does_not_mend(
    live, tmp_path
):
    (tmp_path / "whole").mkdir()
    code, told = walk(live, tmp_path / "whole")
    assert code == 0
    whole = content(tmp_path / "whole")
    assert {key for key, *_ in whole} == live.truth(DAYS).keys()
    for kill_at in range(2, told["writes"], max(1, told["writes"] // 4)):
        mended = killed_and_walked_again(live, tmp_path / f"k{kill_at}", kill_at)
        assert mended == whole, f"killed at write {kill_at}"


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_kill_at_every_single_write_is_mended(live, tmp_path):
    (tmp_path / "whole").mkdir()
    _, told = walk(live, tmp_path / "whole")
    whole = content(tmp_path / "whole")
    for kill_at in range(1, told["writes"] + 1):
        mended = killed_and_walked_again(live, tmp_path / f"k{kill_at}", kill_at)
        assert mended == whole, f"killed at write {kill_at}"
