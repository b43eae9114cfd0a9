"""What `deploy/` ships, started as it stands: services, a log-in in front, a viewer.

The services' own command lines are run; in nginx's file ports and paths are replaced.
"""

import contextlib
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from dagster_here import instance_in
from journeyport import environment, instance
from journeyport.processes import Children, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
NGINX = shutil.which("nginx")

LAUNCH = """
mutation($job: String!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {
    selector: {jobName: $job, repositoryName: "__repository__",
               repositoryLocationName: "journeyport"},
    executionMetadata: {tags: $tags}
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


def command(service: str, **ports: int) -> list[str]:
    """The command line of a service, for this environment and these ports."""
    text = (DEPLOY / f"journeyport-{service}.service").read_text()
    (line,) = re.findall("^ExecStart=(.*)$", text, re.MULTILINE)
    words = shlex.split(line)
    assert words[0].startswith("/opt/journeyport/.venv/bin/")
    words[0] = str(Path(sys.executable).with_name(Path(words[0]).name))
    if "--port" in words:
        words[words.index("--port") + 1] = str(ports[service])
    return words


@dataclass(frozen=True)
class Site:
    """The running services, and what stands in front."""

    home: Path
    behind: dict[str, int]
    front: dict[str, str]
    http: httpx.Client

    def ask(self, url: str, query: str, auth=None, headers=None, **variables):
        answer = self.http.post(
            f"{url}/graphql",
            json={"query": query, "variables": variables},
            auth=auth,
            headers=headers,
        )
        return answer.raise_for_status().json()["data"]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    home = folder / "home"
    behind = {"webserver": free_port(), "viewer": free_port()}
    ours = {
        "HOME": str(home),
        "ENV_FILE": "-",
        "SOURCE_URL": "http://127.0.0.1:9",
        "ACCOUNTS": "ABCDEF",
        "CLIENT_ID": "me",
        "CLIENT_SECRET": "secret",
        "APP_KEY": "key",
        "USER_HEADER": "X-Forwarded-User",
    }
    environ = environment.bare() | {f"JOURNEYPORT_{k}": v for k, v in ours.items()}
    trusted = ssl.create_default_context()
    with contextlib.ExitStack() as stack:
        children = stack.enter_context(Children())
        for service in behind:
            children.start(
                service,
                command(service, **behind),
                environ=environ,
                folder=folder,
                log=folder / f"{service}.log",
            )
        front = {}
        if NGINX is not None:
            aside = tempfile.TemporaryDirectory(prefix="jp-nginx-")
            place = Path(stack.enter_context(aside))
            front, trusted = in_front(children, place, behind)
        http = httpx.Client(verify=trusted, trust_env=False, timeout=60)
        stack.enter_context(http)
        for service, port in behind.items():
            until_it_answers(http, f"http://127.0.0.1:{port}", folder / service)
        yield Site(home, behind, front, http)


def in_front(children, folder, behind):
    """Start nginx with the shipped file; its addresses, and who trusts it."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / "journeyport.key"),
            *("-out", folder / "journeyport.crt"),
        ],
        check=True,
        capture_output=True,
    )
    ports = {"443": free_port(), "8443": free_port()}
    text = (DEPLOY / "nginx.conf").read_text()
    for shipped, port in ports.items():
        text = text.replace(f" {shipped} ssl;", f" 127.0.0.1:{port} ssl;")
    for shipped, port in (("3000", "webserver"), ("3001", "viewer")):
        text = text.replace(f"127.0.0.1:{shipped};", f"127.0.0.1:{behind[port]};")
    text = text.replace("/etc/nginx/", f"{folder}/")
    for name, user in (("operators", "alice"), ("viewers", "bob")):
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", f"{user}'s password"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        (folder / f"journeyport.{name}").write_text(f"{user}:{hashed}\n")
    (folder / "temporary").mkdir()
    places = "".join(
        f"{kind}_temp_path {folder}/temporary/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "whole.conf").write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        f"worker_processes 1;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{text}}}\n"
    )
    folder.chmod(0o755)  # nginx's worker is another user
    children.start(
        "nginx",
        [str(NGINX), "-p", str(folder), "-c", str(folder / "whole.conf")],
        environ={"PATH": "/usr/sbin:/usr/bin:/bin"},
        folder=folder,
        log=folder / "nginx.log",
    )
    trusted = ssl.create_default_context(cafile=str(folder / "journeyport.crt"))
    front = {
        "operators": f"https://127.0.0.1:{ports['443']}",
        "viewers": f"https://127.0.0.1:{ports['8443']}",
    }
    return front, trusted


def until_it_answers(http: httpx.Client, url: str, log: Path) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if http.get(f"{url}/server_info").status_code == 200:
                return
        time.sleep(0.3)
    raise AssertionError(log.with_suffix(".log").read_text())


ALICE, BOB = ("alice", "alice's password"), ("bob", "bob's password")


@pytest.fixture
def front(site) -> dict[str, str]:
    if NGINX is None:
        pytest.skip("nginx is not on this machine (apt-get install nginx)")
    return site.front


def test_without_a_log_in_the_answer_is_401(site, front):
    for url in front.values():
        for path in ("/", "/graphql", "/server_info"):
            assert site.http.get(url + path).status_code == 401, path
    wrong = ("alice", "guessed")
    assert site.http.get(front["operators"], auth=wrong).status_code == 401


def test_viewers_do_not_get_to_the_operators_door(site, front):
    assert site.http.get(front["operators"], auth=BOB).status_code == 401
    assert site.http.get(front["viewers"] + "/server_info", auth=BOB).is_success


def test_a_run_carries_the_name_of_who_signed_in_whatever_was_sent(site, front):
    forged = {"X-Forwarded-User": "mallory"}
    tags = [{"key": "journeyport/user", "value": "mallory"}]
    told = site.ask(front["operators"], LAUNCH, ALICE, forged, job="upkeep", tags=tags)[
        "launchRun"
    ]
    assert told["__typename"] == "LaunchRunSuccess", told
    folder = instance.prepared(site.home, None)
    with instance_in(folder) as kept:
        run = kept.get_run_by_id(told["run"]["runId"])
    assert run.tags["journeyport/user"] == "alice"


def test_the_viewer_refuses_to_launch_a_run(site):
    url = f"http://127.0.0.1:{site.behind['viewer']}"
    told = site.ask(url, LAUNCH, job="upkeep", tags=[])["launchRun"]
    assert told["__typename"] == "UnauthorizedError", told


def test_the_viewer_refuses_through_the_door_too_and_shows_the_assets(site, front):
    url = front["viewers"]
    told = site.ask(url, LAUNCH, BOB, job="upkeep", tags=[])["launchRun"]
    assert told["__typename"] == "UnauthorizedError", told
    assets = site.ask(url, "{assetNodes {id}}", BOB)["assetNodes"]
    assert len(assets) > 20


def test_services_listen_on_loopback_alone(site):
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    listening = {row[1] for row in rows if row[3] == "0A"}
    for port in site.behind.values():
        found = {one for one in listening if one.endswith(f":{port:04X}")}
        assert found == {f"0100007F:{port:04X}"}
