"""Who is who: identifiers become customers, by stated rules, reversibly.

`resolve` is the door; the rest of the package says how. Per account throughout: no
link, customer or rule crosses accounts.
"""

from journeyport.identity.compare import Compared, Comparison, Proposal, compare
from journeyport.identity.compared import render as render_comparison
from journeyport.identity.compared import to_json as comparison_to_json
from journeyport.identity.config import IdentityConfig, load_config
from journeyport.identity.diff import AccountDiff, diff
from journeyport.identity.diff import render as render_diff
from journeyport.identity.explain import Explanation, explain
from journeyport.identity.explain import render as render_explanation
from journeyport.identity.overview import Overview, broken_laws, overview
from journeyport.identity.report import AccountReport, IdentityReport
from journeyport.identity.resolve import IDENTITY_TABLES, resolve
from journeyport.identity.rules import (
    add_rule,
    list_rules,
    parse_identifier,
    render_rules,
    undo_rule,
)

__all__ = [
    "IDENTITY_TABLES",
    "AccountDiff",
    "AccountReport",
    "Compared",
    "Comparison",
    "Explanation",
    "IdentityConfig",
    "IdentityReport",
    "Overview",
    "Proposal",
    "add_rule",
    "broken_laws",
    "compare",
    "comparison_to_json",
    "diff",
    "explain",
    "list_rules",
    "load_config",
    "overview",
    "parse_identifier",
    "render_comparison",
    "render_diff",
    "render_explanation",
    "render_rules",
    "resolve",
    "undo_rule",
]
