"""The source's interface, as a list of leaf fields."""

from pathlib import Path

import pytest
import yaml

INTERFACE = Path(__file__).with_name("interface.yaml")


@pytest.fixture(scope="session")
def leaves():
    """Paths of all leaf fields of one of the interface's schemas."""
    schemas = yaml.safe_load(INTERFACE.read_text())["components"]["schemas"]

    def below(schema, path):
        if "$ref" in schema:
            return below(schemas[schema["$ref"].rpartition("/")[2]], path)
        if schema.get("type") == "array":
            return below(schema["items"], f"{path}[]")
        if "properties" in schema:
            return [
                leaf
                for name, inner in schema["properties"].items()
                for leaf in below(inner, f"{path}.{name}" if path else name)
            ]
        if isinstance(schema.get("additionalProperties"), dict):
            return below(schema["additionalProperties"], f"{path}{{}}")
        return [path]

    return lambda name: below(schemas[name], "")
