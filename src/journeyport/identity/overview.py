"""What a person looks at after a night: coverage, sizes, and whether the laws hold.

Identifiers are masked: what is answered here may be shown in a UI or a log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from journeyport.identity.config import IdentityConfig
from journeyport.identity.report import counts
from journeyport.lake import Lake
from journeyport.session import open_session

_TABLES = (
    "engagement_customers",
    "customers",
    "customer_identifiers",
    "identity_links",
    "identity_refusals",
    "customer_id_redirects",
)

LAWS: Mapping[str, str] = {
    "an identifier is one customer's own": """
        SELECT 1 FROM customer_identifiers WHERE standing <> 'SHARED'
        GROUP BY account_id, identifier_type, value HAVING count(*) > 1""",
    "a shared identifier is nobody's own": """
        SELECT 1 FROM customer_identifiers a JOIN customer_identifiers b
        USING (account_id, identifier_type, value)
        WHERE a.standing = 'SHARED' AND b.standing <> 'SHARED'""",
    "an engagement's customer exists": """
        SELECT 1 FROM engagement_customers e WHERE customer_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM customers c WHERE c.account_id = e.account_id
        AND c.customer_id = e.customer_id)""",
    "an engagement has a customer when resolved, and only then": """
        SELECT 1 FROM engagement_customers
        WHERE (customer_id IS NOT NULL) <> (resolution IN ('RESOLVED', 'PROVISIONAL'))
    """,
    "a refused pair is not one customer's": """
        SELECT 1 FROM identity_refusals
        WHERE left_customer_id = right_customer_id""",
    "a pair is linked or refused, not both": """
        SELECT 1 FROM identity_links JOIN identity_refusals
        USING (account_id, left_type, left_value, right_type, right_value)""",
    "a retired id is not in use": """
        SELECT 1 FROM customer_id_redirects r JOIN customers c
        ON c.account_id = r.account_id AND c.customer_id = r.retired_customer_id""",
    "a redirect leads to a living customer in one hop": """
        SELECT 1 FROM customer_id_redirects r WHERE customer_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM customers c WHERE c.account_id = r.account_id
        AND c.customer_id = r.customer_id)""",
    "no customer holds more of a type than its cap": """
        SELECT 1 FROM (
            SELECT i.account_id, i.customer_id, i.identifier_type,
                   count(DISTINCT i.value) AS held
            FROM customer_identifiers i
            WHERE strength = 'VERY_STRONG' AND standing = 'LINKED'
            AND NOT EXISTS (
                SELECT 1 FROM identity_links l WHERE l.rule = 'MUST_LINK'
                AND l.account_id = i.account_id AND l.customer_id = i.customer_id
            )
            GROUP BY ALL
        ) JOIN caps USING (identifier_type) WHERE held > cap""",
}
"""By claim, a query that finds what breaks it. A must-link may exceed the cap."""


@dataclass(frozen=True)
class Shared:
    """An identifier that many customers may be meant by, masked."""

    identifier_type: str
    masked: str
    candidates: int
    engagements: int


@dataclass(frozen=True)
class Overview:
    """One account's identity at a glance.

    Attributes:
        engagements: how many of each resolution.
        sizes: how many customers have so many own identifiers.
        largest: customer id, own identifiers, engagements; the largest first.
        shared: the identifiers that most customers share.
    """

    engagements: Mapping[str, int]
    sizes: Mapping[int, int]
    largest: Sequence[tuple[str, int, int]]
    shared: Sequence[Shared]

    @property
    def coverage(self) -> float:
        """Share of engagements that are RESOLVED; 0 where there are none."""
        total = sum(self.engagements.values())
        return self.engagements.get("RESOLVED", 0) / total if total else 0.0


def overview(lake: Lake, account: str, *, most: int = 10) -> Overview:
    """What the published tables say of an account."""
    with open_session() as connection:
        for name in ("customers", "customer_identifiers"):
            connection.register(name, lake.read(name, accounts=[account]))
        sizes = connection.execute(
            "SELECT identifier_count, count(*) FROM customers GROUP BY ALL ORDER BY 1"
        ).fetchall()
        largest = connection.execute(
            "SELECT customer_id, identifier_count, engagement_count FROM customers "
            "ORDER BY identifier_count DESC, engagement_count DESC, 1 LIMIT $most",
            {"most": most},
        ).fetchall()
        shared = connection.execute(
            "SELECT identifier_type, value, count(*) AS candidates, "
            "max(engagement_count) FROM customer_identifiers "
            "WHERE standing = 'SHARED' GROUP BY ALL "
            "ORDER BY candidates DESC, identifier_type, value LIMIT $most",
            {"most": most},
        ).fetchall()
    resolutions = lake.read("engagement_customers", accounts=[account])
    return Overview(
        counts(resolutions, "resolution"),
        dict(sizes),
        largest,
        [Shared(kind, mask(value), *numbers) for kind, value, *numbers in shared],
    )


def mask(value: str) -> str:
    """First and last two characters of a long value; nothing of a short one."""
    return f"{value[:2]}…{value[-2:]}" if len(value) >= 8 else "…"


def broken_laws(lake: Lake, config: IdentityConfig) -> dict[str, int]:
    """The laws that the published tables break, and how often; empty: none."""
    with open_session() as connection:
        for name in _TABLES:
            connection.register(name, lake.read_snapshot(name))
        kinds = connection.execute(
            "SELECT DISTINCT identifier_type FROM customer_identifiers"
        ).fetchall()
        connection.execute("CREATE TABLE caps (identifier_type VARCHAR, cap INTEGER)")
        for (kind,) in kinds:
            connection.execute(
                "INSERT INTO caps VALUES ($kind, $cap)",
                {"kind": kind, "cap": config.cap(kind)},
            )
        found = {
            claim: len(connection.execute(query).fetchall())
            for claim, query in LAWS.items()
        }
    return {claim: count for claim, count in found.items() if count}
