"""Whether the org is ready for the mapping; every finding comes with its remedy.

Reads only: describe, limits, what automation there is. Nothing is planned here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from journeyport.crm.mapping import FieldRule, ObjectRule
from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.protocol import Crm, Field, Org, Shape
from journeyport.crm.source import Selection, Source
from journeyport.crm.values import NUMBERS
from journeyport.lake import Lake

ERROR, WARNING, NOTE = "ERROR", "WARNING", "NOTE"

DEPLOY = "deploy the package that `journeyport crm scaffold` writes"
RIGHTS = "assign the permission set of `journeyport crm scaffold` to this user"

TEXTS = frozenset(
    {
        "string",
        "textarea",
        "email",
        "phone",
        "url",
        "picklist",
        "multipicklist",
        "combobox",
        "id",
        "reference",
        "encryptedstring",
    }
)

KEY_LENGTH = 43
"""An account of six letters, a colon, a UUID."""


@dataclass(frozen=True)
class CheckLine:
    """One finding: how bad, about what, and what to do."""

    level: str
    subject: str
    finding: str
    remedy: str = ""

    def __str__(self) -> str:
        tail = f" To do: {self.remedy}." if self.remedy else ""
        return f"{self.level:7} {self.subject}: {self.finding}.{tail}"


@dataclass(frozen=True)
class CheckReport:
    """All findings."""

    org: Org
    lines: tuple[CheckLine, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing forbids a plan."""
        return not any(line.level == ERROR for line in self.lines)

    @property
    def facts(self) -> dict[str, Any]:
        """The report as data."""
        return {
            "org": self.org.id,
            "ok": self.ok,
            "lines": [vars(line) for line in self.lines],
        }

    def text(self) -> str:
        """The report for a person to read."""
        told = [str(line) for line in self.lines]
        last = "ready" if self.ok else "not ready: see the ERROR lines"
        return "\n".join([*told, f"{self.org.name}: {last}"])


def check(crm: Crm, mapping: CrmMapping, lake: Lake | None = None) -> CheckReport:
    """Check an org against a mapping.

    Args:
        crm: the signed-in org.
        mapping: what is to be written.
        lake: with it, the longest text of each column is compared with its field.
    """
    org = crm.org
    lines = [CheckLine(NOTE, "org", f"signed in to {org.name} ({org.id}, {org.kind})")]
    lines += _budget(crm)
    for rule in mapping.objects:
        shape = crm.describe(rule.name)
        if shape is None:
            lines.append(
                CheckLine(
                    ERROR,
                    rule.name,
                    "the org has no such object, or this user may not see it",
                    f"{DEPLOY}; {RIGHTS}" if rule.name.endswith("__c") else RIGHTS,
                )
            )
            continue
        lines += _object(mapping, rule, shape)
        lines += _types(mapping, rule, shape, lake)
        lines += _automation(crm, rule)
    return CheckReport(org, tuple(lines))


def _budget(crm: Crm) -> Iterator[CheckLine]:
    left = crm.budget()
    for what, rest, total in (
        ("API calls", left.calls_left, left.calls_total),
        ("MB of data storage", left.storage_left_mb, left.storage_total_mb),
    ):
        if rest is None or not total:
            yield CheckLine(
                WARNING,
                "limits",
                f"the org does not say how many {what} are left",
                "give the integration user View Setup and Configuration",
            )
            continue
        level = ERROR if rest <= 0 else WARNING if rest < total / 10 else NOTE
        remedy = "" if level == NOTE else f"free some {what} before a large apply"
        yield CheckLine(level, "limits", f"{rest} of {total} {what} left", remedy)


def _object(mapping: CrmMapping, rule: ObjectRule, shape: Shape) -> Iterator[CheckLine]:
    if not shape.updateable:
        yield CheckLine(ERROR, rule.name, "this user may not change records", RIGHTS)
    if rule.creates and not shape.createable:
        yield CheckLine(ERROR, rule.name, "this user may not make records", RIGHTS)
    if shape.deletable:
        yield CheckLine(
            NOTE,
            rule.name,
            "this user may delete records, which no delivery needs",
            "take the right away, unless undo shall delete what an apply made",
        )
    yield from _key(rule, shape)
    for each in rule.fields:
        yield from _field(rule, shape, each.name)
    if rule.merged_into:
        yield from _field(rule, shape, rule.merged_into)
    for wanted in rule.matches:
        if wanted.field not in shape.fields:
            yield _absent(rule, wanted.field, "it is matched by")
    for parent in rule.parents:
        yield from _lookup(mapping, rule, shape, parent.name, parent.object_name)
    if rule.creates:
        yield from _required(rule, shape)


def _absent(rule: ObjectRule, name: str, why: str = "it is mapped") -> CheckLine:
    ours = name.endswith("__c")
    remedy = f"{DEPLOY}; {RIGHTS}" if ours else f"{RIGHTS}, or take it off the mapping"
    return CheckLine(
        ERROR,
        f"{rule.name}.{name}",
        f"{why}, and the org has no such field, or this user may not see it",
        remedy,
    )


