"""Searching engagements: which rows, how many in all, and one page of them.

Every answer is newest startDate first and, where those are equal, by id descending.
Validation of what is asked lives in validation.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import orjson
import sqlalchemy as sa

from customer_journey import identity
from customer_journey.documents import Document
from customer_journey.models import (
    STRETCH,
    engagements,
    facets,
    identifiers,
    occurrences,
    tallies,
)

#: Before every instant that the contract's date-time can name.
EARLIEST = -(2**62)


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
    connection: sa.Connection,
    query: Query,
    number: int,
    size: int,
    *,
    oldest: int = EARLIEST,
) -> Page:
    """Page ``number`` (from 1) of what matches every filter given.

    Args:
        connection: where to read.
        query: the filters.
        number: the page's number.
        size: engagements on a page.
        oldest: engagements before this instant are no longer kept.
    """
    journeys = None
    linked: dict[str, list[str]] | None = None
    if query.identifiers is not None:
        journeys = identity.journeys_of(connection, query.account, query.identifiers)
        linked = identity.members(connection, query.account, journeys)
        if not journeys:
            return Page([], {}, 0)
    statements = _statements(
        query.end is not None,
        bool(query.channels),
        query.agent is not None,
        query.conversation is not None,
        journeys is not None,
    )
    values = _values(query, journeys, oldest)
    # PostgreSQL sums bigints to a decimal
    total = int(connection.execute(statements.count, values).scalar_one())
    offset = (number - 1) * size
    if offset >= total:
        return Page([], linked or {}, total)
    rows = connection.execute(
        statements.page, {**values, "size": size, "offset": offset}
    ).all()
    if linked is None:
        linked = union([row.identifiers for row in rows])
    return Page([row.document for row in rows], linked, total)


def union(texts: Sequence[str]) -> dict[str, list[str]]:
    """Every identifier of the rows' identifier texts, each once."""
    merged: dict[str, dict[str, None]] = {}
    for held in orjson.loads(f"[{','.join(texts)}]"):
        for name, values in held.items():
            known = merged.setdefault(name, {})
            for value in values:
                known[value] = None
    return {name: list(values) for name, values in merged.items()}


@dataclass(frozen=True, slots=True)
class _Statements:
    """One kind of search, made once: building it costs more than running it."""

    count: sa.Select[int]
    page: sa.Select[str, str]
    whole: sa.Select[str]


@cache
def _statements(
    ends: bool,
    by_channel: bool,
    by_agent: bool,
    by_conversation: bool,
    by_journey: bool,
) -> _Statements:
    start = engagements.c.start_us
    filters: list[sa.ColumnElement[bool]] = [
        engagements.c.seq.in_(_carrying(kind, ends=ends))
        for wanted, kind in (
            (by_channel, "channel"),
            (by_agent, "agent"),
            (by_conversation, "conversation"),
        )
        if wanted
    ]
    if by_journey:
        filters.append(engagements.c.seq.in_(_in_journeys()))
        # the sum keeps a planner from walking all dates of the account: few rows are
        # found by the journey, and only those are compared
        filters.append(start + 0 >= sa.bindparam("start"))
        if ends:
            filters.append(start + 0 <= sa.bindparam("end"))
    newest_first = (start.desc(), engagements.c.engagement_id.desc())
    columns = (engagements.c.document, engagements.c.identifiers)
    if filters:
        found = (
            sa.select(engagements.c.seq)
            .where(*filters)
            .order_by(*newest_first)
            .limit(sa.bindparam("size"))
            .offset(sa.bindparam("offset"))
            .subquery()
        )
        return _Statements(
            count=sa.select(sa.func.count()).select_from(engagements).where(*filters),
            page=sa.select(*columns)
            .where(engagements.c.seq.in_(sa.select(found.c.seq)))
            .order_by(*newest_first),
            whole=sa.select(engagements.c.document).where(*filters),
        )
    between = [
        engagements.c.account_id == sa.bindparam("account"),
        start >= sa.bindparam("start"),
        *([start <= sa.bindparam("end")] if ends else []),
    ]
    return _Statements(
        count=_tallied(ends=ends),
        page=sa.select(*columns)
        .where(*between)
        .order_by(*newest_first)
        .limit(sa.bindparam("size"))
        .offset(sa.bindparam("offset")),
        whole=sa.select(engagements.c.document).where(*between),
    )


def _in_journeys() -> sa.Select[int]:
    """The rows that carry any identifier of the journeys."""
    return (
        sa.select(occurrences.c.seq)
        .join(identifiers, identifiers.c.identifier == occurrences.c.identifier)
        .where(
            identifiers.c.account_id == sa.bindparam("account"),
            identifiers.c.journey.in_(sa.bindparam("journeys", expanding=True)),
        )
    )


def _tallied(*, ends: bool) -> sa.Select[int]:
    """How many start between the dates: whole stretches summed, their edges counted."""

    def rows(*bounds: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        return (
            sa.select(sa.func.count())
            .select_from(engagements)
            .where(engagements.c.account_id == sa.bindparam("account"), *bounds)
            .scalar_subquery()
        )

    start = engagements.c.start_us
    whole = [tallies.c.stretch > sa.bindparam("first")]
    edges: sa.ColumnElement[int] = rows(
        start >= sa.bindparam("start"),
        start < sa.bindparam("first_end"),
        *([start <= sa.bindparam("end")] if ends else []),
    )
    if ends:
        whole.append(tallies.c.stretch < sa.bindparam("last"))
        # nothing when both bounds fall in one stretch: counted above
        edges = edges + rows(
            start >= sa.bindparam("last_start"),
            start >= sa.bindparam("first_end"),
            start <= sa.bindparam("end"),
        )
    summed = (
        sa.select(sa.func.coalesce(sa.func.sum(tallies.c.engagements), 0))
        .where(tallies.c.account_id == sa.bindparam("account"), *whole)
        .scalar_subquery()
    )
    return sa.select(summed + edges)


def _carrying(kind: str, *, ends: bool) -> sa.Select[int]:
    """The rows that carry a value of a kind, within the dates."""
    bounds = [facets.c.start_us >= sa.bindparam("start")]
    if ends:
        bounds.append(facets.c.start_us <= sa.bindparam("end"))
    return sa.select(facets.c.seq).where(
        facets.c.account_id == sa.bindparam("account"),
        facets.c.kind == kind,
        facets.c.value.in_(sa.bindparam(kind, expanding=True)),
        *bounds,
    )


def _values(query: Query, journeys: list[int] | None, oldest: int) -> dict[str, object]:
    start = oldest if query.start is None else max(query.start, oldest)
    first = start // STRETCH
    values: dict[str, object] = {
        "account": query.account,
        "start": start,
        "first": first,
        "first_end": (first + 1) * STRETCH,
    }
    if query.end is not None:
        last = query.end // STRETCH
        values |= {"end": query.end, "last": last, "last_start": last * STRETCH}
    if query.channels:
        values["channel"] = [channel.casefold() for channel in query.channels]
    if query.agent is not None:
        values["agent"] = [query.agent]
    if query.conversation is not None:
        values["conversation"] = [query.conversation]
    if journeys is not None:
        values["journeys"] = journeys
    return values


def journey_documents(
    connection: sa.Connection, account: str, values: identity.Values
) -> list[Document]:
    """The documents of every engagement in the journeys of the values."""
    journeys = identity.journeys_of(connection, account, values)
    if not journeys:
        return []
    statement = _statements(False, False, False, False, True).whole
    rows = connection.execute(statement, _values(Query(account), journeys, EARLIEST))
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
