"""The Dagster UI beside the demo's servers or on one's own settings; Ctrl-C ends all.

Webserver and daemon are two processes on loopback; neither has a log-in, so neither
listens anywhere else.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from journeyport import environment, instance, rehearsal
from journeyport.console import note, said
from journeyport.deployment import Deployment
from journeyport.errors import PermanentError
from journeyport.processes import Child, Children, end_on_signals, require_free
from journeyport.settings import FIRST_DAY, PREFIX

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
        _serve(children, stage.home, stage.home, stage.environ, port)


def own(port: int) -> None:
    """Start the UI on one's own settings, until Ctrl-C.

    Raises:
        ArgumentError: the port is taken.
        SettingsError: a setting is missing or wrong.
        PermanentError: one of the processes ended by itself.
    """
    require_free(port)
    end_on_signals()
    site = Deployment(environment.read)
    for warning in site.settings.warnings:
        note(warning)
    _ = (site.source, site.crm)
    with Children() as children:
        settings = site.settings
        # The code location reads these from the environment alone, when imported.
        early = {
            f"{PREFIX}FIRST_DAY": (settings.first_day or FIRST_DAY).isoformat(),
            f"{PREFIX}NIGHTLY_AT": settings.nightly_at,
            f"{PREFIX}NIGHTLY_ZONE": settings.nightly_zone,
            f"{PREFIX}SALESFORCE_DOMAIN": settings.salesforce_domain or "",
            f"{PREFIX}USER_HEADER": settings.user_header,
        }
        environ = environment.inherited() | early
        _serve(children, site.home, Path.cwd(), environ, port)


def _serve(
    children: Children, home: Path, start: Path, environ: Mapping[str, str], port: int
) -> None:
    folder = instance.prepared(home, environ.get("DAGSTER_HOME"))
    ours = dict(environ) | {"DAGSTER_HOME": str(folder)}
    workspace = str(instance.shipped("workspace.yaml"))
    logs = home / "logs"
    web = children.start(
        "Dagster webserver",
        [
            rehearsal.script("dagster-webserver"),
            *("--host", "127.0.0.1", "--port", str(port), "--workspace", workspace),
        ],
        environ=ours,
        folder=start,
        log=logs / "dagster-webserver.log",
    )
    children.start(
        "Dagster daemon",
        [rehearsal.script("dagster-daemon"), "run", "--workspace", workspace],
        environ=ours,
        folder=start,
        log=logs / "dagster-daemon.log",
    )
    url = f"http://127.0.0.1:{port}"
    with said.status("Starting the Dagster UI …"):
        _wait(web, url)
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
