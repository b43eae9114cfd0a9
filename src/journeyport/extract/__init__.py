"""Extraction: the walk, the certificate and the cheaper reads beside them."""

from journeyport.extract.audit import AuditReport, audit, rotation
from journeyport.extract.certificate import (
    Certificate,
    certify,
    markdown,
    release,
)
from journeyport.extract.doctor import Diagnosis, Estimate, diagnose
from journeyport.extract.identifiers import (
    IdentifierTypes,
    identifier_types,
    write_identifier_types,
)
from journeyport.extract.landing import land
from journeyport.extract.nightly import NightReport, in_turn, nightly, nightly_days
from journeyport.extract.policy import FieldPolicy, load_policy
from journeyport.extract.publish import publish
from journeyport.extract.report import (
    DayLanding,
    ExtractOptions,
    LandReport,
    Source,
)
from journeyport.extract.verification import Verification, verify_certificate
from journeyport.extract.watch import WatchReport, purge, watch_list

__all__ = [
    "AuditReport",
    "Certificate",
    "DayLanding",
    "Diagnosis",
    "Estimate",
    "ExtractOptions",
    "FieldPolicy",
    "IdentifierTypes",
    "LandReport",
    "NightReport",
    "Source",
    "Verification",
    "WatchReport",
    "audit",
    "certify",
    "diagnose",
    "identifier_types",
    "in_turn",
    "land",
    "load_policy",
    "markdown",
    "nightly",
    "nightly_days",
    "publish",
    "purge",
    "release",
    "rotation",
    "verify_certificate",
    "watch_list",
    "write_identifier_types",
]
