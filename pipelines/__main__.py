"""`python -m pipelines`: the same assets without daemon or webserver.

    python -m pipelines export --from DAY --to DAY [--only TARGET] [--from-raw]
    python -m pipelines nightly [--from DAY --to DAY]

Ends with one JSON document on standard output and exit code 0 (all proved and
delivered), 1 (something failed) or 2 (settings). With --progress, standard error
carries lines that a program can follow. Runs are kept in DAGSTER_HOME, or in
JOURNEYPORT_HOME/dagster, so that the UI shows them beside its own.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from journeyport import instance, launch
from journeyport.errors import ArgumentError, JourneyportError, SettingsError
from journeyport.settings import FIRST_DAY, PREFIX
from journeyport.state import failures
from journeyport.tables import CUSTOMER_CRM_IDS as MATCHES
from journeyport.tables import DAILY, OPERATIONS, SNAPSHOTS
from pipelines.resources import SITE, Site

_LANDING = ("raw_engagements",)
_LAKE = tuple(table.name for table in (*DAILY, *SNAPSHOTS) if table is not MATCHES)
_AFTER = tuple(t.name for t in OPERATIONS)
_TARGETS = {
    None: ("warehouse", "crm_plan"),
    "lake": (),
    "warehouse": ("warehouse",),
    "crm": ("crm_plan",),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the jobs and print what came of it."""
    asked = _parser().parse_args(arguments)
    started = time.monotonic()
    if asked.progress:
        SITE.progress = _say
    try:
        code, told = _run(SITE, asked)
    except JourneyportError as error:
        wrong = isinstance(error, SettingsError | ArgumentError)
        code, told = (2 if wrong else 1), {"status": "failed", "error": str(error)}
    finally:
        SITE.close()
    told["seconds"] = round(time.monotonic() - started, 1)
    sys.stdout.write(json.dumps(told, default=str, ensure_ascii=False) + "\n")
    return code


def _run(site: Site, asked: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    from journeyport import night

    if asked.start is None:
        days = night.days(site.state, site.clock, site.accounts, site.options)
    else:
        days = night.span(asked.start, asked.end)
    url = site.settings.dagster_url
    folder = instance.prepared(site.home, os.environ.get("DAGSTER_HOME"), url)
    os.environ["DAGSTER_HOME"] = str(folder)
    if url is not None:  # Dagster reads it by its name
        os.environ[f"{PREFIX}DAGSTER_URL"] = url
    first = site.settings.first_day or FIRST_DAY
    os.environ[f"{PREFIX}FIRST_DAY"] = first.isoformat()
    _say("starting", 0, 0)
    import dagster as dg
    from dagster._core.storage.tags import MAX_RETRIES_TAG
    from dagster._core.utils import make_new_run_id

    from journeyport import receipts
    from pipelines import alerts, attribution, worker
    from pipelines.catalogue import RANGE_END, RANGE_START
    from pipelines.definitions import defs

    selection = None
    if asked.job == "export":
        chosen = (*_LAKE, *_TARGETS[asked.only], *_AFTER)
        names = chosen if asked.from_raw else (*_LANDING, *chosen)
        selection = [dg.AssetKey(name) for name in names]
    run_id = make_new_run_id()
    with _opened(folder, url) as kept:
        result = defs.resolve_job_def(asked.job).execute_in_process(
            instance=kept,
            asset_selection=selection,
            tags={
                RANGE_START: days[0].isoformat(),
                RANGE_END: days[-1].isoformat(),
                attribution.BY: attribution.COMMAND_LINE,
                attribution.USER: receipts.operator().user or "",
                # Whoever started it starts it again: the daemon cannot.
                MAX_RETRIES_TAG: "0",
                **worker.noted(run_id),
            },
            run_id=run_id,
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            raise_on_error=False,
        )
        for sentence in alerts.after(site, kept, result.run_id):
            _note(sentence)
    wrong = [vars(one) for one in failures.of_run(site.state, result.run_id)]
    sentences = [
        {"stage": event.step_key, "reason": alerts.why(event)}
        for event in result.all_events
        if event.is_step_failure
    ]
    well = result.success and not wrong
    told = {
        "status": "ok" if well else "failed",
        "run_id": result.run_id,
        "from": days[0],
        "to": days[-1],
        **site.told,
        "failures": wrong or sentences,
    }
    return (0 if well else 1), told


def _opened(folder: Path, url: str | None) -> Any:
    """Dagster's instance, its storage brought to this release."""
    import dagster as dg

    with instance.outdated(folder, url) as is_due:
        opened = dg.DagsterInstance.get()
        if is_due:
            with contextlib.redirect_stdout(sys.stderr):  # it talks
                opened.upgrade()
    return opened


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines")
    jobs = parser.add_subparsers(dest="job", required=True)
    export = jobs.add_parser("export")
    export.add_argument("--only", choices=["lake", "warehouse", "crm"])
    export.add_argument("--from-raw", action="store_true")
    nightly = jobs.add_parser("nightly")
    for job in (export, nightly):
        required = job is export
        day = date.fromisoformat
        job.add_argument("--from", dest="start", type=day, required=required)
        job.add_argument("--to", dest="end", type=day, required=required)
        job.add_argument("--progress", action="store_true")
    return parser


def _note(sentence: str) -> None:
    sys.stderr.write(f"{launch.NOTE}{sentence}\n")
    sys.stderr.flush()


def _say(what: str, done: int, total: int) -> None:
    sys.stderr.write(f"{launch.PROGRESS}{json.dumps([what, done, total])}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
