"""Who started a run: the header of a proxy in front becomes a tag of the run.

Dagster has no log-in of its own. Where JOURNEYPORT_USER_HEADER names the header in
which a proxy passes the user on, every run that is launched in the UI is tagged with
that name; what somebody typed as tags there is overwritten. The runs of a backfill are
launched by the daemon: they are the UI's, too, and nobody's.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._core.workspace.context import WorkspaceRequestContext

from journeyport import environment

if TYPE_CHECKING:
    from journeyport.state.receipts import Actor

USER = "journeyport/user"
BY = "journeyport/by"
UI, COMMAND_LINE = "UI", "COMMAND_LINE"

_SCHEDULE = "dagster/schedule_name"


class AttributingRunCoordinator(dg.QueuedRunCoordinator):
    """Queues runs as Dagster does, after writing down who asked for them."""

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Tag a run that was launched in the UI, then queue it."""
        asked, run = context.workspace, context.dagster_run
        by_request = isinstance(asked, WorkspaceRequestContext) and asked.source
        if by_request or (BACKFILL_ID_TAG in run.tags and run.root_run_id is None):
            header = environment.user_header() if by_request else ""
            name = context.get_request_header(header) if header else None
            # Written even when empty: nobody names himself among the tags he types.
            tags = {BY: UI, USER: (name or "").strip()}
            self._instance.add_run_tags(run.run_id, tags)
        return super().submit_run(context)


def is_by_schedule(tags: Mapping[str, str]) -> bool:
    """A schedule started the run, and nobody by hand."""
    return _SCHEDULE in tags and tags.get(BY) != UI


def is_unattended(run: dg.DagsterRun) -> bool:
    """The schedule or cron started the run; it repeats no other."""
    started = is_by_schedule(run.tags) or run.tags.get(BY) == COMMAND_LINE
    return started and run.root_run_id is None


def actor(tags: Mapping[str, str]) -> "Actor":
    """Who started a run, by its tags."""
    from journeyport.state.receipts import Actor

    name = tags.get(USER) or None
    if tags.get(BY) == COMMAND_LINE:
        return Actor(name, COMMAND_LINE)
    if is_by_schedule(tags):
        return Actor(None, "SCHEDULE")
    return Actor(name, UI)
