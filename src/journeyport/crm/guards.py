"""What a plan costs, and what forbids it; asked before long reads and the first write.

Storage is reckoned at 2 kB a record:
https://help.salesforce.com/s/articleView?id=xcloud.overview_storage.htm
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from journeyport.crm.config import CrmConfig, Guards
from journeyport.crm.planfile import Action
from journeyport.crm.protocol import Crm
from journeyport.errors import PermanentError

RECORD_MB = 2 / 1024

ASK_FROM = 20
"""From so many calls on, one more is well spent on asking what the org has left."""


@dataclass(frozen=True)
class Cost:
    """What an apply needs: API calls, reads included, and megabytes of storage."""

    calls: int
    storage_mb: float


class Reads:
    """The calls that making one plan takes, held against the guards.

    Args:
        crm: the org; its calls are counted from now on.
        guards: the guards.
    """

    def __init__(self, crm: Crm, guards: Guards) -> None:
        self._crm = crm
        self._guards = guards
        self._before = crm.calls.reads

    @property
    def made(self) -> int:
        """The calls so far."""
        return self._crm.calls.reads - self._before

    def allow(self, values: int) -> None:
        """Refuse to look for so many values in the org when a guard forbids it.

        Raises:
            PermanentError: it would take too many calls.
        """
        needed = self._crm.find_calls(values)
        if self.made + needed > self._guards.calls:
            raise PermanentError(
                f"Nothing was written: making the plan takes about {self.made + needed}"
                f" API calls, more than the {self._guards.calls} one plan may make; "
                "plan fewer days or deliver fewer accounts, or raise the guard."
            )
        left = self._crm.budget().calls_left if needed >= ASK_FROM else None
        if left is not None and needed > int(left * self._guards.calls_share):
            raise PermanentError(
                f"Nothing was written: reading takes about {needed} API calls, more "
                f"than {int(left * self._guards.calls_share)}, the allowed share of "
                f"the {left} that the org has left today."
            )


def cost(crm: Crm, config: CrmConfig, actions: Sequence[Action]) -> Cost:
    """Reckon what an apply of these actions needs."""
    if not actions:
        return Cost(0, 0.0)
    loads = Counter((a.object_name, a.operation) for a in actions)
    calls = 2  # the limits, and the limits again before the first write
    for many in loads.values():
        calls += crm.find_calls(many)
        calls += crm.job_calls() if many >= config.bulk_from else -(-many // crm.batch)
    made = sum(action.creates for action in actions)
    return Cost(calls, round(made * RECORD_MB, 2))


def refusals(
    crm: Crm, guards: Guards, actions: Sequence[Action], needed: Cost
) -> tuple[str, ...]:
    """The guards that forbid these actions, in words."""
    if not actions:
        return ()
    found: list[str] = []
    if len(actions) > guards.records:
        found.append(
            f"{len(actions)} records are more than the {guards.records} one plan may "
            "write; plan fewer days, or raise the guard."
        )
    if needed.calls > guards.calls:
        found.append(
            f"About {needed.calls} API calls are more than the {guards.calls} one plan "
            "may make; plan fewer days, or raise the guard."
        )
    left = crm.budget()
    if left.calls_left is not None:
        most = int(left.calls_left * guards.calls_share)
        if needed.calls > most:
            found.append(
                f"About {needed.calls} API calls are more than {most}, the allowed "
                f"share of the {left.calls_left} that the org has left today."
            )
    if left.storage_left_mb is not None and left.storage_total_mb:
        used = left.storage_total_mb - left.storage_left_mb + needed.storage_mb
        if needed.storage_mb and used > left.storage_total_mb * guards.storage_share:
            found.append(
                f"The org's data storage would be {used:.0f} of "
                f"{left.storage_total_mb} MB full, more than the allowed share of "
                f"{guards.storage_share:.0%}."
            )
    share = blanked(actions)
    if share > guards.blanked_share:
        found.append(
            f"{share:.0%} of the field changes would blank a field, more than the "
            f"allowed {guards.blanked_share:.0%}; look at the plan's file first."
        )
    return tuple(found)


def blanked(actions: Sequence[Action]) -> float:
    """The share of field changes that would blank a field."""
    changes = sum(len(a.after) for a in actions)
    blanks = sum(
        value is None and a.before.get(name) not in (None, "")
        for a in actions
        for name, value in a.after.items()
    )
    return blanks / changes if changes else 0.0
