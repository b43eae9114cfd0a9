"""One believable engagement: who joins when, waits where, is handed to whom.

A scene is composed to its true end and then cut at the instant the generator pretends
to look at, so that what is still open then looks open. Everything is drawn from the
Random that is handed in. Who calls is in people.py, when they call in calendars.py.
"""

from random import Random
from typing import Any

from customer_journey.contacts import identifiers_of
from customer_journey.documents import Document
from customer_journey.instants import DAY, HOUR, MINUTE, SECOND, format_instant
from customer_journey.people import Person, pick
from customer_journey.stage import Agent, Stage, new_uuid
from customer_journey.staging import Manner

TOPICS = (
    "Billing",
    "Delivery",
    "Returns",
    "Contract renewal",
    "Technical support",
    "Complaint",
    "New order",
    "Address change",
)
NOTES = (
    "Customer asked for a call back in the morning.",
    "Refund promised within five working days.",
    "Explained the invoice line by line; satisfied.",
    "Device replaced, tracking number sent.",
    "Escalated to second level, ticket opened.",
)
ATTRIBUTES = (
    "Language.German",
    "Language.English",
    "Skill.Billing",
    "Skill.Technical",
    "Segment.Gold",
    "Segment.Standard",
    "Priority.High",
)


def compose(
    rng: Random,
    stage: Stage,
    person: Person,
    manner: Manner,
    *,
    start: int,
    as_of: int,
) -> Document:
    """An engagement of a person that starts at ``start``, seen at ``as_of``.

    Times are microseconds; the document is complete and in the order a reader finds it.
    """
    return _Scene(rng, stage, person, manner, start).document(as_of)


