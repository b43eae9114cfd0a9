"""The CRM delivery: match, plan, apply, undo, verify.

The doors are here; each module says what it holds. The lake says what should be, the
state what was accepted, the CRM what is.
"""

from journeyport.crm.apply import ApplyReport, apply_plan
from journeyport.crm.config import CrmConfig, Guards, Login
from journeyport.crm.mapping import Mapping, load_mapping
from journeyport.crm.nightly import CrmReport, connect, nightly, publish
from journeyport.crm.plan import make_plan
from journeyport.crm.planfile import Plan

__all__ = [
    "ApplyReport",
    "CrmConfig",
    "CrmReport",
    "Guards",
    "Login",
    "Mapping",
    "Plan",
    "apply_plan",
    "connect",
    "load_mapping",
    "make_plan",
    "nightly",
    "publish",
]
