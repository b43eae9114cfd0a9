"""What an engagement's document holds, as pure functions over plain dictionaries.

The shape is the contract's EngagementResponse. Nothing here reads or writes a database.
"""

from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

#: Fields the service answers with; a caller's extra of the same name is not echoed.
ENGAGEMENT_FIELDS = frozenset(
    {
        "id",
        "accountId",
        "status",
        "direction",
        "startDate",
        "updateDate",
        "endDate",
        "identifiers",
        "channels",
        "conversations",
        "participants",
        "agentNotes",
        "data",
        "attributes",
        "queues",
        "transfers",
        "sourceType",
        "sourceAddress",
    }
)
PARTICIPANT_FIELDS = frozenset(
    {
        "id",
        "type",
        "agentDisplayName",
        "dialogId",
        "channelId",
        "channelType",
        "joinedAt",
        "leftAt",
        "callingNumber",
        "dialledNumber",
        "extension",
        "automationType",
        "sourceType",
        "sourceAddress",
    }
)
#: The most a document holds of each; what is oldest gives way.
MOST = 50


def facets_of(document: Document) -> set[tuple[str, str]]:
    """What a search finds the engagement by: (kind, value) pairs."""
    found = set()
    for channel in document.get("channels", ()):
        for key in ("id", "type"):
            if channel.get(key):
                found.add(("channel", channel[key].casefold()))
    for participant in document.get("participants", ()):
        if participant.get("type") == "AGENT":
            found.add(("agent", participant["id"]))
    for topic in document.get("conversations", ()):
        found.add(("conversation", topic))
    return found


def merge_identifiers(
    held: dict[str, list[str]], added: dict[str, list[str]]
) -> dict[str, list[str]]:
    """All values of both sides, each once, in the order they came."""
    merged = {name: list(values) for name, values in held.items()}
    for name, values in added.items():
        into = merged.setdefault(name, [])
        into.extend(value for value in dict.fromkeys(values) if value not in into)
    return merged


def merge_topics(held: list[str], added: list[str]) -> list[str]:
    """The latest fifty topics, each once."""
    return list(dict.fromkeys([*held, *added]))[-MOST:]


def merge_data(held: dict[str, str], added: dict[str, str]) -> dict[str, str]:
    """Existing keys are replaced; of more than fifty keys the oldest give way."""
    merged = {**held, **added}
    return dict(list(merged.items())[-MOST:])


def add_channel(document: Document, channel: str, kind: str) -> None:
    """Name the channel among the engagement's, once."""
    channels = document.setdefault("channels", [])
    if all(known.get("id") != channel for known in channels):
        channels.append({"id": channel, "type": kind})


def set_status(document: Document, now: str) -> None:
    """ACTIVE while somebody takes part, COMPLETED once the last has left."""
    participants = document.get("participants", [])
    if not participants:
        return
    if all("leftAt" in participant for participant in participants):
        if document["status"] != "COMPLETED":
            document["status"] = "COMPLETED"
            document["endDate"] = now
    else:
        document["status"] = "ACTIVE"
        document.pop("endDate", None)
