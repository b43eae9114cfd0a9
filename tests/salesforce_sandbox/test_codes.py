"""Every code the sandbox can answer has a test that names Salesforce's page for it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import salesforce_sandbox

SOURCES = Path(salesforce_sandbox.__file__).parent
TESTS = Path(__file__).parent

GUIDES = {
    # https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/
    "REST API Developer Guide": {
        "Batch Request Body",
        "allOrNone Parameters in Composite and Collections Requests",
        "Composite",
        "Duplicate Rule Header",
        "Insert or Update (Upsert) a Record Using an External ID",
        "Status Codes and Error Responses",
        "Update a Record",
        "Upsert Records Using sObject Collections",
    },
    # https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/
    "SOAP API Developer Guide": {
        "Core Data Types Used in API Calls",
        "merge()",
        "undelete()",
        "upsert()",
    },
    # https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/
    "Bulk API 2.0 Developer Guide": {
        "Abort a Query Job",
        "Create a Job",
        "Create a Query Job",
        "Delete a Job",
        "Errors",
        "Get Job Failed Record Results",
        "Prepare CSV Files",
        "Upload Complete",
        "Upload Job Data",
    },
    # https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/
    "Object Reference": {"Custom Fields"},
    # https://help.salesforce.com/
    "Salesforce Help": {
        "Error 'bad field names' when you import Person Accounts",
        "OAuth Error Codes",
    },
}
"""The pages that tests may name, by their titles, in the guides that hold them."""

ERRORS = {"ApiError": 1, "Rejection": 0, "OAuthError": 0}
"""What refuses a request or a record, and where its code stands."""


def raised() -> Iterator[tuple[str, ast.expr]]:
    """Every place that makes an error: where it is, and its code."""
    for path in sorted(SOURCES.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = ERRORS.get(node.func.id)
                if place is not None:
                    yield f"{path.name}:{node.lineno}", node.args[place]


def codes() -> set[str]:
    return {code.value for _, code in raised() if isinstance(code, ast.Constant)}


def told() -> list[tuple[str, str]]:
    """Each test: what its docstring says on one line, and the rest of it."""
    found = []
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = ast.get_docstring(node) or ""
                if words:
                    node.body = node.body[1:]
                found.append((" ".join(words.split()), ast.unparse(node)))
    return found


def names(text: str, code: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(code)}(?!\w)", text) is not None


def test_every_error_names_its_code_where_it_is_made():
    """Else the next test could not see it; one error is made of a record's refusal."""
    hidden = [at for at, code in raised() if not isinstance(code, ast.Constant)]
    assert [at.partition(":")[0] for at in hidden] == ["errors.py"]


def test_every_code_is_seen_by_a_test_that_names_salesforces_page():
    pages = {f'"{title}"' for titles in GUIDES.values() for title in titles}
    tests = told()
    without = {
        code
        for code in codes()
        if not any(
            names(words, code)
            and names(body, code)
            and any(page in words for page in pages)
            for words, body in tests
        )
    }
    assert len(codes()) > 45
    assert without == set()
