"""The contract's twenty operations: where each is, who may, which function."""

from customer_journey import engagements, identifier_types, journeys, notes
from customer_journey.auth import ADMINISTRATOR, AGENT
from customer_journey.call import Operation

EITHER = frozenset({AGENT, ADMINISTRATOR})
ONLY_AGENT = frozenset({AGENT})
ONLY_ADMINISTRATOR = frozenset({ADMINISTRATOR})

_ACCOUNT = "/accounts/{accountId}"
_ENGAGEMENT = _ACCOUNT + "/engagements/{engagementId}"
_PARTICIPANT = _ENGAGEMENT + "/participants/{participantId}"
_NOTE = _ENGAGEMENT + "/agent-note"

#: Every operation of the contract, in its order.
OPERATIONS = (
    Operation(
        "getEngagements",
        "GET",
        _ACCOUNT + "/engagements",
        ONLY_AGENT,
        engagements.get_engagements,
    ),
    Operation(
        "createEngagement",
        "POST",
        _ACCOUNT + "/engagements",
        EITHER,
        engagements.create_engagement,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "getEngagement", "GET", _ENGAGEMENT, ONLY_AGENT, engagements.get_engagement
    ),
    Operation(
        "updateEngagement",
        "POST",
        _ENGAGEMENT + ":update",
        EITHER,
        engagements.update_engagement,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "appendIdentifiers",
        "POST",
        _ENGAGEMENT + ":appendIdentifiers",
        EITHER,
        engagements.append_identifiers,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "addParticipant",
        "POST",
        _PARTICIPANT + ":add",
        EITHER,
        engagements.add_participant,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "removeParticipant",
        "POST",
        _PARTICIPANT + ":remove",
        EITHER,
        engagements.remove_participant,
        writes=True,
    ),
    Operation(
        "getAgentNotes",
        "GET",
        _ENGAGEMENT + "/agent-notes",
        ONLY_AGENT,
        notes.get_agent_notes,
    ),
    Operation(
        "createAgentNote",
        "POST",
        _NOTE,
        EITHER,
        notes.create_agent_note,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "updateAgentNote",
        "PUT",
        _NOTE + "/{noteId}",
        EITHER,
        notes.update_agent_note,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "deleteAgentNote",
        "DELETE",
        _NOTE + "/{noteId}",
        EITHER,
        notes.delete_agent_note,
        writes=True,
    ),
    Operation(
        "getJourneys",
        "POST",
        _ACCOUNT + "/journeys:search",
        ONLY_AGENT,
        journeys.get_journeys,
        takes_body=True,
    ),
    Operation(
        "createJourney",
        "POST",
        _ACCOUNT + "/journeys",
        EITHER,
        journeys.create_journey,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "unlinkIdentifier",
        "POST",
        _ACCOUNT + "/journeys:unlinkIdentifier",
        EITHER,
        journeys.unlink_identifier,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "listAgents",
        "POST",
        _ACCOUNT + "/journeys:listAgents",
        ONLY_AGENT,
        journeys.list_agents,
        takes_body=True,
    ),
    Operation(
        "getIdentifiers",
        "GET",
        _ACCOUNT + "/identifiers",
        ONLY_ADMINISTRATOR,
        identifier_types.get_identifiers,
    ),
    Operation(
        "createIdentifier",
        "POST",
        _ACCOUNT + "/identifiers",
        ONLY_ADMINISTRATOR,
        identifier_types.create_identifier,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "getIdentifier",
        "GET",
        _ACCOUNT + "/identifiers/{identifierId}",
        ONLY_ADMINISTRATOR,
        identifier_types.get_identifier,
    ),
    Operation(
        "updateIdentifier",
        "PUT",
        _ACCOUNT + "/identifiers/{identifierId}",
        ONLY_ADMINISTRATOR,
        identifier_types.update_identifier,
        takes_body=True,
        writes=True,
    ),
    Operation(
        "deleteIdentifiers",
        "POST",
        _ACCOUNT + "/identifiers:delete",
        ONLY_ADMINISTRATOR,
        identifier_types.delete_identifiers,
        takes_body=True,
        writes=True,
    ),
)