def _key(rule: ObjectRule, shape: Shape) -> Iterator[CheckLine]:
    subject = f"{rule.name}.{rule.external_id}"
    field = shape.fields.get(rule.external_id)
    if field is None:
        yield _absent(rule, rule.external_id, "it is the external id")
        return
    if not field.is_external_id:
        yield CheckLine(
            ERROR, subject, "is not marked as External ID", "tick External ID in Setup"
        )
    if not field.is_unique:
        yield CheckLine(
            ERROR,
            subject,
            "is not unique, so that one key could end on two records",
            "tick Unique in Setup",
        )
    if field.length and field.length < KEY_LENGTH:
        yield CheckLine(
            ERROR,
            subject,
            f"holds {field.length} characters and keys have up to {KEY_LENGTH}",
            f"lengthen it to {KEY_LENGTH} or more",
        )
    if not field.updateable:
        yield CheckLine(ERROR, subject, "this user may not write it", RIGHTS)


def _field(rule: ObjectRule, shape: Shape, name: str) -> Iterator[CheckLine]:
    field = shape.fields.get(name)
    if field is None:
        yield _absent(rule, name)
        return
    if not field.updateable or (rule.creates and not field.createable):
        yield CheckLine(
            ERROR, f"{rule.name}.{name}", "this user may not write it", RIGHTS
        )
    if field.choices:
        yield CheckLine(
            NOTE,
            f"{rule.name}.{name}",
            f"is a restricted picklist of {len(field.choices)} values; others are "
            "rejected before they are sent",
        )


def _lookup(
    mapping: CrmMapping, rule: ObjectRule, shape: Shape, name: str, to: str
) -> Iterator[CheckLine]:
    field = shape.fields.get(name)
    if field is None:
        yield _absent(rule, name, "it is the lookup to the parent")
        return
    subject = f"{rule.name}.{name}"
    if field.relationship is None or to not in field.reference_to:
        yield CheckLine(
            ERROR, subject, f"is no lookup to {to}", "map another field, or make it one"
        )
    if not field.updateable:
        yield CheckLine(
            ERROR,
            subject,
            "cannot be written, so that no record could move to another customer",
            f"{RIGHTS}; use a lookup, not master-detail",
        )
    if mapping.rule(to) is None:
        yield CheckLine(ERROR, subject, f"{to} is not mapped", f"map {to}")


def _required(rule: ObjectRule, shape: Shape) -> Iterator[CheckLine]:
    given = set(rule.names)
    for name, field in sorted(shape.fields.items()):
        if field.required and name not in given:
            yield CheckLine(
                ERROR,
                f"{rule.name}.{name}",
                "is required and not mapped, so that no record can be made",
                "map it, or relax it in Setup",
            )


def _types(
    mapping: CrmMapping, rule: ObjectRule, shape: Shape, lake: Lake | None
) -> Iterator[CheckLine]:
    source = Source(lake or Lake("/nonexistent"), mapping, Selection(datetime.now(UTC)))
    kinds = source.types(rule)
    longest = source.longest(rule) if lake is not None else {}
    key = shape.fields.get(rule.external_id)
    if key is not None and key.length and longest.get("_key", 0) > key.length:
        yield CheckLine(
            ERROR,
            f"{rule.name}.{rule.external_id}",
            f"holds {key.length} characters and the lake has keys of up to "
            f"{longest['_key']}",
            f"lengthen it; {DEPLOY}",
        )
    for each in rule.fields:
        field = shape.fields.get(each.name)
        if field is None:
            continue
        if not _suits(kinds[each.name], field):
            yield CheckLine(
                ERROR,
                f"{rule.name}.{each.name}",
                f"is of type {field.type} and the mapped value is {kinds[each.name]}",
                "cast it in the mapping, or map another field",
            )
        yield from _length(rule, each, field, longest.get(each.name, 0))


def _suits(kind: pa.DataType, field: Field) -> bool:
    if field.type in TEXTS:
        return not pa.types.is_boolean(kind)
    if field.type == "boolean":
        return bool(pa.types.is_boolean(kind))
    if field.type in NUMBERS:
        return bool(
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_decimal(kind)
        )
    if field.type in {"date", "datetime"}:
        return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))
    return True


def _length(
    rule: ObjectRule, each: FieldRule, field: Field, longest: int
) -> Iterator[CheckLine]:
    if field.type in TEXTS and field.length and longest > field.length:
        yield CheckLine(
            NOTE if each.cut else WARNING,
            f"{rule.name}.{each.name}",
            f"holds {field.length} characters and the lake has up to {longest}",
            "" if each.cut else "lengthen it, or set `cut: true` in the mapping",
        )


def _automation(crm: Crm, rule: ObjectRule) -> Iterator[CheckLine]:
    seen = crm.automations(rule.name)
    for item in seen.found:
        yield CheckLine(
            WARNING,
            rule.name,
            f"the {item.kind} {item.name} is active and acts on what is written",
            "try an apply in a sandbox with it, or let the integration user bypass it",
        )
    for kind in seen.unseen:
        yield CheckLine(
            NOTE,
            rule.name,
            f"whether {kind}s are active cannot be seen by this user",
            "ask an administrator, or give View Setup and Configuration",
        )