class _Scene:
    """One engagement while it is being composed; times move in ``self.at``."""

    def __init__(
        self, rng: Random, stage: Stage, person: Person, manner: Manner, start: int
    ) -> None:
        self.rng = rng
        self.stage = stage
        self.person = person
        self.start = start
        self.at = start
        self.manner = manner
        self.outbound = rng.random() < self.manner.outbound
        self.id = new_uuid(rng)
        self.dialog = new_uuid(rng)
        self.caller = new_uuid(rng)
        self.participants: list[dict[str, Any]] = []
        self.queues: list[dict[str, Any]] = []
        self.transfers: list[dict[str, Any]] = []
        self.identifiers = identifiers_of(
            rng, person, manner, stage.region, withheld=not self.outbound
        )
        #: Who took the engagement last; somebody of the cast until anybody has.
        self.agent = stage.agents[0]
        self.handled = False
        self._play()

    def _later(self, span: tuple[int, int]) -> int:
        # squared, so that short spans are common and long ones are not
        draw = self.rng.random()
        self.at += int(span[0] + (span[1] - span[0]) * draw * draw) // 1000 * 1000
        return self.at

    def _join(self, kind: str, who: str, **more: Any) -> dict[str, Any]:
        joined = {
            "id": who,
            "type": kind,
            "dialogId": self.dialog,
            "channelId": self.manner.channel,
            "channelType": self.manner.type,
            "joinedAt": self.at,
            **more,
        }
        self.participants.append(joined)
        return joined

    def _join_agent(self, agent: Agent, **more: Any) -> dict[str, Any]:
        return self._join(
            "AGENT",
            agent.id,
            agentDisplayName=agent.name,
            extension=agent.extension,
            **more,
        )

    def _play(self) -> None:
        rng, manner = self.rng, self.manner
        numbers = self._numbers()
        if self.outbound:
            self.agent = pick(rng, self.stage.agents)
            self.handled = True
            self._join_agent(self.agent)
            self._later((5 * SECOND, 30 * SECOND))
            self._join("EXTERNAL", self.caller, **numbers)
            self._later(manner.talk)
            return
        self._join("EXTERNAL", self.caller, **numbers)
        if rng.random() < manner.bot and self._bot():
            return
        if self._queue(pick(rng, self.stage.queues[:4])):
            self._talk()

    def _numbers(self) -> dict[str, str]:
        if self.manner.channel != "Voice":
            address = next(iter(self.identifiers.values()), ["web-visitor"])[0]
            return {"callingNumber": address, "dialledNumber": self.manner.address}
        calling = self.identifiers.get("phoneNumbers", self.person.phones)[0]
        if self.outbound:
            return {"callingNumber": self.stage.line, "dialledNumber": calling}
        return {"callingNumber": calling, "dialledNumber": self.stage.line}

    def _bot(self) -> bool:
        """A bot or menu comes first; True when it was all that was needed."""
        kind = self.manner.automation
        who = {"CHATBOT": self.stage.bot, "SELF_SERVICE": self.stage.menu}
        self.at += SECOND
        joined = self._join(
            "TREATMENT", who.get(kind, self.stage.routing), automationType=kind
        )
        joined["leftAt"] = self._later((15 * SECOND, 3 * MINUTE))
        return self.rng.random() < self.manner.contained

    def _queue(self, queue: tuple[str, str]) -> bool:
        """Wait in a queue; False when the customer gives up."""
        rng = self.rng
        segment: dict[str, Any] = {
            "queueId": queue[0],
            "queueName": queue[1],
            "channelId": self.manner.channel,
            "priority": 1 + int(rng.random() * 10),
            "rank": 1,
            "proficiencyRangeMin": 1,
            "proficiencyRangeMax": 1 + int(rng.random() * 16),
            "queuedAt": self.at,
        }
        self.queues.append(segment)
        self._later(self.manner.wait)
        if rng.random() < self.manner.abandon:
            return False
        self.agent = pick(rng, self.stage.agents)
        self.handled = True
        segment["agentId"] = self.agent.id
        segment["acceptedAt"] = self.at
        return True

    def _talk(self) -> None:
        rng = self.rng
        speaking = self._join_agent(self.agent)
        self._later(self.manner.talk)
        if self.manner.channel == "Voice" and rng.random() < 0.03:
            self._join_agent(pick(rng, self.stage.supervisors), role="SUPERVISOR")
            self._later((20 * SECOND, 2 * MINUTE))
        for _ in range(2):
            if rng.random() >= self.manner.transfer:
                return
            speaking = self._transfer(speaking)

    def _transfer(self, speaking: dict[str, Any]) -> dict[str, Any]:
        rng, first = self.rng, self.agent
        kind = pick(
            rng,
            (
                "TRANSFER_TO_QUEUE",
                "TRANSFER_TO_QUEUE",
                "TRANSFER_TO_AGENT",
                "CONSULT_TRANSFER_TO_QUEUE",
                "TRANSFER_TO_EXTERNAL",
            ),
        )
        handed: dict[str, Any] = {
            "initiatingAgentId": first.id,
            "channelProviderId": self.stage.provider,
            "channelId": self.manner.channel,
            "connectionId": new_uuid(rng),
            "dialogId": self.dialog,
            "timestamp": self.at,
            "transferType": kind,
        }
        self.transfers.append(handed)
        if kind == "TRANSFER_TO_EXTERNAL":
            handed["destinationExternalNumber"] = self.stage.line[:-3] + "199"
            speaking["leftAt"] = self._later((SECOND, 20 * SECOND))
            return speaking
        if kind == "CONSULT_TRANSFER_TO_QUEUE":
            self.dialog = new_uuid(rng)
        else:
            speaking["leftAt"] = self.at
        if kind != "TRANSFER_TO_AGENT":
            queue = pick(rng, self.stage.queues)
            handed["queueId"], handed["queueName"] = queue
            if not self._queue(queue):
                return speaking
        else:
            self.agent = pick(rng, self.stage.agents)
            self.at += 8 * SECOND
        second = self.agent
        handed["destinationAgentId"] = second.id
        handed["destinationAgentName"] = second.name
        handed["destinationAgentJoinedAt"] = self.at
        joined = self._join_agent(second)
        if kind == "CONSULT_TRANSFER_TO_QUEUE":
            speaking["leftAt"] = self._later((20 * SECOND, 90 * SECOND))
        self._later(self.manner.talk)
        return joined

    def document(self, as_of: int) -> Document:
        """The document as a reader would see it at an instant."""
        rng, end = self.rng, self.at
        closed = end <= as_of
        handled = self.handled
        updated = end + int(rng.random() * 4 * SECOND) // 1000 * 1000
        notes: list[dict[str, Any]] = []
        topics = [pick(rng, TOPICS)] if handled or rng.random() < 0.3 else []
        if handled and rng.random() < 0.12:
            topics = list(dict.fromkeys([*topics, pick(rng, TOPICS)]))
        data = self._data()
        late = rng.random() < 0.06
        if late:
            wrapped = end + HOUR + int(rng.random() * 5 * DAY) // 1000 * 1000
            late = wrapped <= as_of
            updated = wrapped if late else updated
        if handled and closed and (late or rng.random() < 0.33):
            notes = [self._note(updated)]
        if late:
            data["wrapUp"] = "completed later"
        participants = self._seen(as_of, end, closed=closed)
        status = "COMPLETED" if closed else "ACTIVE"
        if not closed and len(participants) < 2:
            status = "CREATED"
        document: Document = {
            "id": self.id,
            "accountId": self.stage.account,
            "status": status,
            "direction": "OUTBOUND" if self.outbound else "INBOUND",
            "startDate": format_instant(self.start),
            "updateDate": format_instant(
                updated if closed else self._last_event(as_of)
            ),
        }
        if closed:
            document["endDate"] = format_instant(end)
        document |= {
            "identifiers": self.identifiers,
            "channels": [{"id": self.manner.channel, "type": self.manner.type}],
            "conversations": topics,
            "participants": participants,
            "agentNotes": notes,
            "data": data,
            "attributes": sorted({pick(rng, ATTRIBUTES), pick(rng, ATTRIBUTES)}),
            "queues": _cut(self.queues, as_of, ("queuedAt", "acceptedAt")),
            "transfers": _cut(
                self.transfers, as_of, ("timestamp", "destinationAgentJoinedAt")
            ),
            "sourceType": self.manner.source,
            "sourceAddress": self.manner.address or self.stage.line,
        }
        return document

    def _data(self) -> dict[str, str]:
        rng = self.rng
        data = {}
        if rng.random() < 0.5:
            data["orderNumber"] = f"O-{int(rng.random() * 1e7):07d}"
        if rng.random() < 0.3:
            data["satisfaction"] = pick(rng, ("poor", "fair", "good", "excellent"))
        if rng.random() < 0.25:
            data["callReason"] = pick(rng, TOPICS)
        return data

    def _note(self, at: int) -> dict[str, Any]:
        rng = self.rng
        author = {"id": self.agent.id, "name": self.agent.name}
        when = format_instant(at)
        return {
            "id": f"{rng.getrandbits(80):020x}",
            "engagementId": self.id,
            "createdBy": author,
            "updatedBy": author,
            "note": pick(rng, NOTES),
            "readOnly": False,
            "createdAt": when,
            "updatedAt": when,
        }

    def _seen(self, as_of: int, end: int, *, closed: bool) -> list[dict[str, Any]]:
        seen = []
        for joined in self.participants:
            if joined["joinedAt"] > as_of:
                continue
            left = joined.pop("leftAt", end)
            joined["joinedAt"] = format_instant(joined["joinedAt"])
            if left <= as_of:
                joined["leftAt"] = format_instant(left)
            seen.append(joined)
        if not closed and self.handled and self.rng.random() < 0.15:
            seen[0]["state"] = "HELD"
        return seen

    def _last_event(self, as_of: int) -> int:
        times = [self.start]
        for segment in self.queues:
            times += [segment["queuedAt"], segment.get("acceptedAt", self.start)]
        return max(at for at in times if at <= as_of)


def _cut(
    entries: list[dict[str, Any]], as_of: int, times: tuple[str, str]
) -> list[dict[str, Any]]:
    """What had begun by an instant, without what came of it later, times as text."""
    shown = []
    for entry in entries:
        if entry[times[0]] > as_of:
            continue
        if entry.get(times[1], 0) > as_of:
            for name in ("agentId", "destinationAgentId", "destinationAgentName"):
                entry.pop(name, None)
            del entry[times[1]]
        for name in times:
            if name in entry:
                entry[name] = format_instant(entry[name])
        shown.append(entry)
    return shown
