"""What an org declares: objects, fields, rules, and how a YAML file says so.

The file beside this module, ``org.yaml``, is the org out of the box; a second file in
the same form adds objects and fields to it or replaces them. No rows live here, and
nothing here knows SQLite or HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from salesforce_sandbox.errors import SchemaError

TEXT_TYPES = frozenset(
    {"string", "textarea", "email", "phone", "url", "picklist", "multipicklist"}
)
NUMBER_TYPES = frozenset({"int", "double", "currency", "percent"})
OTHER_TYPES = frozenset({"id", "boolean", "date", "datetime", "reference"})
FIELD_TYPES = TEXT_TYPES | NUMBER_TYPES | OTHER_TYPES


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object, with what describe says about it."""

    name: str
    type: str = "string"
    label: str = ""
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False
    unique: bool = False
    external_id: bool = False
    case_sensitive: bool = False
    createable: bool = True
    updateable: bool = True
    values: tuple[str, ...] = ()
    restricted: bool = False
    reference_to: tuple[str, ...] = ()
    relationship: str | None = None
    default: Any = None
    auto_number: str | None = None
    computed: str | None = None

    @property
    def custom(self) -> bool:
        """Tells whether people added the field (its name ends in ``__c``)."""
        return self.name.endswith("__c")

    @property
    def nillable(self) -> bool:
        """Tells whether the field may be empty, as describe has it."""
        return not (self.required or self.type in {"boolean", "id"})


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """A rule that refuses a record while its condition (SOQL's WHERE) is true."""

    name: str
    condition: str
    message: str
    field: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """A rule that finds other records equal in all its fields."""

    name: str
    fields: tuple[str, ...]
    action: str = "block"
    active: bool = True


