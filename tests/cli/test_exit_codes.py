"""Exit code 2: each wrong argument and setting in its one sentence, no traceback."""

import getpass
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from journeyport import cli

SET = {
    "SOURCE_URL": "http://127.0.0.1:9",
    "ACCOUNTS": "ABCDEF",
    "CLIENT_ID": "reader",
    "CLIENT_SECRET": "word",
    "APP_KEY": "key",
    "CLOCK": "2026-03-16T06:00:00Z",
}

DAYS = ("export", "--from", "2026-03-14", "--to", "2026-03-15")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def journeyport(tmp_path, monkeypatch, capfd):
    """Runs a command in this process, which is where most of its time is saved."""

    def run(*arguments, **settings):
        for name in [name for name in os.environ if name.startswith("JOURNEYPORT_")]:
            monkeypatch.delenv(name)
        for name, value in ({"HOME": str(tmp_path / "home")} | settings).items():
            monkeypatch.setenv(f"JOURNEYPORT_{name}", value)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["journeyport", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return Done(ended.value.code, said.out, said.err)

    return run


def in_a_process(folder, *arguments, **settings):
    names = ("PATH", "HOME", "LANG")
    ours = {name: os.environ[name] for name in names if name in os.environ}
    values = {f"JOURNEYPORT_{name}": value for name, value in settings.items()}
    return subprocess.run(
        [str(Path(sys.executable).with_name("journeyport")), *arguments],
        env=ours | values | {"JOURNEYPORT_HOME": str(folder / "home")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


CASES = {
    "a day that is none": (
        ("export", "--from", "yesterday", "--to", "2026-03-15"),
        {},
        "--from yesterday is no day",
    ),
    "ends swapped": (
        ("export", "--from", "2026-03-15", "--to", "2026-03-14"),
        {},
        "comes before",
    ),
    "a day to come": (
        ("export", "--from", "2026-03-15", "--to", "2026-03-18"),
        {},
        "has not begun yet",
    ),
    "a day too far back": (
        ("export", "--from", "1999-01-01", "--to", "2026-03-15"),
        {},
        "set JOURNEYPORT_FIRST_DAY",
    ),
    "a target that is none": ((*DAYS, "--only", "sheet"), {}, "--only takes lake"),
    "a missing source": (DAYS, {"SOURCE_URL": ""}, "JOURNEYPORT_SOURCE_URL is missing"),
    "a missing secret": (
        DAYS,
        {"CLIENT_SECRET": ""},
        "JOURNEYPORT_CLIENT_SECRET_ABCDEF",
    ),
    "missing accounts": (("nightly",), {"ACCOUNTS": ""}, "JOURNEYPORT_ACCOUNTS is"),
    "a wrong setting": (
        DAYS,
        {"LOOKBACK_DAYS": "many"},
        "JOURNEYPORT_LOOKBACK_DAYS is wrong",
    ),
    "plain http off this machine": (
        DAYS,
        {"SOURCE_URL": "http://host.example.com"},
        "http",
    ),
    "a crm that is not set up": (
        (*DAYS, "--only", "crm"),
        {},
        "JOURNEYPORT_SALESFORCE_DOMAIN is missing",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_one_sentence_one_json_line_and_exit_code_2(journeyport, case):
    arguments, settings, words = case
    done = journeyport(*arguments, **(SET | settings))
    assert done.returncode == 2, done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    assert words in sentence
    (line,) = done.stdout.splitlines()
    report = json.loads(line)
    assert report["status"] == "refused"
    assert report["error"] == sentence


@pytest.mark.parametrize(
    "arguments",
    [("export", "--from", "2026-03-14"), ("export", "--nope"), ("unknown",)],
    ids=["a missing option", "an unknown option", "an unknown command"],
)
def test_a_wrong_command_line_ends_with_2_and_no_traceback(journeyport, arguments):
    done = journeyport(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_misspelt_setting_is_pointed_out_before_anything_else(journeyport):
    done = journeyport(*DAYS, **(SET | {"SORCE_URL": "x", "APP_KEY": ""}))
    assert "did you mean JOURNEYPORT_SOURCE_URL?" in done.stderr
    assert done.returncode == 2


def test_a_command_about_a_crm_says_that_there_is_none(journeyport):
    done = journeyport("crm", "check", **SET)
    assert done.returncode == 2
    assert "No CRM is set up" in done.stderr


def test_the_exit_code_is_the_process_s_own(tmp_path):
    done = in_a_process(tmp_path, *DAYS, **(SET | {"SOURCE_URL": ""}))
    assert done.returncode == 2
    assert "JOURNEYPORT_SOURCE_URL is missing" in done.stderr
    assert json.loads(done.stdout)["status"] == "refused"
    assert "Traceback" not in done.stderr


def test_help_starts_without_the_heavy_libraries():
    code = (
        "import sys\nfrom journeyport import cli\n"
        "print([name for name in ('pyarrow', 'duckdb', 'dagster', 'pandas', "
        "'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


RULING = (
    "identity",
    "unlink",
    "emailAddresses=a@b.example",
    "emailAddresses=c@b.example",
)


def test_a_ruling_is_made_by_the_login_listed_and_taken_back(journeyport):
    made = journeyport(*RULING, "--reason", "asked", "--expires", "2026-12-31", **SET)
    assert made.returncode == 0, made.stderr
    assert "Rule 1 holds" in made.stdout
    listed = journeyport("identity", "rules", **SET).stdout
    assert f"holds until 2026-12-31; {getpass.getuser()}, 2026-03-16: asked" in listed
    assert journeyport("identity", "undo", "1", **SET).returncode == 0
    assert "undone 2026-03-16" in journeyport("identity", "rules", **SET).stdout


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ACCOUNTS": "ABCDEF,GHIJKL"}, "Name one of your accounts (--account"),
        ({"ACCOUNTS": "ABCDEF"}, "--expires soon is no day"),
    ],
    ids=["which of two accounts", "a day that is none"],
)
def test_a_ruling_that_says_too_little_is_refused(journeyport, more, words):
    done = journeyport(*RULING, "--reason", "x", "--expires", "soon", **(SET | more))
    assert done.returncode == 2
    assert words in done.stderr


def test_a_ruling_needs_a_reason(journeyport):
    done = journeyport(*RULING, **SET)
    assert done.returncode == 2
    assert "--reason" in done.stderr


RELEASE = ("release", "--account", "ZZZZZZ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("doctor", "--to", "2026-03-15"), "needs a --from"),
        (("profile", "--from", "2026-03-15", "--to", "2026-03-14"), "comes before"),
        (("profile", "--from", "soon"), "'soon' is no day"),
        (("sql", "SELECT * FROM nosuch"), "SQL cannot be answered"),
        (("doctor", "--account", "ZZZZZZ"), "ZZZZZZ is not in JOURNEYPORT_ACCOUNTS"),
        (
            (*RELEASE, "--day", "2026-03-14", "--who", "me", "--reason", "x"),
            "ZZZZZZ is not in JOURNEYPORT_ACCOUNTS",
        ),
        (
            ("certificate", "--account", "ABCDEF", "--day", "soon"),
            "--day soon is no day",
        ),
        (
            ("certificate", "--account", "ABCDEF", "--day", "2026-03-14"),
            "export the day first",
        ),
    ],
)
def test_a_mistake_outside_exports_is_one_sentence_too(journeyport, arguments, words):
    done = journeyport(*arguments, **SET)
    assert done.returncode == 2
    (sentence,) = done.stderr.strip().splitlines()
    assert words in sentence
    assert done.stdout == ""
