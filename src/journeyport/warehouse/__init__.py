"""The warehouse: loading it from the lake, verifying it, views and roles.

What is where: `loading` batches and transactions, `difference` one table's changes,
`files` the lake's side, `holding` what is kept back, `catalogue` what is ours in the
target, `views` and `roles` what readers need, `verifying` the comparison. A kind of
warehouse is an entry of `dialect`:
`duckdb_file`, `postgresql`, listed in `targets`.
"""

from journeyport.warehouse.catalogue import DATA_TABLES
from journeyport.warehouse.ledger import publish_ledger
from journeyport.warehouse.loading import chosen, load
from journeyport.warehouse.report import (
    Counts,
    Difference,
    LoadReport,
    VerifyReport,
)
from journeyport.warehouse.roles import roles_sql
from journeyport.warehouse.verifying import verify

__all__ = [
    "DATA_TABLES",
    "Counts",
    "Difference",
    "LoadReport",
    "VerifyReport",
    "chosen",
    "load",
    "publish_ledger",
    "roles_sql",
    "verify",
]
