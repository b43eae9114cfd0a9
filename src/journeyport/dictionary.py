"""The data dictionary: every table and column in words, as Markdown.

`python -m journeyport.dictionary` prints it; `docs/dictionary.md` is that text.
"""

import sys
from collections.abc import Iterable

from journeyport.schema import Column, Layout, Origin, Table
from journeyport.tables import TABLES

_LAYOUTS = {
    Layout.RAW: "raw, append-only files per run and window",
    Layout.DAILY: "daily, one file per account and UTC day of `start_date`",
    Layout.SNAPSHOT: "snapshot, replaced whole",
    Layout.OPERATIONS: "operations, a snapshot of what the runs did",
}

_ORIGINS = {
    Origin.SOURCE: "source",
    Origin.DERIVED: "ours",
    Origin.LINEAGE: "lineage",
}

_INTRODUCTION = """\
# Data dictionary

Generated from the declarations in `journeyport.tables` by `python -m
journeyport.dictionary`; edit those, not this page.

*Whose* says whose value a column holds: the **source**'s own, **ours** (worked out by
the rule in the description), or **lineage** (when and by which run the row came; left
out when rows are compared). *Null* says whether a value may be missing; what that
means is in the description, and where that says nothing, the source sent none.
Columns marked **personal** may identify a person. Instants are UTC with microseconds;
an instant that the source sends without an offset is taken for UTC, and one that
cannot be read is null here and stands, as sent, in `extra`.
"""


def markdown(tables: Iterable[Table] = TABLES) -> str:
    """The dictionary of these tables."""
    listed = list(tables)
    parts = [_INTRODUCTION, _contents(listed)]
    parts += [_section(table) for table in listed]
    return "\n".join(parts)


def _contents(tables: list[Table]) -> str:
    lines = ["| Table | Holds |", "| --- | --- |"]
    lines += [
        f"| [{table.name}](#{table.name}) | {_cell(table.description)} |"
        for table in tables
    ]
    return "\n".join(lines) + "\n"


def _section(table: Table) -> str:
    lines = [
        f"## {table.name}",
        "",
        table.description,
        "",
        f"- One row: {table.grain}",
        f"- Key: {', '.join(f'`{name}`' for name in table.key)}",
        f"- Layout: {_LAYOUTS[table.layout]}",
        f"- Version: {table.version}",
    ]
    if table.parent:
        lines.append(f"- Belongs to: [{table.parent}](#{table.parent})")
    lines += [
        "",
        "| Column | Kind | Null | Whose | Source path | Meaning |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(column) for column in table.columns]
    return "\n".join(lines) + "\n"


def _row(column: Column) -> str:
    kind = column.kind.value + (f", {column.unit}" if column.unit else "")
    meaning = column.description + (" **Personal.**" if column.personal else "")
    cells = (
        f"`{column.name}`",
        kind,
        "no" if column.required else "yes",
        _ORIGINS[column.origin],
        f"`{column.source}`" if column.source else "",
        _cell(meaning),
    )
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(markdown())
