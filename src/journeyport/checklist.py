"""What must hold of an account-day before it is delivered, in words.

How it is found out is in `guards` and in the certificates; this list is light enough
for whoever only needs the names.
"""

from collections.abc import Mapping

CERTIFIED = "certificate_proved"
KEYS_UNIQUE = "keys_unique"
PARENTS_THERE = "parents_there"
COUNTS_MATCH = "counts_match"
NOT_SHRUNK = "not_shrunk"

NOTHING_NEW = "nothing_new"
"""Holds nothing back: the source shows no field and no value for the first time."""

RULES: Mapping[str, str] = {
    CERTIFIED: "The account-day is proved complete, still open, or was released.",
    KEYS_UNIQUE: "No two rows of a table share its key.",
    PARENTS_THERE: "Every row belongs to an engagement that is there and not deleted.",
    COUNTS_MATCH: "Each engagement has as many rows as its document has entries.",
    NOT_SHRUNK: "No table lost more than the allowed share of its rows.",
}
