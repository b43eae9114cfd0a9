"""The CRM delivery: match, plan, apply, undo, verify.

The doors are here; each module says what it holds. The lake says what should be, the
state what was accepted, the CRM what is.
"""

from journeyport.crm.apply import apply_plan
from journeyport.crm.check import CheckLine, CheckReport, check
from journeyport.crm.config import CrmConfig, Guards, Login
from journeyport.crm.mapping import Mapping, load_mapping
from journeyport.crm.nightly import CrmReport, connect, nightly, publish
from journeyport.crm.outcome import ApplyReport, UndoReport
from journeyport.crm.plan import make_plan
from journeyport.crm.planfile import Plan
from journeyport.crm.scaffold import ScaffoldReport, scaffold
from journeyport.crm.suppression import (
    is_known,
    suppress,
    suppressed,
    unsuppress,
)
from journeyport.crm.undo import undo
from journeyport.crm.verify import DriftReport, verify

__all__ = [
    "ApplyReport",
    "CheckLine",
    "CheckReport",
    "CrmConfig",
    "CrmReport",
    "DriftReport",
    "Guards",
    "Login",
    "Mapping",
    "Plan",
    "ScaffoldReport",
    "UndoReport",
    "apply_plan",
    "check",
    "connect",
    "is_known",
    "load_mapping",
    "make_plan",
    "nightly",
    "publish",
    "scaffold",
    "suppress",
    "suppressed",
    "undo",
    "unsuppress",
    "verify",
]
