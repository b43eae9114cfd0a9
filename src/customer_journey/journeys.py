"""Journeys: search, create, unlink, and the agents that took part in one."""

import uuid

from starlette.responses import Response

from customer_journey import bodies, identity, search, trouble
from customer_journey.call import Call, accepted, json_answer, required
from customer_journey.instants import DAY, format_instant, parse_instant


def get_journeys(call: Call) -> Response:
    """Search Journey."""
    number, size = bodies.paging(call.query)
    query = bodies.journey_query(call.body, call.account)
    call.notes.update(
        pageNumber=number,
        pageSize=size,
        startDate=None if query.start is None else format_instant(query.start),
        endDate=None if query.end is None else format_instant(query.end),
    )
    query, limit = trouble.before_search(call, query, number, size)
    page = search.search(
        trouble.reader(call), query, number, limit, oldest=trouble.oldest(call)
    )
    page = trouble.after_search(call, page)
    call.notes.update(rows=len(page.documents), total=page.total)
    return Response(
        search.page_body(page.documents, number, size, page.total, page.identifiers),
        media_type="application/json",
    )


def create_journey(call: Call) -> Response:
    """Link the given identifiers and all they were linked to."""
    values = required(call, bodies.journey(call.body))
    call.service.writes.accept(call.account, {"kind": "journey", "identifiers": values})
    return accepted()


def unlink_identifier(call: Call) -> Response:
    """Take one identifier out of a journey; answers what stays linked.

    The contract bounds the answer as it bounds a request: the first ten names are
    given, with the first five values each. Where nothing stays, the names are empty.
    """
    values, name, value = bodies.unlink(call.body)
    service = call.service
    reader = service.store.reader
    before = identity.journeys_of(reader, call.account, values)
    taken = identity.journeys_of(reader, call.account, {name: [value]})
    if set(taken) & set(before):
        with service.store.write() as connection:
            rest = identity.unlink(connection, call.account, name, value)
        before = [one for one in before if one not in taken] + rest
    stays = identity.members(reader, call.account, before)
    shown = {key: listed[:5] for key, listed in list(stays.items())[:10]}
    return json_answer({"identifiers": shown or {key: [] for key in values}})


def list_agents(call: Call) -> Response:
    """Agents that took part on a channel and have left, by when they left."""
    size, latest_first = bodies.agents_paging(call.query)
    values, channel, start = bodies.agents_query(call.body)
    service = call.service
    since = service.clock.now() - 30 * DAY if start is None else start
    documents = search.journey_documents(service.store.reader, call.account, values)
    wanted = channel.casefold()
    left: dict[str, int] = {}
    for document in documents:
        for participant in document.get("participants", ()):
            kinds = (participant.get("channelId"), participant.get("channelType"))
            if participant.get("type") != "AGENT" or "leftAt" not in participant:
                continue
            if wanted not in [kind.casefold() for kind in kinds if kind]:
                continue
            at = parse_instant(participant["leftAt"])
            if at is not None and at >= since:
                agent = participant["id"]
                left[agent] = max(at, left.get(agent, at))
    ordered = sorted(
        left.items(), key=lambda pair: (pair[1], pair[0]), reverse=latest_first
    )
    provider = str(uuid.uuid5(uuid.NAMESPACE_URL, f"provider:{call.account}:{wanted}"))
    return json_answer(
        [
            {
                "agentId": agent,
                "channelProviderId": provider,
                "leftAt": format_instant(at),
            }
            for agent, at in ordered[:size]
        ]
    )
