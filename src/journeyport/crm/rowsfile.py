"""A plan's rows for a person: one line per field that changes, and what became of it.

A CSV beside the plan's file, for its owner only: it holds values. It is written when a
plan is made and again after each apply and undo.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from journeyport.crm.planfile import Action, Plan
from journeyport.crm.protocol import Value
from journeyport.state import State, rejects
from journeyport.state import crm_plans as planned
from journeyport.state.crm_plans import WriteRow

COLUMNS = (
    "object",
    "what",
    "key",
    "record_id",
    "field",
    "before",
    "after",
    "outcome",
    "reason",
)

FINDINGS = ("object", "key", "record_id", "finding", "fields")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would run a cell that begins so."""


def path_of(plan: Plan) -> Path:
    """Where the plan's rows are."""
    return plan.path.with_suffix(".csv")


def write(plan: Plan, state: State) -> Path:
    """Write the plan's rows with what became of them so far; returns the file."""
    return _write(path_of(plan), COLUMNS, _lines(plan, state))


def write_findings(
    folder: Path, findings: Iterable[Sequence[str]], at: datetime
) -> Path:
    """Write the records that `verify` found out of step; returns the file."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _write(folder / f"{at:%Y%m%dT%H%M%SZ}-verify.csv", FINDINGS, findings)


def _write(target: Path, header: Sequence[str], lines: Iterable[Sequence[str]]) -> Path:
    draft = target.with_suffix(".csv-draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:
        sink = csv.writer(file)
        sink.writerow(header)
        sink.writerows(lines)
    draft.replace(target)
    return target


def _lines(plan: Plan, state: State) -> Iterator[list[str]]:
    done = planned.writes(state, plan.plan_id)
    was_tried = bool(done) or _is_over(state, plan.plan_id)
    refused = _refused(state) if was_tried else {}
    for action in plan.actions:
        write = done.get(action.number)
        outcome, reason = _outcome(action, write, refused)
        record_id = action.record_id or (write.record_id if write else "")
        what = "make" if action.creates else "change"
        first = [action.object_name, what, action.key, record_id]
        for name, before, after in _fields(action):
            why = write.kept.get(name, write.kept.get("")) if write else None
            became = (outcome, reason) if why is None else ("kept", why)
            yield [*first, name, _cell(before), _cell(after), *became]
    for item in plan.foreseen:
        yield [
            *(item.object_name, "not sent", item.key, "", item.field, "", ""),
            *("would be refused", item.reason),
        ]
    for met in plan.unmatched:
        key = f"{met['account_id']}:{met['customer_id']}"
        records = " ".join(met["candidates"])
        yield ["", "not matched", key, records, met["by"], "", "", met["standing"], ""]


def _fields(action: Action) -> Iterator[tuple[str, Value, Value]]:
    for name, after in action.after.items():
        yield name, action.before.get(name), after
    for name, parent in action.parents.items():
        yield name, action.before.get(name), parent.key


def _outcome(
    action: Action,
    write: WriteRow | None,
    refused: Mapping[tuple[str, str], str],
) -> tuple[str, str]:
    if write is None:
        reason = refused.get((action.object_name, action.key))
        return ("planned", "") if reason is None else ("refused", reason)
    return ("written" if write.undone_at is None else "taken back"), ""


def _is_over(state: State, plan_id: str) -> bool:
    row = planned.plan(state, plan_id)
    return row is not None and row.applied_at is not None


def _refused(state: State) -> dict[tuple[str, str], str]:
    return {
        (row["object_name"], row["record_key"]): row["reason"]
        for row in rejects.all_rows(state)
        if row["stage"] == "crm"
    }


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if isinstance(value, str) and text.startswith(_FORMULA):
        return f"'{text}"
    return text
