"""What describe answers: objects and fields with their types, lengths and rights."""

from __future__ import annotations

from typing import Any

from salesforce_sandbox.schema import NUMBER_TYPES, TEXT_TYPES, Field, SObject

_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
}


def summary(sobject: SObject, version: str) -> dict[str, Any]:
    """Returns an object as the list of all objects shows it."""
    base = f"/services/data/{version}/sobjects/{sobject.name}"
    return {
        "activateable": False,
        "createable": sobject.createable,
        "custom": sobject.custom,
        "customSetting": False,
        "deletable": sobject.deletable,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "keyPrefix": sobject.prefix,
        "label": sobject.label or sobject.name,
        "labelPlural": f"{sobject.label or sobject.name}s",
        "layoutable": sobject.createable,
        "mergeable": sobject.mergeable,
        "mruEnabled": False,
        "name": sobject.name,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": sobject.createable,
        "triggerable": sobject.createable,
        "undeletable": sobject.deletable,
        "updateable": sobject.updateable,
        "urls": {
            "sobject": base,
            "describe": f"{base}/describe",
            "rowTemplate": f"{base}/{{ID}}",
        },
    }


def full(sobject: SObject, objects: list[SObject], version: str) -> dict[str, Any]:
    """Returns the whole description of an object."""
    body = summary(sobject, version)
    body["fields"] = [_field(sobject, f) for f in sobject.fields.values()]
    body["childRelationships"] = [
        {
            "cascadeDelete": False,
            "childSObject": child.name,
            "deprecatedAndHidden": False,
            "field": f.name,
            "relationshipName": None,
            "restrictedDelete": False,
        }
        for child in objects
        for f in child.fields.values()
        if sobject.name in f.reference_to
    ]
    body["recordTypeInfos"] = []
    return body


def _field(sobject: SObject, field: Field) -> dict[str, Any]:
    text = field.type in TEXT_TYPES
    length = field.length or (18 if field.type in {"id", "reference"} else 0)
    name_field = field.name == "Name"
    return {
        "aggregatable": field.type != "textarea",
        "autoNumber": field.auto_number is not None,
        "byteLength": length * 3 if text else length,
        "calculated": False,
        "caseSensitive": field.case_sensitive,
        "createable": sobject.createable and field.createable,
        "custom": field.custom,
        "defaultValue": field.default,
        "defaultedOnCreate": field.default is not None
        or field.auto_number is not None
        or field.type == "boolean"
        or field.name in {"Id", "OwnerId", "CreatedDate", "LastModifiedDate"},
        "deprecatedAndHidden": False,
        "digits": 9 if field.type == "int" else 0,
        "encrypted": False,
        "externalId": field.external_id,
        "filterable": not (field.type == "textarea" and field.length > 255),
        "groupable": field.type not in {"textarea", "datetime", "double"},
        "idLookup": field.external_id or field.name == "Id",
        "inlineHelpText": None,
        "label": field.label or field.name,
        "length": length,
        "name": field.name,
        "nameField": name_field,
        "nillable": field.nillable and field.auto_number is None,
        "permissionable": field.custom,
        "picklistValues": [
            {
                "active": True,
                "defaultValue": v == field.default,
                "label": v,
                "validFor": None,
                "value": v,
            }
            for v in field.values
        ],
        "precision": (field.precision or 18) if _scaled(field) else 0,
        "referenceTo": list(field.reference_to),
        "relationshipName": field.relationship,
        "restrictedPicklist": field.restricted,
        "scale": field.scale,
        "soapType": _SOAP.get(field.type, "xsd:string"),
        "sortable": field.type != "textarea",
        "type": field.type,
        "unique": field.unique,
        "updateable": sobject.updateable and field.updateable,
        "writeRequiresMasterRead": False,
    }


def _scaled(field: Field) -> bool:
    return field.type in NUMBER_TYPES and field.type != "int"
