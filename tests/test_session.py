"""The one way in which DuckDB is opened to read the lake."""

import subprocess
import sys
from pathlib import Path

from journeyport.session import open_session

SOURCE = Path(__file__).parents[1] / "src" / "journeyport"
ASKED = """
from {module} import {name} as opened
asked = "SELECT current_setting('enable_progress_bar')"
print(opened().execute(asked).fetchone()[0])
"""


def draws_a_bar(module: str, name: str) -> bool:
    """Whether long queries draw a bar where Python was started without a file."""
    started = [sys.executable, "-c", ASKED.format(module=module, name=name)]
    ended = subprocess.run(started, capture_output=True, text=True, check=True)
    return {"True\n": True, "False\n": False}[ended.stdout]


def test_no_bar_is_drawn_where_duckdb_itself_would():
    assert draws_a_bar("duckdb", "connect")  # or the next line would show nothing
    assert not draws_a_bar("journeyport.session", "open_session")


def test_instants_are_in_utc_whatever_the_machine_s_zone():
    with open_session() as connection:
        said = connection.execute("SELECT TIMESTAMPTZ '2026-03-02 12:00:00+05'::TEXT")
        assert said.fetchone() == ("2026-03-02 07:00:00+00",)


def test_settings_of_duckdb_are_taken_from_the_first_moment_on(tmp_path):
    with open_session(tmp_path / "a.duckdb", threads=1) as connection:
        asked = "SELECT current_setting('threads'), current_database()"
        assert connection.execute(asked).fetchone() == (1, "a")


def test_whoever_reads_the_lake_opens_it_here():
    opening = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "duckdb.connect(" in path.read_text()
    }
    # The warehouse makes an empty file; its sessions are SQLAlchemy's.
    assert opening == {"session.py", "warehouse/duckdb_file.py"}
