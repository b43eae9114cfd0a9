"""What the assets are handed: plain objects, made when an asset first asks for them.

They are no Dagster resources with fields of their own: those could be edited in the
Launchpad, and a backfill pointed at another warehouse.
"""

from collections.abc import Callable
from datetime import date
from itertools import product
from typing import TYPE_CHECKING, Any

import dagster as dg

from journeyport import environment
from journeyport.deployment import Deployment
from journeyport.settings import Settings
from pipelines import attribution
from pipelines.catalogue import chosen_days, is_night

if TYPE_CHECKING:
    from journeyport.night import Landed, Progress, Run


class Site(Deployment):
    """The installation, and what one run of it has to tell.

    Args:
        read: gives the settings; called when one of them is first wanted.

    Attributes:
        progress: told how far a step is; None: nobody listens.
        told: what each step came to, for the one line that a command ends with.
        landed: what came from the source in this run; None where nothing was asked.
    """

    def __init__(self, read: Callable[[], Settings]) -> None:
        super().__init__(read)
        self.progress: Progress | None = None
        self.told: dict[str, Any] = {}
        self.landed: Landed | None = None

    def run(self, run: dg.DagsterRun) -> "Run":
        """What the steps of one run share; a repeated run goes on under its first id.

        Args:
            run: Dagster's own record of the run.
        """
        from journeyport.night import Run

        first = run.root_run_id or run.run_id
        actor = attribution.actor(run.tags)
        return Run(self.lake, self.state, self.clock, first, self.progress, actor)

    def remember_types(self) -> None:
        """Keep what the source said of its identifier types in this run."""
        from journeyport.state import identifier_types

        for account, found in (self.landed.types if self.landed else {}).items():
            if not found.warning:  # what was refused says nothing new
                identifier_types.note(self.state, account, found.types)

    @property
    def known(self) -> "Landed":
        """What came from the source in this run, or what it last said of its types."""
        from journeyport.extract import IdentifierTypes
        from journeyport.night import Landed
        from journeyport.state import identifier_types

        if self.landed is not None:
            return self.landed
        configured = self.identity.strengths
        kept = {name: identifier_types.of(self.state, name) for name in self.accounts}
        return Landed(
            types={
                name: IdentifierTypes(name, types, configured)
                for name, types in kept.items()
                if types is not None
            }
        )

    def asked(self, run: dg.DagsterRun) -> list[tuple[str, date]] | None:
        """The account-days that a run is to deliver.

        Whoever chose days gets exactly these. None for a night: it delivers whatever
        is not there yet, and what is held back stays on its list, whichever day it is.
        """
        return None if is_night(run) else [*product(self.accounts, chosen_days(run))]


SITE = Site(environment.read)
"""Made without reading anything: importing the code location does no I/O."""

RESOURCES: dict[str, Any] = {
    "site": SITE,
    # Nothing is handed from step to step; the default would offer a folder to write to.
    "io_manager": dg.mem_io_manager,
}
