"""What each target was given, run by run: the sink ledger.

Warehouse loads and CRM pushes both write here. Which rows a target holds is said by
the target itself, never here, so that the two cannot disagree.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from journeyport.state.store import Instant, State, metadata

_ledger = sa.Table(
    "sink_ledger",
    metadata,
    sa.Column("target", sa.String, primary_key=True),
    sa.Column("object_name", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("inserted", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.BigInteger, nullable=False),
    sa.Column("unchanged", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.Column("finished_at", Instant, nullable=False),
)

_COUNTS = ("inserted", "updated", "deleted", "unchanged", "rejected")


def record_delivery(
    state: State,
    target: str,
    run_id: str,
    objects: Mapping[str, Mapping[str, int]],
    finished_at: datetime,
) -> None:
    """Write down what a run gave to a target; a run's further deliveries are added.

    Args:
        state: the state.
        target: `warehouse` or `crm`.
        run_id: the run.
        objects: by table or object, any of inserted, updated, deleted, unchanged and
            rejected; what is left out is 0.
        finished_at: when.
    """
    if not objects:
        return
    same = sa.and_(
        _ledger.c.target == target,
        _ledger.c.run_id == run_id,
        _ledger.c.object_name.in_(list(objects)),
    )
    with state.write() as connection:
        found = connection.execute(sa.select(_ledger).where(same)).mappings()
        before = {row["object_name"]: dict(row) for row in found}
        rows = [
            {"target": target, "object_name": name, "run_id": run_id}
            | {count: counts.get(count, 0) for count in _COUNTS}
            | {"finished_at": finished_at}
            for name, counts in objects.items()
        ]
        for row in rows:
            for count in _COUNTS:
                if count != "unchanged":  # it says how things stand, not what was done
                    row[count] += before.get(row["object_name"], {}).get(count, 0)
        connection.execute(sa.delete(_ledger).where(same))
        connection.execute(sa.insert(_ledger), rows)


def deliveries(state: State) -> list[dict[str, Any]]:
    """The whole ledger, one row per target, object and run, in that order."""
    keys = (_ledger.c.target, _ledger.c.object_name, _ledger.c.run_id)
    with state.read() as connection:
        rows = connection.execute(sa.select(_ledger).order_by(*keys))
        return [dict(row) for row in rows.mappings()]
