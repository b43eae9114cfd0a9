"""Who is who: identifiers become customers, by stated rules, reversibly.

`resolve` is the door; the rest of the package says how. Per account throughout: no
link, customer or rule crosses accounts.
"""

from journeyport.identity.config import IdentityConfig, load_config
from journeyport.identity.resolve import (
    IDENTITY_TABLES,
    AccountReport,
    IdentityReport,
    resolve,
)
from journeyport.identity.rules import add_rule, list_rules, undo_rule

__all__ = [
    "IDENTITY_TABLES",
    "AccountReport",
    "IdentityConfig",
    "IdentityReport",
    "add_rule",
    "list_rules",
    "load_config",
    "resolve",
    "undo_rule",
]
