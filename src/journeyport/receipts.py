"""Writing receipts, and publishing them as a table of the lake.

A receipt says who did what to whom it concerns, never a value of anybody. What is kept
of them is in `journeyport.state.receipts`.
"""

import getpass
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from journeyport.arrow import conform, empty, schema_of
from journeyport.clock import Clock
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state import receipts as kept
from journeyport.state.receipts import Actor, Receipt
from journeyport.tables import RECEIPTS

CHANGED = "RULES_CHANGED"


def operator(named: str | None = None) -> Actor:
    """Whoever types a command: the name given, or the operating system's user."""
    if named is not None and named.strip():
        return Actor(named.strip(), "COMMAND_LINE")
    try:
        return Actor(getpass.getuser(), "COMMAND_LINE")
    except (KeyError, OSError):  # a container's user may have no name
        return Actor(None, "COMMAND_LINE")


def write(lake: Lake, state: State, receipt: Receipt) -> int:
    """Keep a receipt and publish it in the lake's table `receipts`; its number."""
    number = kept.add(state, receipt)
    publish(lake, state, receipt.run_id)
    return number


def note_rules(
    lake: Lake,
    state: State,
    clock: Clock,
    *,
    rules: Mapping[tuple[str, str | None], str],
    actor: Actor,
    run_id: str,
) -> list[str]:
    """Keep a receipt for each set of rules that is not the one used last.

    Args:
        lake: gets the table `receipts`.
        state: remembers what was used last.
        clock: the time.
        rules: the hash of each set of rules, by its name and account (None: all).
        actor: who started the run that uses them.
        run_id: the run.

    Returns:
        The names of the sets that changed; the first use of a set is kept, too.
    """
    changed = []
    for (name, account), print_ in rules.items():
        action = f"{CHANGED}: {name}"
        before = kept.last_subject(state, action, account)
        if before == print_:
            continue
        told = f"changed from {before} to {print_}" if before else "are used at first"
        kept.add(
            state,
            Receipt(
                action,
                clock.now(),
                actor,
                run_id,
                f"The {name} in force changed {told}."
                if before
                else f"The {name} {told}.",
                account_id=account,
                subject=print_,
            ),
        )
        changed.append(name)
    if changed:
        publish(lake, state, run_id)
    return changed


def publish(lake: Lake, state: State, run_id: str) -> int:
    """Write the table `receipts`; the number of rows."""
    rows = kept.all_rows(state)
    for row in rows:
        row["counts"] = _text(row["counts"])
        row["job_ids"] = _text(row["job_ids"])
    data = (
        conform(RECEIPTS, pa.Table.from_pylist(rows, schema=schema_of(RECEIPTS)))
        if rows
        else empty(RECEIPTS)
    )
    lake.write_snapshot(RECEIPTS.name, data, run_id=run_id)
    return len(rows)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
