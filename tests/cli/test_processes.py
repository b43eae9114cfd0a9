"""Processes beside ours: they end in order, and say why when they end by themselves."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from journeyport.errors import ArgumentError, PermanentError
from journeyport.processes import Children, free_port, require_free, wait_for


def started(children, tmp_path, code):
    return children.start(
        "helper",
        [sys.executable, "-c", code],
        environ={"PATH": os.environ["PATH"]},
        folder=tmp_path,
        log=tmp_path / "logs" / "helper.log",
    )


def first_line(text):
    return text.splitlines()[0] if "\n" in text else None


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_and_its_own_children_end_with_the_block(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; "
        "time.sleep(60)'])\n"
        "print(inner.pid, flush=True)\ntime.sleep(60)"
    )
    with Children() as children:
        child = started(children, tmp_path, code)
        inner = int(wait_for(child, first_line))
        assert is_alive(inner)
    assert child.process.returncode is not None
    assert ends(inner)


def ends(pid):
    """The signal was sent; on a busy machine its taking effect may lag behind."""
    latest = time.monotonic() + 30
    while is_alive(pid) and "Z" not in state(pid):
        if time.monotonic() > latest:
            return False
        time.sleep(0.01)
    return True


def state(pid):
    # Nobody may be left to wait for an orphan here: a zombie counts as ended.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_a_child_that_ignores_the_polite_end_is_ended_all_the_same(tmp_path):
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\ntime.sleep(60)"
    )
    children = Children()
    child = started(children, tmp_path, code)
    wait_for(child, first_line)
    children.stop(patience=0.2)
    assert child.process.returncode == -9


DEAF = {
    "as usual": "",
    # What a shell's `&` and Dagster leave behind in a process that ran a job.
    "ignored": "[signal.signal(n, signal.SIG_IGN) for n in (2, 15)]\n",
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, {2, 15})\n",
}


@pytest.mark.parametrize("before", DEAF.values(), ids=DEAF.keys())
def test_children_of_a_killed_process_end_too(tmp_path, before):
    code = (
        f"import os, signal, sys\n{before}from pathlib import Path\n"
        "from journeyport.processes import Children, wait_for\n"
        "children = Children()\n"
        "child = children.start('c', [sys.executable, '-c', 'import time; "
        "print(1, flush=True); time.sleep(300)'], environ={}, folder=Path('.'), "
        "log=Path('c.log'))\n"
        "wait_for(child, lambda text: text or None)\n"
        "print(child.process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    pid = int(done.stdout)
    assert ends(pid), Path(f"/proc/{pid}/status").read_text()


def test_a_child_that_ends_too_early_is_named_with_its_last_words(tmp_path):
    with Children() as children:
        child = started(children, tmp_path, "raise SystemExit('no room left')")
        with pytest.raises(PermanentError, match=r"helper ended .*no room left"):
            wait_for(child, lambda text: None)


def test_a_taken_port_is_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ArgumentError, match=f"Port {port} .* is taken"):
            require_free(port)
    require_free(free_port())
