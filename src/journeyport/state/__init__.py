"""What must survive a run and be shared between runs.

One module per concern, each declaring its own SQLAlchemy tables on the metadata of
`store`; importing this package registers them all. Nothing here decides anything: the
rules live with those who ask.
"""

from journeyport.state import (
    alerts,
    certificates,
    crm,
    crm_plans,
    drift,
    failures,
    identifier_types,
    identity,
    leases,
    pending,
    receipts,
    rejects,
    verdicts,
    warehouse,
    watch,
    windows,
)
from journeyport.state.store import State

__all__ = [
    "State",
    "alerts",
    "certificates",
    "crm",
    "crm_plans",
    "drift",
    "failures",
    "identifier_types",
    "identity",
    "leases",
    "pending",
    "receipts",
    "rejects",
    "verdicts",
    "warehouse",
    "watch",
    "windows",
]
