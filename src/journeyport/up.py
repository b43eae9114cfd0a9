"""The Dagster UI beside the demo's servers or on one's own settings; Ctrl-C ends all.

Webserver and daemon are two processes on loopback; neither has a log-in, so neither
listens anywhere else.
"""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from journeyport import environment, instance, rehearsal
from journeyport.console import note, said
from journeyport.deployment import Deployment
from journeyport.errors import ArgumentError, PermanentError
from journeyport.processes import Child, Children, end_on_signals, require_free
from journeyport.settings import FIRST_DAY, PREFIX

WEBSERVER, DAEMON, VIEWER = "webserver", "daemon", "viewer"
PARTS = (WEBSERVER, DAEMON, VIEWER)
"""What can be started alone; the viewer is a webserver that starts nothing."""

_PATIENCE = 180.0
"""Seconds in which the UI must answer, on however busy a machine."""


def rehearse(port: int) -> None:
    """Start the demo's two servers and the UI on them, until Ctrl-C.

    Raises:
        ArgumentError: the port is taken.
        PermanentError: one of the processes ended by itself.
    """
    require_free(port)
    end_on_signals()
    home = rehearsal.folder()
    with rehearsal.servers(home, rehearsal.found(home)) as (stage, children):
        note(f"Customer Journey service  {stage.source_url}")
        note(f"Salesforce sandbox        {stage.org_url}")
        site = Deployment(lambda: environment.read(stage.environ))
        _serve(children, stage.home, stage.home, _prepared(site, stage.environ), port)


def own(port: int, only: str | None = None) -> None:
    """Start the UI on one's own settings, until Ctrl-C.

    Args:
        port: the webserver's port.
        only: one of PARTS, in place of this process: for a supervisor that wants one
            process for each. None: webserver and daemon as our children.

    Raises:
        ArgumentError: the port is taken, or there is no such part.
        SettingsError: a setting is missing or wrong.
        PermanentError: one of the processes ended by itself.
    """
    if only is not None and only not in PARTS:
        raise ArgumentError(f"--only takes {', '.join(PARTS)}; {only} is none of them.")
    if only != DAEMON:
        require_free(port)
    site = Deployment(environment.read)
    for warning in site.settings.warnings:
        note(warning)
    _ = (site.source, site.crm, site.alerting)
    environ = _prepared(site, environment.inherited())
    if only is not None:
        program = _programs(port)[only]
        os.execve(program[0], program, environ)  # noqa: S606  our own program
    end_on_signals()
    with Children() as children:
        _serve(children, site.home, Path.cwd(), environ, port)


def _prepared(site: Deployment, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of Dagster's processes; its folder is made ready."""
    settings = site.settings
    url = settings.dagster_url
    folder = instance.prepared(site.home, environ.get("DAGSTER_HOME"), url)
    if told := instance.behind(folder, url):
        note(told)
    # Read from the environment alone: by Dagster, or when the assets are imported.
    early = {
        "DAGSTER_HOME": str(folder),
        f"{PREFIX}FIRST_DAY": (settings.first_day or FIRST_DAY).isoformat(),
        f"{PREFIX}NIGHTLY_AT": settings.nightly_at,
        f"{PREFIX}NIGHTLY_ZONE": settings.nightly_zone,
        f"{PREFIX}SALESFORCE_DOMAIN": settings.salesforce_domain or "",
        f"{PREFIX}USER_HEADER": settings.user_header,
    }
    early |= {f"{PREFIX}DAGSTER_URL": url} if url else {}
    ours = dict(environ) | early
    _up_to_date(folder, ours)
    return ours


def _up_to_date(folder: Path, environ: Mapping[str, str]) -> None:
    """Make or migrate Dagster's storage, before several processes do so at once.

    Raises:
        PermanentError: it cannot be made.
    """
    with instance.outdated(folder, environ.get(f"{PREFIX}DAGSTER_URL")) as is_due:
        if not is_due:
            return
        with said.status("Preparing Dagster's storage …"):
            done = subprocess.run(  # noqa: S603  our own program, no shell
                [rehearsal.script("dagster"), "instance", "migrate"],
                env=dict(environ),
                cwd=folder,  # Dagster reads a .env where it is started
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            raise PermanentError(
                f"Dagster's storage could not be prepared ({lines[-1].strip()}); check "
                f"{folder} and JOURNEYPORT_DAGSTER_URL."
            )


def _programs(port: int) -> dict[str, list[str]]:
    """The command line of each part. None has a log-in: loopback alone."""
    workspace = ["--workspace", str(instance.shipped("workspace.yaml"))]
    listen = ["--host", "127.0.0.1", "--port", str(port)]
    web = [rehearsal.script("dagster-webserver"), *listen, *workspace]
    return {
        WEBSERVER: web,
        VIEWER: [*web, "--read-only"],
        DAEMON: [rehearsal.script("dagster-daemon"), "run", *workspace],
    }


def _serve(
    children: Children, home: Path, start: Path, environ: Mapping[str, str], port: int
) -> None:
    programs, started = _programs(port), {}
    for part in (WEBSERVER, DAEMON):
        started[part] = children.start(
            f"Dagster {part}",
            programs[part],
            environ=environ,
            folder=start,
            log=home / "logs" / f"dagster-{part}.log",
        )
    url = f"http://127.0.0.1:{port}"
    with said.status("Starting the Dagster UI …"):
        _wait(started[WEBSERVER], url)
    note(f"Dagster UI                {url}")
    note("Ctrl-C ends all of them.")
    try:
        _watch(children)
    except KeyboardInterrupt:
        note("Ending …")
        children.stop()
        note("All ended.")


def _wait(web: Child, url: str) -> None:
    with httpx.Client(trust_env=False, timeout=5) as http:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if web.process.poll() is not None:
                raise _ended(web)
            try:
                if http.get(f"{url}/server_info").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.3)
    raise PermanentError(
        f"The Dagster UI did not answer in time; its words are in {web.log}."
    )


def _watch(children: Children) -> None:
    while True:
        child = children.ended()
        if child is not None:
            raise _ended(child)
        time.sleep(0.5)


def _ended(child: Child) -> PermanentError:
    return PermanentError(
        f"The {child.name} ended by itself ({child.tail()}); its words are in "
        f"{child.log}."
    )
