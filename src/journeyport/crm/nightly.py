"""The night's CRM step, and the table of what is matched to what.

A night plans. It applies by itself only where an apply was carried through under the
same mapping in the same org before.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from journeyport.arrow import conform
from journeyport.clock import Clock
from journeyport.crm.apply import apply_plan
from journeyport.crm.config import CrmConfig
from journeyport.crm.mapping import load_mapping
from journeyport.crm.outcome import ApplyReport
from journeyport.crm.plan import Progress, make_plan
from journeyport.crm.planfile import Plan
from journeyport.crm.protocol import Crm
from journeyport.crm.salesforce import SalesforceCrm
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state import crm_plans as planned
from journeyport.tables import CUSTOMER_CRM_IDS


@dataclass(frozen=True)
class CrmReport:
    """What the CRM step of a night came to.

    Attributes:
        plan: what was planned.
        applied: what was applied; None: nothing to do, or not by itself.
        is_approved: an apply was approved for this org and mapping.
        requests: every request of the step, sign-in aside.
    """

    plan: Plan
    applied: ApplyReport | None
    is_approved: bool
    requests: int

    @property
    def org_id(self) -> str:
        """The org's id."""
        return self.plan.org.id

    @property
    def red(self) -> bool:
        """Whether somebody must look: a guard, or too many rejects."""
        if self.plan.refusals:
            return True
        return self.applied is not None and (
            self.applied.red or self.applied.status == "PARTIAL"
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The report without a single value, for logs and metadata."""
        applied = self.applied.facts if self.applied is not None else None
        return {
            "plan": self.plan.facts,
            "applied": applied,
            "approved": self.is_approved,
            "requests": self.requests,
        }

    def text(self) -> str:
        """The report for a person to read."""
        lines = [self.plan.text()]
        if self.applied is not None:
            lines.append(self.applied.text())
        elif self.plan.actions and not self.is_approved:
            lines.append(
                "Nothing was written: no apply was approved for this org and mapping "
                f"yet. Look at the plan, then: journeyport crm apply "
                f"{self.plan.plan_id} --reason …"
            )
        elif not self.plan.actions:
            lines.append("Nothing to write: the CRM is in step.")
        return "\n".join(lines)


def connect(config: CrmConfig) -> SalesforceCrm:
    """Sign in; to be closed, or used as a context.

    Raises:
        AccessError: the sign-in was refused.
        TransientError: the CRM cannot be reached now.
    """
    return SalesforceCrm(config)


def nightly(
    lake: Lake,
    state: State,
    config: CrmConfig,
    *,
    days: Collection[tuple[str, date]] | None = None,
    run_id: str,
    clock: Clock,
    progress: Progress | None = None,
    ended: Callable[[ApplyReport], None] | None = None,
) -> CrmReport:
    """Plan, and apply where that was approved.

    Args:
        lake: what should be.
        state: the ledger.
        config: sign-in, guards, sizes.
        days: the (account, UTC day) to deliver; None: all the lake holds.
        run_id: the run.
        clock: the time.
        progress: told what is being done.
        ended: given the apply's report, also of one that breaks off on its way.
    """
    mapping = load_mapping(config.mapping_path)
    with connect(config) as crm:
        plan = make_plan(
            lake,
            state,
            crm,
            mapping,
            config,
            days=days,
            run_id=run_id,
            clock=clock,
            progress=progress,
        )
        approved = planned.is_approved(state, crm.org.id, mapping.hash)
        applied = None
        try:
            if approved and not plan.refusals and (plan.actions or plan.foreseen):
                applied = apply_plan(
                    plan.plan_id,
                    f"nightly {run_id}",
                    lake=lake,
                    state=state,
                    crm=crm,
                    mapping=mapping,
                    config=config,
                    run_id=run_id,
                    clock=clock,
                    progress=progress,
                    ended=ended,
                )
        finally:
            publish(lake, state, run_id=run_id)
        return CrmReport(plan, applied, approved, _requests(crm))


def _requests(crm: Crm) -> int:
    return crm.calls.total


def publish(lake: Lake, state: State, *, run_id: str) -> int:
    """Write the snapshot `customer_crm_ids`; returns its rows."""
    rows = memory.all_matches(state)
    names = [name for name in CUSTOMER_CRM_IDS.names if name != "_row_hash"]
    data = pa.table(
        {
            name: pa.array(
                [row[name] for row in rows],
                pa.timestamp("us", "UTC") if name.startswith("valid_") else pa.string(),
            )
            for name in names
        }
    )
    lake.write_snapshot(
        CUSTOMER_CRM_IDS.name, conform(CUSTOMER_CRM_IDS, data), run_id=run_id
    )
    return len(rows)
