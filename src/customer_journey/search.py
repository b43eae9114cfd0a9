"""Searching engagements: which rows, how many in all, and one page of them.

Every answer is newest startDate first and, where those are equal, by id descending. Validation of what is asked lives in validation.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
import sqlalchemy as sa

from customer_journey import identity
from customer_journey.documents import Document
from customer_journey.models import engagements, facets, identifiers, occurrences


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; instants in microseconds, both bounds inclusive."""

    account: str
    identifiers: dict[str, list[str]] | None = None
    start: int | None = None
    end: int | None = None
    conversation: str | None = None
    agent: str | None = None
    channels: tuple[str, ...] = ()

    @property
    def has_filter(self) -> bool:
        """True with identifiers, channels or an agent: what `require-filter` wants."""
        return self.identifiers is not None or bool(self.channels) or bool(self.agent)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of documents as JSON texts, with what is true of the whole search."""

    documents: Sequence[str]
    identifiers: dict[str, list[str]]
    total: int


def search(
    connection: sa.Connection, query: Query, number: int, size: int, *, oldest: int = 0
) -> Page:
    """Page ``number`` (from 1) of what matches every filter given.

    Args:
        connection: where to read.
        query: the filters.
        number: the page's number.
        size: engagements on a page.
        oldest: engagements before this instant are no longer kept (0: all are).
    """
    journeys = None
    linked: dict[str, list[str]] | None = None
    if query.identifiers is not None:
        journeys = identity.journeys_of(connection, query.account, query.identifiers)
        linked = identity.members(connection, query.account, journeys)
        if not journeys:
            return Page([], {}, 0)
    clauses = _clauses(query, journeys, oldest)
    total = connection.execute(
        sa.select(sa.func.count()).select_from(engagements).where(*clauses)
    ).scalar_one()
    offset = (number - 1) * size
    if offset >= total:
        return Page([], linked or {}, total)
    rows = connection.execute(
        sa.select(engagements.c.document, engagements.c.identifiers)
        .where(*clauses)
        .order_by(engagements.c.start_us.desc(), engagements.c.engagement_id.desc())
        .limit(size)
        .offset(offset)
    ).all()
    if linked is None:
        linked = union(row.identifiers for row in rows)
    return Page([row.document for row in rows], linked, total)


def union(texts: Iterable[str]) -> dict[str, list[str]]:
    """Every identifier of the rows' identifier texts, each once."""
    merged: dict[str, dict[str, None]] = {}
    for text in texts:
        for name, values in orjson.loads(text).items():
            merged.setdefault(name, {}).update(dict.fromkeys(values))
    return {name: list(values) for name, values in merged.items()}


def _clauses(
    query: Query, journeys: list[int] | None, oldest: int
) -> list[sa.ColumnElement[bool]]:
    clauses = [engagements.c.account_id == query.account]
    start = max(query.start, oldest) if query.start is not None else oldest
    if start or query.start is not None:
        clauses.append(engagements.c.start_us >= start)
    if query.end is not None:
        clauses.append(engagements.c.start_us <= query.end)
    if query.channels:
        wanted = tuple(channel.casefold() for channel in query.channels)
        clauses.append(_carrying(query, "channel", wanted, start))
    if query.agent is not None:
        clauses.append(_carrying(query, "agent", (query.agent,), start))
    if query.conversation is not None:
        clauses.append(_carrying(query, "conversation", (query.conversation,), start))
    if journeys is not None:
        carried = (
            sa.select(occurrences.c.seq)
            .join(identifiers, identifiers.c.identifier == occurrences.c.identifier)
            .where(
                identifiers.c.account_id == query.account,
                identifiers.c.journey.in_(journeys),
            )
        )
        clauses.append(engagements.c.seq.in_(carried))
    return clauses


def _carrying(
    query: Query, kind: str, values: tuple[str, ...], start: int
) -> sa.ColumnElement[bool]:
    bounds = []
    if start or query.start is not None:
        bounds.append(facets.c.start_us >= start)
    if query.end is not None:
        bounds.append(facets.c.start_us <= query.end)
    return engagements.c.seq.in_(
        sa.select(facets.c.seq).where(
            facets.c.account_id == query.account,
            facets.c.kind == kind,
            facets.c.value.in_(values),
            *bounds,
        )
    )


def journey_documents(
    connection: sa.Connection, account: str, values: identity.Values
) -> list[Document]:
    """The documents of every engagement in the journeys of the values."""
    journeys = identity.journeys_of(connection, account, values)
    if not journeys:
        return []
    query = Query(account)
    rows = connection.execute(
        sa.select(engagements.c.document).where(*_clauses(query, journeys, 0))
    )
    return [orjson.loads(text) for text in rows.scalars()]


def page_body(
    documents: Sequence[str],
    number: int,
    size: int,
    total: int,
    linked: dict[str, list[str]] | None,
) -> bytes:
    """A page's JSON, joined from the documents' texts."""
    pagination = {"pageNumber": number, "pageSize": size, "total": total}
    head = b""
    if linked is not None:
        head = b'"identifiers":' + orjson.dumps(linked) + b","
    return b"".join(
        (
            b"{",
            head,
            b'"engagements":[',
            ",".join(documents).encode(),
            b'],"pagination":',
            orjson.dumps(pagination),
            b"}",
        )
    )