@dataclass(frozen=True, slots=True)
class SObject:
    """One object: fields in describe's order, rights, rules and fixed rows."""

    name: str
    prefix: str
    label: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)
    mergeable: bool = False
    person: bool = False
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    tooling: bool = False
    validation_rules: tuple[ValidationRule, ...] = ()
    duplicate_rules: tuple[DuplicateRule, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()

    @property
    def custom(self) -> bool:
        """Tells whether people added the object."""
        return self.name.endswith("__c")

    def find(self, name: str) -> Field | None:
        """Returns a field by its name, whatever the case of its letters."""
        return self.fields.get(name) or next(
            (f for f in self.fields.values() if f.name.lower() == name.lower()), None
        )

    def find_relationship(self, name: str) -> Field | None:
        """Returns the lookup behind a relationship name such as ``Contact__r``."""
        return next(
            (
                f
                for f in self.fields.values()
                if f.relationship and f.relationship.lower() == name.lower()
            ),
            None,
        )


@dataclass(frozen=True, slots=True)
class Schema:
    """All objects of an org."""

    objects: Mapping[str, SObject]

    def find(self, name: str) -> SObject | None:
        """Returns an object by its name, whatever the case of its letters."""
        return self.objects.get(name) or next(
            (o for o in self.objects.values() if o.name.lower() == name.lower()), None
        )

    def by_prefix(self, record_id: str) -> SObject | None:
        """Returns the object that an id's first three characters name."""
        return next(
            (o for o in self.objects.values() if o.prefix == record_id[:3]), None
        )


def load(extra: Path | None = None, *, person_accounts: bool = False) -> Schema:
    """Reads the built-in org and lays an optional file over it.

    Args:
        extra: A YAML file with more ``objects``; same-named fields are replaced.
        person_accounts: Whether Account also has the fields of a person.

    Raises:
        SchemaError: A file declares something that the sandbox does not know.
    """
    here = Path(__file__).parent
    schema = merge(Schema({}), read(here / "org.yaml"))
    if person_accounts:
        schema = merge(schema, read(here / "person_accounts.yaml"))
    return merge(schema, read(extra)) if extra else schema


def read(path: Path) -> Mapping[str, Any]:
    """Reads a declaration from a YAML file.

    Raises:
        SchemaError: The file is missing, is no YAML, or is no mapping.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"The schema file {path} cannot be read: {error.strerror}."
        raise SchemaError(msg) from error
    except yaml.YAMLError as error:
        msg = f"The schema file {path} is not YAML: {error}"
        raise SchemaError(msg) from error
    if not isinstance(document, dict):
        msg = f"The schema file {path} must hold a mapping with the key 'objects'."
        raise SchemaError(msg)
    return document


def merge(schema: Schema, declaration: Mapping[str, Any]) -> Schema:
    """Returns the schema with the declared objects and fields laid over it."""
    objects = dict(schema.objects)
    for name, body in (declaration.get("objects") or {}).items():
        known = objects.get(name)
        objects[name] = _object(name, body or {}, known, len(objects))
    _check_references(objects)
    return Schema(objects)


def _object(
    name: str, body: Mapping[str, Any], known: SObject | None, ordinal: int
) -> SObject:
    body = dict(body)
    declared = {k: _field(name, k, v or {}) for k, v in body.pop("fields", {}).items()}
    rules = tuple(_rule(ValidationRule, name, r) for r in body.pop("validation", ()))
    duplicates = tuple(_rule(DuplicateRule, name, r) for r in body.pop("duplicate", ()))
    rows = tuple(body.pop("rows", ()))
    owned = body.pop("owned", True)
    if known is None:
        prefix = body.pop("prefix", f"a{ordinal:02d}")
        known = SObject(name, prefix, label=body.pop("label", name))
        declared = _system_fields(
            mergeable=body.get("mergeable", False), owned=owned
        ) | (declared)
    _refuse_unknown(f"the object {name}", body, SObject.__dataclass_fields__)
    return replace(
        known,
        fields={**known.fields, **declared},
        validation_rules=known.validation_rules + rules,
        duplicate_rules=known.duplicate_rules + duplicates,
        rows=known.rows + rows,
        **body,
    )


def _field(object_name: str, name: str, body: Mapping[str, Any]) -> Field:
    where = f"the field {object_name}.{name}"
    _refuse_unknown(where, body, Field.__dataclass_fields__)
    values = dict(body)
    for key in ("values", "reference_to"):
        if key in values:
            values[key] = tuple(values[key])
    built = Field(name, **values)
    if built.type not in FIELD_TYPES:
        msg = f"{where[0].upper()}{where[1:]} has the unknown type {built.type!r}."
        raise SchemaError(msg)
    if built.auto_number or built.computed:
        built = replace(built, createable=False, updateable=False)
    if built.external_id and built.type == "string" and not built.length:
        built = replace(built, length=255)
    return replace(built, label=built.label or name.removesuffix("__c"))


def _rule(kind: type[Any], object_name: str, body: Mapping[str, Any]) -> Any:
    _refuse_unknown(f"a rule of {object_name}", body, kind.__dataclass_fields__)
    values = dict(body)
    if "fields" in values:
        values["fields"] = tuple(values["fields"])
    return kind(**values)


def _refuse_unknown(
    where: str, body: Mapping[str, Any], known: Mapping[str, Any]
) -> None:
    unknown = sorted(set(body) - set(known))
    if unknown:
        msg = f"In {where}, {', '.join(unknown)} is not a known key of the schema."
        raise SchemaError(msg)


def _system_fields(*, mergeable: bool, owned: bool) -> dict[str, Field]:
    def fixed(name: str, kind: str, **more: Any) -> Field:
        return Field(name, kind, name, createable=False, updateable=False, **more)

    user: dict[str, Any] = {"reference_to": ("User",), "length": 18}
    fields = [
        fixed("Id", "id", length=18),
        fixed("IsDeleted", "boolean", default=False),
    ]
    if mergeable:
        fields.append(fixed("MasterRecordId", "reference", length=18))
    fields += [
        fixed("CreatedDate", "datetime", required=True),
        fixed("CreatedById", "reference", relationship="CreatedBy", **user),
        fixed("LastModifiedDate", "datetime", required=True),
        fixed("LastModifiedById", "reference", relationship="LastModifiedBy", **user),
        fixed("SystemModstamp", "datetime", required=True),
    ]
    if owned:
        fields.append(
            Field("OwnerId", "reference", "Owner ID", relationship="Owner", **user)
        )
    return {f.name: f for f in fields}


def _check_references(objects: Mapping[str, SObject]) -> None:
    for sobject in objects.values():
        for one in sobject.fields.values():
            for target in one.reference_to:
                if target not in objects:
                    msg = (
                        f"The field {sobject.name}.{one.name} refers to {target}, "
                        "which the schema does not declare."
                    )
                    raise SchemaError(msg)
