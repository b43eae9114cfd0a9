"""Extraction: the walk, the certificate and the cheaper reads beside them."""

from journeyport.extract.certificate import (
    Certificate,
    Verification,
    certify,
    issue_certificates,
    markdown,
    release,
    verify_certificate,
)
from journeyport.extract.identifiers import (
    IdentifierTypes,
    identifier_types,
    write_identifier_types,
)
from journeyport.extract.landing import land
from journeyport.extract.policy import FieldPolicy, load_policy
from journeyport.extract.publish import publish
from journeyport.extract.report import (
    DayLanding,
    ExtractOptions,
    LandReport,
    Source,
)

__all__ = [
    "Certificate",
    "DayLanding",
    "ExtractOptions",
    "FieldPolicy",
    "IdentifierTypes",
    "LandReport",
    "Source",
    "Verification",
    "certify",
    "identifier_types",
    "issue_certificates",
    "land",
    "load_policy",
    "markdown",
    "publish",
    "release",
    "verify_certificate",
    "write_identifier_types",
]
