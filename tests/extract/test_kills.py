"""kill -9 at any write, start again: the same lake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kill_me import DAYS
from live_service import ACCOUNT, serving

from journeyport import extract
from journeyport.lake import Lake
from journeyport.state import State, pending, watch, windows
from journeyport.tables import DAILY, LINEAGE

SCRIPT = Path(__file__).with_name("kill_me.py")


class Killer:
    """Exports into folders, in processes that die at a write."""

    def __init__(self, process):
        self.process = process

    def export(self, folder, kill_at=0):
        self.process.stdin.write(json.dumps([str(folder), kill_at]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("kills")) as running:
        yield running


@pytest.fixture(scope="module")
def killer(live):
    known = {**live.accounts[ACCOUNT], "url": live.url}
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(known)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Killer(process)
        process.stdin.close()


@pytest.fixture(scope="module")
def whole(killer, tmp_path_factory):
    """What an export that nobody kills comes to, and how many writes it takes."""
    folder = tmp_path_factory.mktemp("whole")
    code, told = killer.export(folder)
    assert code == 0
    return content(folder), told["writes"]


def content(folder):
    """What is held, lineage left out: raw versions, each once, tables, watch-list."""
    lake = Lake(folder / "lake")
    raw = sorted(
        (row["engagement_id"], row["content_hash"], row["payload"])
        for day in DAYS
        for row in lake.read_raw(ACCOUNT, day).to_pylist()
    )
    tables = {}
    for table in DAILY:
        data = lake.read(table.name)
        kept = [one.name for one in table.columns if one.origin is not LINEAGE]
        tables[table.name] = sorted(map(repr, data.select(kept).to_pylist()))
    state = State(f"sqlite:///{folder / 'state.db'}")
    watched = [
        (one.engagement_id, one.day, one.reason) for one in watch.listed(state, ACCOUNT)
    ]
    state.close()
    return raw, tables, watched


def killed_and_exported_again(killer, folder, kill_at):
    folder.mkdir()
    code, _ = killer.export(folder, kill_at)
    assert code == -9, f"not killed at write {kill_at}"
    code, told = killer.export(folder)
    assert code == 0
    assert told["statuses"] == ["PROVED", "PROVED"]
    assert not list(folder.rglob(".*.tmp")), f"left over by a kill at write {kill_at}"
    lake, state = Lake(folder / "lake"), State(f"sqlite:///{folder / 'state.db'}")
    assert windows.unfinished(state, ACCOUNT, DAYS[0]) is None
    assert not pending.of(state, ACCOUNT)
    for day in DAYS:
        assert extract.verify_certificate(lake, state, ACCOUNT, day).ok
    state.close()
    return content(folder)


def test_a_kill_at_any_write_leaves_nothing_that_a_new_start_does_not_mend(
    live, killer, whole, tmp_path
):
    held, writes = whole
    assert {key for key, *_ in held[0]} == live.truth(DAYS).keys()
    assert len(held[1]["engagements"]) == len(live.truth(DAYS))
    assert held[2]
    for kill_at in range(2, writes, max(1, writes // 5)):
        mended = killed_and_exported_again(killer, tmp_path / f"k{kill_at}", kill_at)
        assert mended == held, f"killed at write {kill_at}"


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_kill_at_every_single_write_is_mended(killer, whole, tmp_path):
    held, writes = whole
    for kill_at in range(1, writes + 1):
        mended = killed_and_exported_again(killer, tmp_path / f"k{kill_at}", kill_at)
        assert mended == held, f"killed at write {kill_at}"
