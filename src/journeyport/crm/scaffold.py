"""The org's side of the mapping as a source package that `sf` deploys.

Custom objects, their fields, fields of ours on standard objects, and a permission set
that may read, make and change, and never delete. Whether an org has them already is
asked by `check`; deploying again changes nothing. What an org refuses to deploy is left
out: rights on required fields, and on Task, whose custom fields are Activity's and
whose rights are a user permission.
https://developer.salesforce.com/docs/atlas.en-us.sfdx_dev.meta/sfdx_dev/sfdx_dev_source_file_format.htm
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa

from journeyport.crm.mapping import Mapping as CrmMapping
from journeyport.crm.mapping import ObjectRule
from journeyport.crm.source import Selection, Source
from journeyport.lake import Lake

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"

PERMISSION_SET = "Journeyport_Integration"

ROOT = Path("force-app/main/default")

REQUIRED = frozenset({"LastName", "Name"})
"""Standard fields that everybody may write; a right on them is refused."""

TOGETHER = ("Account", "Contact")
"""An org gives the right to read one of them only with the other's."""


@dataclass(frozen=True)
class ScaffoldReport:
    """What was written."""

    folder: Path
    files: tuple[Path, ...]

    def text(self) -> str:
        """The report for a person to read."""
        return "\n".join(
            [
                f"Wrote {len(self.files)} files to {self.folder}",
                "  deploy: sf project deploy start --source-dir force-app",
                f"  then: assign {PERMISSION_SET} to the integration user",
            ]
        )


def scaffold(
    mapping: CrmMapping, folder: Path, *, api_version: str = "62.0"
) -> ScaffoldReport:
    """Write the package; files that are there are replaced.

    Args:
        mapping: what is to be written to the org.
        folder: where the package goes.
        api_version: of the metadata.
    """
    source = Source(Lake("/nonexistent"), mapping, Selection(datetime.now(UTC)))
    texts: dict[Path, str] = {
        Path("sfdx-project.json"): json.dumps(
            {
                "packageDirectories": [{"path": "force-app", "default": True}],
                "name": "journeyport",
                "sourceApiVersion": api_version,
            },
            indent=2,
        )
        + "\n"
    }
    for rule in mapping.objects:
        texts.update(_object(rule, source.types(rule)))
    place = ROOT / "permissionsets" / f"{PERMISSION_SET}.permissionset-meta.xml"
    texts[place] = _document("PermissionSet", _permissions(mapping))
    for path, text in texts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return ScaffoldReport(folder, tuple(sorted(folder / path for path in texts)))


def _object(rule: ObjectRule, kinds: Mapping[str, pa.DataType]) -> dict[Path, str]:
    folder = ROOT / "objects" / ("Activity" if rule.name == "Task" else rule.name)
    found: dict[Path, str] = {}
    if rule.name.endswith("__c"):
        label = _label(rule.name)
        found[folder / f"{rule.name}.object-meta.xml"] = _document(
            "CustomObject",
            [
                _tag("deploymentStatus", "Deployed"),
                _tag("description", "Written by journeyport; edits are overwritten."),
                _tag("enableReports", "true"),
                _tag("enableSearch", "true"),
                _tag("label", label),
                "<nameField>"
                + _tag("displayFormat", f"{label[0]}-{{00000000}}")
                + _tag("label", f"{label} Number")
                + _tag("type", "AutoNumber")
                + "</nameField>",
                _tag("pluralLabel", f"{label}s"),
                _tag("sharingModel", "ReadWrite"),
            ],
        )
    for name, body in _fields(rule, kinds):
        if name.endswith("__c"):
            path = folder / "fields" / f"{name}.field-meta.xml"
            found[path] = _document("CustomField", [_tag("fullName", name), *body])
    return found


def _fields(
    rule: ObjectRule, kinds: Mapping[str, pa.DataType]
) -> Iterator[tuple[str, list[str]]]:
    yield (
        rule.external_id,
        [
            _tag("caseSensitive", "true"),
            _tag("externalId", "true"),
            _tag("label", _label(rule.external_id)),
            _tag("length", "255"),
            _tag("type", "Text"),
            _tag("unique", "true"),
        ],
    )
    for each in rule.fields:
        yield each.name, [_tag("label", _label(each.name)), *_type(kinds[each.name])]
    for parent in rule.parents:
        yield (
            parent.name,
            [
                _tag("deleteConstraint", "SetNull"),
                _tag("label", _label(parent.name)),
                _tag("referenceTo", parent.object_name),
                _tag("relationshipName", f"{_plain(rule.name)}s"),
                _tag("type", "Lookup"),
            ],
        )
    for wanted in rule.matches:
        if wanted.field.endswith("__c"):
            yield (
                wanted.field,
                [
                    _tag("externalId", "true"),
                    _tag("label", _label(wanted.field)),
                    _tag("length", "80"),
                    _tag("type", "Text"),
                ],
            )
    if rule.merged_into:
        yield (
            rule.merged_into,
            [
                _tag("label", _label(rule.merged_into)),
                _tag("length", "80"),
                _tag("type", "Text"),
            ],
        )


def _type(kind: pa.DataType) -> list[str]:
    """The field type for a column of the lake."""
    if pa.types.is_boolean(kind):
        return [_tag("defaultValue", "false"), _tag("type", "Checkbox")]
    if pa.types.is_integer(kind):
        return [_tag("precision", "18"), _tag("scale", "0"), _tag("type", "Number")]
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return [_tag("precision", "18"), _tag("scale", "3"), _tag("type", "Number")]
    if pa.types.is_timestamp(kind):
        return [_tag("type", "DateTime")]
    if pa.types.is_date(kind):
        return [_tag("type", "Date")]
    return [_tag("length", "255"), _tag("type", "Text")]


def _permissions(mapping: CrmMapping) -> list[str]:
    """Rights to read, make and change what is mapped; none to delete."""
    fields: set[str] = set()
    for rule in mapping.objects:
        for name in (*rule.names, *(m.field for m in rule.matches)):
            if name.endswith("__c") or (rule.name != "Task" and name not in REQUIRED):
                fields.add(
                    "<fieldPermissions>"
                    + _tag("editable", "true" if name in rule.names else "false")
                    + _tag("field", f"{rule.name}.{name}")
                    + _tag("readable", "true")
                    + "</fieldPermissions>"
                )
    mapped = {rule.name: rule for rule in mapping.objects if rule.name != "Task"}
    objects = dict.fromkeys(mapped)
    if mapped.keys() & set(TOGETHER):
        objects |= dict.fromkeys(TOGETHER)
    found = sorted(fields)
    found.append(_tag("hasActivationRequired", "false"))
    found.append(_tag("label", "Journeyport Integration"))
    for name in sorted(objects):
        rule_of = mapped.get(name)
        found.append(
            "<objectPermissions>"
            + _tag("allowCreate", _said(rule_of is not None and rule_of.creates))
            + _tag("allowDelete", "false")
            + _tag("allowEdit", _said(rule_of is not None))
            + _tag("allowRead", "true")
            + _tag("modifyAllRecords", "false")
            + _tag("object", name)
            + _tag("viewAllRecords", "true")
            + "</objectPermissions>"
        )
    rights = ["ApiEnabled", *(["EditTask"] if mapping.rule("Task") else [])]
    found += [
        "<userPermissions>"
        + _tag("enabled", "true")
        + _tag("name", right)
        + "</userPermissions>"
        for right in rights
    ]
    return found


def _said(value: bool) -> str:
    return "true" if value else "false"


def _document(kind: str, body: list[str]) -> str:
    inner = "\n".join(f"    {line}" for line in body)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<{kind} xmlns="{NAMESPACE}">\n{inner}\n</{kind}>\n'
    )


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def _plain(name: str) -> str:
    return name.removesuffix("__c")


def _label(name: str) -> str:
    return _plain(name).removeprefix("JP_").replace("_", " ")
