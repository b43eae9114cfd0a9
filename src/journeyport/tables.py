"""THE tables, in reading order. Everything else about a table derives from here.

A column is one line here and the one line in `normalise`, `identity` or the state
that fills it. The order of this file is the order of the data dictionary.
"""

from journeyport.schema import Column, Kind, Layout, Origin, Table

S, INT, N, B = Kind.STRING, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN
T, D, J = Kind.INSTANT, Kind.DATE, Kind.JSON
DERIVED, LINEAGE = Origin.DERIVED, Origin.LINEAGE

MOVED = "MOVED"
"""The `deleted_reason` of an engagement that starts on another day now."""

ACCOUNT = Column(
    "account_id", S, "The account (tenant), six letters.", "accountId", required=True
)
ENGAGEMENT = Column(
    "engagement_id", S, "The engagement, a UUID as sent.", "id", required=True
)
START = Column(
    "start_date",
    T,
    "When the engagement started; its UTC date names the file's day.",
    "startDate",
    required=True,
)
ORDINAL = Column(
    "ordinal",
    INT,
    "Position in the source's array, from 0.",
    required=True,
    origin=DERIVED,
)
CUSTOMER = Column(
    "customer_id",
    S,
    "The customer, an opaque id that stays the same over merges and rebuilds.",
    required=True,
    personal=True,
    origin=DERIVED,
)
VERSION = Column(
    "identity_version",
    INT,
    "The identity version in which this row last changed.",
    required=True,
    origin=DERIVED,
)


def _hash() -> Column:
    return Column(
        "_row_hash",
        S,
        "xxh3_128 over the content columns, hexadecimal; equal rows hash equal.",
        required=True,
        origin=DERIVED,
    )


def _lineage() -> tuple[Column, ...]:
    return (
        _hash(),
        Column(
            "_extracted_at",
            T,
            "When this version of the document first landed.",
            required=True,
            origin=LINEAGE,
        ),
        Column(
            "_run_id",
            S,
            "The run in which this version of the document first landed.",
            required=True,
            origin=LINEAGE,
        ),
    )


def _extra(path: str) -> Column:
    return Column(
        "extra",
        J,
        "Fields the source sent that no column holds, nested ones too; null: none.",
        path,
        personal=True,
    )


RAW_ENGAGEMENTS = Table(
    "raw_engagements",
    "Every version of every engagement document, as sent, after the field policy.",
    "one version of one engagement",
    ("account_id", "engagement_id", "content_hash"),
    Layout.RAW,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        Column("update_date", T, "When it last changed; null: not sent.", "updateDate"),
        Column("end_date", T, "When it ended; null: still open.", "endDate"),
        Column("status", S, "CREATED, ACTIVE or COMPLETED; null: not sent.", "status"),
        Column(
            "content_hash",
            S,
            "xxh3_128 over the document with sorted keys, before the field policy.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "policy_hash",
            S,
            "The field policy under which the payload was stored.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "payload",
            J,
            "The document; null once a tombstone was purged.",
            "(whole)",
            personal=True,
        ),
        Column(
            "fits",
            S,
            "The declared shape that the payload was seen to fit; null: not known.",
            origin=DERIVED,
        ),
        Column(
            "is_deleted",
            B,
            "A tombstone: the source no longer knows the engagement.",
            required=True,
            origin=DERIVED,
        ),
        Column("deleted_at", T, "When the tombstone was made.", origin=DERIVED),
        Column(
            "deleted_reason",
            S,
            "Why the tombstone was made: ERASED, or MOVED to the day it starts on now.",
            origin=DERIVED,
        ),
        Column("_extracted_at", T, "When it landed.", required=True, origin=LINEAGE),
        Column("_run_id", S, "The run that landed it.", required=True, origin=LINEAGE),
    ),
)

ENGAGEMENTS = Table(
    "engagements",
    "Engagements: one contact on one or more channels, from start to end.",
    "one engagement, its current version",
    ("account_id", "engagement_id"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        Column(
            "status",
            S,
            "CREATED, ACTIVE or COMPLETED; a value new to us is kept as sent.",
            "status",
        ),
        Column("direction", S, "INBOUND or OUTBOUND; null: not sent.", "direction"),
        START,
        Column("update_date", T, "When it last changed; null: not sent.", "updateDate"),
        Column("end_date", T, "When it ended; null: still open.", "endDate"),
        Column(
            "duration_seconds",
            N,
            "end_date less start_date; null while open or when negative.",
            origin=DERIVED,
            unit="s",
        ),
        Column(
            "local_date",
            D,
            "The date of start_date in the account's time zone.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "local_hour",
            INT,
            "The hour of start_date in the account's time zone, 0 to 23.",
            required=True,
            origin=DERIVED,
            unit="h",
        ),
        Column(
            "local_weekday",
            INT,
            "The weekday of local_date, 1 Monday to 7 Sunday.",
            required=True,
            origin=DERIVED,
        ),
        Column("source_type", S, "What kind of system sent it.", "sourceType"),
        Column(
            "source_address",
            S,
            "The sending system's address, never evidence of who a customer is.",
            "sourceAddress",
            personal=True,
        ),
        *(
            Column(
                f"{what}_count",
                INT,
                f"How many {words} the document holds.",
                required=True,
                origin=DERIVED,
                unit="rows",
            )
            for what, words in (
                ("identifier", "identifier values"),
                ("channel", "channels"),
                ("topic", "conversations"),
                ("participant", "participants"),
                ("note", "agent notes"),
                ("data", "data entries"),
                ("attribute", "attributes"),
                ("queue", "queue entries"),
                ("transfer", "transfers"),
            )
        ),
        Column(
            "is_deleted",
            B,
            "The source no longer knows the engagement; its children are gone.",
            required=True,
            origin=DERIVED,
        ),
        Column("deleted_at", T, "When that was found out.", origin=DERIVED),
        Column("deleted_reason", S, "How that was found out.", origin=DERIVED),
        _extra("(unknown fields)"),
        *_lineage(),
    ),
    version=2,  # which version of a document holds, by all its landings
)

ENGAGEMENT_IDENTIFIERS = Table(
    "engagement_identifiers",
    "The identifier values an engagement carries: the evidence of who it was.",
    "one value of one identifier type on one engagement",
    ("account_id", "engagement_id", "identifier_type", "ordinal"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        Column(
            "identifier_type",
            S,
            "The configured name: phoneNumbers, emailAddresses, accountIds, …",
            "identifiers{}",
            required=True,
        ),
        Column(
            "ordinal",
            INT,
            "Position among the engagement's values of this type, from 0.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "raw_value",
            S,
            "The value as sent.",
            "identifiers{}[]",
            required=True,
            personal=True,
        ),
        Column(
            "value",
            S,
            "Normalised: phone E.164, e-mail lower case, others trimmed; null: "
            "cannot be parsed.",
            personal=True,
            origin=DERIVED,
        ),
        Column(
            "is_valid",
            B,
            "The value could be parsed; only valid values link.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "strength",
            S,
            "WEAK, STRONG or VERY_STRONG: ours where configured, else the source's.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "normaliser_version",
            INT,
            "The version of the rules that made `value`.",
            required=True,
            origin=DERIVED,
        ),
        *_lineage(),
    ),
    parent="engagements",
)

PARTICIPANTS = Table(
    "participants",
    "Who and what took part: customers, agents, supervisors, bots, treatments.",
    "one stay of one participant in one dialog of one engagement",
    (
        "account_id",
        "engagement_id",
        "participant_id",
        "dialog_id",
        "joined_at",
        "occurrence",
    ),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        ORDINAL,
        Column("participant_id", S, "The participant.", "participants[].id"),
        Column("dialog_id", S, "The dialog.", "participants[].dialogId"),
        Column("joined_at", T, "When it joined.", "participants[].joinedAt"),
        Column(
            "occurrence",
            INT,
            "0, counting up where the source repeats the same stay.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "left_at", T, "When it left; null: still there.", "participants[].leftAt"
        ),
        Column(
            "participant_type",
            S,
            "EXTERNAL, AGENT or TREATMENT as sent.",
            "participants[].type",
        ),
        Column(
            "role",
            S,
            "CUSTOMER for EXTERNAL, BOT for TREATMENT with CHATBOT, SUPERVISOR where "
            "the payload says so, else AGENT or TREATMENT; UNKNOWN for other types.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "state",
            S,
            "An explicit state as sent, else DROPPED once left_at is there, else "
            "ACTIVE.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "source_state", S, "The state as sent; null: none.", "participants[].state"
        ),
        Column(
            "source_role", S, "The role as sent; null: none.", "participants[].role"
        ),
        Column(
            "agent_display_name",
            S,
            "The agent's name.",
            "participants[].agentDisplayName",
            personal=True,
        ),
        Column("channel_id", S, "The channel.", "participants[].channelId"),
        Column("channel_type", S, "The channel's type.", "participants[].channelType"),
        Column(
            "calling_number",
            S,
            "The number that called, as sent.",
            "participants[].callingNumber",
            personal=True,
        ),
        Column(
            "dialled_number",
            S,
            "The number that was dialled, as sent; never evidence.",
            "participants[].dialledNumber",
            personal=True,
        ),
        Column("extension", S, "The agent's extension.", "participants[].extension"),
        Column(
            "automation_type",
            S,
            "SELF_SERVICE, TREATMENT or CHATBOT; null: a person.",
            "participants[].automationType",
        ),
        Column(
            "source_type",
            S,
            "What kind of system added it.",
            "participants[].sourceType",
        ),
        Column(
            "source_address",
            S,
            "The address it came from; never evidence.",
            "participants[].sourceAddress",
            personal=True,
        ),
        _extra("participants[](unknown fields)"),
        *_lineage(),
    ),
    parent="engagements",
)

ENGAGEMENT_CHANNELS = Table(
    "engagement_channels",
    "The channels an engagement ran on.",
    "one channel of one engagement",
    ("account_id", "engagement_id", "ordinal"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        ORDINAL,
        Column("channel_id", S, "The channel: Voice, Chat, …", "channels[].id"),
        Column("channel_type", S, "The channel's type.", "channels[].type"),
        _extra("channels[](unknown fields)"),
        *_lineage(),
    ),
    parent="engagements",
)

ENGAGEMENT_TOPICS = Table(
    "engagement_topics",
    "What an engagement was about: the source calls these conversations.",
    "one topic of one engagement",
    ("account_id", "engagement_id", "ordinal"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        ORDINAL,
        Column("topic", S, "The topic.", "conversations[]", required=True),
        *_lineage(),
    ),
    parent="engagements",
)

ENGAGEMENT_ATTRIBUTES = Table(
    "engagement_attributes",
    "The attributes by which an engagement was matched to agents.",
    "one attribute of one engagement",
    ("account_id", "engagement_id", "ordinal"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        ORDINAL,
        Column(
            "attribute", S, "As sent, Category.value.", "attributes[]", required=True
        ),
        Column(
            "category",
            S,
            "What stands before the first dot; null: no dot.",
            origin=DERIVED,
        ),
        Column(
            "value",
            S,
            "What stands after the first dot, or all of it.",
            required=True,
            origin=DERIVED,
        ),
        *_lineage(),
    ),
    parent="engagements",
)

ENGAGEMENT_DATA = Table(
    "engagement_data",
    "Free data an application hung on an engagement; keys the field policy allows.",
    "one data key of one engagement",
    ("account_id", "engagement_id", "data_key"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        Column("data_key", S, "The key.", "data{}", required=True),
        Column("data_value", S, "The value.", "data{}", personal=True),
        *_lineage(),
    ),
    parent="engagements",
)

QUEUE_SEGMENTS = Table(
    "queue_segments",
    "Times an engagement waited in a queue.",
    "one entry of one engagement in one queue",
    ("account_id", "engagement_id", "ordinal"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        ORDINAL,
        Column("queue_id", S, "The queue.", "queues[].queueId"),
        Column("queue_name", S, "The queue's name then.", "queues[].queueName"),
        Column("channel_id", S, "The channel.", "queues[].channelId"),
        Column("priority", INT, "1 to 10.", "queues[].priority"),
        Column("rank", INT, "The rank within the priority.", "queues[].rank"),
        Column(
            "proficiency_range_min",
            INT,
            "Lowest proficiency asked for, 1 to 16.",
            "queues[].proficiencyRangeMin",
        ),
        Column(
            "proficiency_range_max",
            INT,
            "Highest proficiency asked for, 1 to 16.",
            "queues[].proficiencyRangeMax",
        ),
        Column("queued_at", T, "When it entered the queue.", "queues[].queuedAt"),
        Column("agent_id", S, "The agent who took it.", "queues[].agentId"),
        Column(
            "accepted_at", T, "When it was taken; null: not.", "queues[].acceptedAt"
        ),
        Column(
            "wait_seconds",
            N,
            "accepted_at less queued_at; null where either is missing or negative.",
            origin=DERIVED,
            unit="s",
        ),
        _extra("queues[](unknown fields)"),
        *_lineage(),
    ),
    parent="engagements",
)

TRANSFERS = Table(
    "transfers",
    "Hand-overs of an engagement to another agent, queue or number.",
    "one transfer of one engagement",
    ("account_id", "engagement_id", "ordinal"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        ORDINAL,
        Column(
            "transfer_type",
            S,
            "TRANSFER_TO_AGENT, _TO_QUEUE, _TO_EXTERNAL or CONSULT_TRANSFER_TO_QUEUE.",
            "transfers[].transferType",
        ),
        Column(
            "is_consult",
            B,
            "transfer_type starts with CONSULT; null: no type sent.",
            origin=DERIVED,
        ),
        Column("transferred_at", T, "When.", "transfers[].timestamp"),
        Column(
            "initiating_agent_id",
            S,
            "The agent who handed over.",
            "transfers[].initiatingAgentId",
        ),
        Column(
            "from_queue_id",
            S,
            "The queue whose entry was the last one made before the transfer; null: "
            "none.",
            origin=DERIVED,
        ),
        Column("queue_id", S, "The queue handed to.", "transfers[].queueId"),
        Column("queue_name", S, "Its name then.", "transfers[].queueName"),
        Column(
            "fallback_queue_id",
            S,
            "The queue that takes it when nobody answers.",
            "transfers[].fallbackQueueId",
        ),
        Column(
            "destination_agent_id",
            S,
            "The agent handed to.",
            "transfers[].destinationAgentId",
        ),
        Column(
            "destination_agent_name",
            S,
            "That agent's name.",
            "transfers[].destinationAgentName",
            personal=True,
        ),
        Column(
            "destination_agent_joined_at",
            T,
            "When that agent joined; null: not.",
            "transfers[].destinationAgentJoinedAt",
        ),
        Column(
            "destination_external_number",
            S,
            "The number handed to, as sent.",
            "transfers[].destinationExternalNumber",
            personal=True,
        ),
        Column(
            "channel_provider_id",
            S,
            "The channel's provider.",
            "transfers[].channelProviderId",
        ),
        Column("channel_id", S, "The channel.", "transfers[].channelId"),
        Column("connection_id", S, "The connection.", "transfers[].connectionId"),
        Column("dialog_id", S, "The dialog.", "transfers[].dialogId"),
        Column(
            "provider_dialog_id",
            S,
            "The provider's dialog.",
            "transfers[].providerDialogId",
        ),
        Column(
            "correlation_id",
            S,
            "Ties the transfer to other logs.",
            "transfers[].correlationId",
        ),
        Column(
            "description",
            S,
            "The words given with it.",
            "transfers[].description",
            personal=True,
        ),
        _extra("transfers[](unknown fields)"),
        *_lineage(),
    ),
    parent="engagements",
)

AGENT_NOTES = Table(
    "agent_notes",
    "Notes agents wrote; the text is there only where the field policy allows it.",
    "one note of one engagement",
    ("account_id", "engagement_id", "ordinal"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        ORDINAL,
        Column("note_id", S, "The note.", "agentNotes[].id"),
        Column(
            "source_engagement_id",
            S,
            "The engagement the note itself names; null: it names none.",
            "agentNotes[].engagementId",
        ),
        Column(
            "note",
            S,
            "The text; null: dropped by the field policy.",
            "agentNotes[].note",
            personal=True,
        ),
        Column("created_by_id", S, "Who wrote it.", "agentNotes[].createdBy.id"),
        Column(
            "created_by_name",
            S,
            "That agent's name.",
            "agentNotes[].createdBy.name",
            personal=True,
        ),
        Column("updated_by_id", S, "Who changed it last.", "agentNotes[].updatedBy.id"),
        Column(
            "updated_by_name",
            S,
            "That agent's name.",
            "agentNotes[].updatedBy.name",
            personal=True,
        ),
        Column("is_read_only", B, "It may not be changed.", "agentNotes[].readOnly"),
        Column("created_at", T, "When written.", "agentNotes[].createdAt"),
        Column("updated_at", T, "When last changed.", "agentNotes[].updatedAt"),
        _extra("agentNotes[](unknown fields)"),
        *_lineage(),
    ),
    parent="engagements",
)

_OUTCOME = (
    (
        "bot_seen",
        "A participant is a chatbot; null: no participants sent.",
    ),
    (
        "self_service_seen",
        "A participant is self service; null: no participants sent.",
    ),
    ("queued", "It entered a queue at least once."),
    (
        "agent_joined",
        "A participant is an agent or supervisor; null: no participants sent.",
    ),
    (
        "abandoned_in_queue",
        (
            "Completed, queued, never accepted and no agent joined; null: not "
            "completed or no participants sent."
        ),
    ),
    (
        "contained",
        (
            "Completed with a bot or self service seen, not queued, no agent joined "
            "and not transferred; null: not completed or no participants sent."
        ),
    ),
)

ENGAGEMENT_OUTCOMES = Table(
    "engagement_outcomes",
    "How engagements went, each answer by a stated rule.",
    "one engagement",
    ("account_id", "engagement_id"),
    Layout.DAILY,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        *(Column(name, B, rule, origin=DERIVED) for name, rule in _OUTCOME),
        *_lineage(),
    ),
    parent="engagements",
)

IDENTIFIER_TYPES = Table(
    "identifier_types",
    "The identifier types configured at the source, and the strength we use.",
    "one identifier type of one account",
    ("account_id", "identifier_type"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        Column("identifier_type", S, "The unique name.", "name", required=True),
        Column("identifier_id", S, "Its id; null: not readable.", "identifierId"),
        Column("display_name", S, "Its display name.", "displayName"),
        Column("url", S, "Its address at the source; null: not sent.", "url"),
        Column(
            "source_strength",
            S,
            "The source's (deprecated) strength; null: not sent or not readable.",
            "identifierStrength",
        ),
        Column(
            "strength",
            S,
            "The strength in use: configured, else the source's, else WEAK.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "is_seen_only",
            B,
            "Seen on engagements but not in the source's list.",
            required=True,
            origin=DERIVED,
        ),
        _hash(),
    ),
)

AGENTS = Table(
    "agents",
    "Agents as engagements show them, under one key over all the ids they go by.",
    "one agent of one account",
    ("account_id", "agent_id"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        Column(
            "agent_id",
            S,
            "The id in participants, queues, transfers and notes, lower case.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "display_name",
            S,
            "The name seen last; null: never sent.",
            personal=True,
            origin=DERIVED,
        ),
        Column("extension", S, "The extension seen last.", origin=DERIVED),
        Column("first_seen_at", T, "First engagement's start.", origin=DERIVED),
        Column("last_seen_at", T, "Last engagement's start.", origin=DERIVED),
        Column(
            "engagement_count",
            INT,
            "Engagements it took part in.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        _hash(),
    ),
)

QUEUES = Table(
    "queues",
    "Queues as engagements show them.",
    "one queue of one account",
    ("account_id", "queue_id"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        Column("queue_id", S, "The queue, lower case.", required=True, origin=DERIVED),
        Column("queue_name", S, "The name seen last.", origin=DERIVED),
        Column("first_seen_at", T, "First engagement's start.", origin=DERIVED),
        Column("last_seen_at", T, "Last engagement's start.", origin=DERIVED),
        Column(
            "engagement_count",
            INT,
            "Engagements that entered it.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        _hash(),
    ),
)

ENGAGEMENT_CUSTOMERS = Table(
    "engagement_customers",
    "Which customer each engagement belongs to.",
    "one engagement that is not deleted",
    ("account_id", "engagement_id"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        ENGAGEMENT,
        START,
        Column(
            "customer_id",
            S,
            "The customer; null where AMBIGUOUS or NONE.",
            personal=True,
            origin=DERIVED,
        ),
        Column(
            "resolution",
            S,
            "RESOLVED, PROVISIONAL (weak evidence alone), AMBIGUOUS (several "
            "candidates) or NONE (no usable identifier).",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "candidates",
            J,
            "The customer ids an AMBIGUOUS engagement may belong to; null otherwise, "
            "and where there are more than the configured number.",
            personal=True,
            origin=DERIVED,
        ),
        VERSION,
        _hash(),
    ),
)

CUSTOMERS = Table(
    "customers",
    "Customers: the people behind the identifiers, as far as the evidence goes.",
    "one living customer",
    ("account_id", "customer_id"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        CUSTOMER,
        Column(
            "resolution",
            S,
            "RESOLVED, or PROVISIONAL when only weak evidence stands behind it.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "first_seen_at",
            T,
            "Start of the first engagement that is evidence.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "last_seen_at",
            T,
            "Start of the last engagement that is evidence.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "engagement_count",
            INT,
            "Engagements that resolve to it.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        Column(
            "identifier_count",
            INT,
            "Values that are its own, SHARED ones left out.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        VERSION,
        _hash(),
    ),
)

CUSTOMER_IDENTIFIERS = Table(
    "customer_identifiers",
    "The identifiers of each customer, and those it shares with others.",
    "one value that stands with one customer",
    ("account_id", "customer_id", "identifier_type", "value"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        CUSTOMER,
        Column("identifier_type", S, "The type.", required=True, origin=DERIVED),
        Column(
            "value",
            S,
            "The normalised value.",
            required=True,
            personal=True,
            origin=DERIVED,
        ),
        Column(
            "strength", S, "WEAK, STRONG or VERY_STRONG.", required=True, origin=DERIVED
        ),
        Column(
            "standing",
            S,
            "LINKED (joins engagements), ATTACHED (weak, this customer's alone) or "
            "SHARED (several candidates, proves nothing).",
            required=True,
            origin=DERIVED,
        ),
        Column("first_seen_at", T, "First seen.", required=True, origin=DERIVED),
        Column("last_seen_at", T, "Last seen.", required=True, origin=DERIVED),
        Column(
            "engagement_count",
            INT,
            "Engagements that carry it.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        VERSION,
        _hash(),
    ),
)


def _side(side: str) -> tuple[Column, ...]:
    return (
        Column(
            f"{side}_type", S, f"The {side} side's type.", required=True, origin=DERIVED
        ),
        Column(
            f"{side}_value",
            S,
            f"The {side} side's normalised value.",
            required=True,
            personal=True,
            origin=DERIVED,
        ),
    )


IDENTITY_LINKS = Table(
    "identity_links",
    "Why values are one customer's: the links the identity rests on.",
    "one accepted link between two values",
    ("account_id", "left_type", "left_value", "right_type", "right_value"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        CUSTOMER,
        *_side("left"),
        *_side("right"),
        Column(
            "rule",
            S,
            "CO_OCCURRENCE, ATTACHMENT (weak to its one customer) or MUST_LINK.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "engagement_id",
            S,
            "The earliest engagement that carries both; null for MUST_LINK.",
            origin=DERIVED,
        ),
        Column("seen_at", T, "That engagement's start.", origin=DERIVED),
        VERSION,
        _hash(),
    ),
)

IDENTITY_REFUSALS = Table(
    "identity_refusals",
    "Links that the evidence asked for and a rule refused.",
    "one refused link between two values",
    ("account_id", "left_type", "left_value", "right_type", "right_value"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        *_side("left"),
        *_side("right"),
        Column(
            "rule",
            S,
            "CAP, OVERFULL_ENGAGEMENT, WEAK_SHARED, WEAK_PAIR (two weak values), "
            "BLOCKED, HUB or CANNOT_LINK.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "engagement_id",
            S,
            "The earliest engagement that carries both; null: an operator rule.",
            origin=DERIVED,
        ),
        Column("seen_at", T, "That engagement's start.", origin=DERIVED),
        Column(
            "left_customer_id",
            S,
            "The left side's customer; null: none.",
            personal=True,
            origin=DERIVED,
        ),
        Column(
            "right_customer_id",
            S,
            "The right side's customer; null: none.",
            personal=True,
            origin=DERIVED,
        ),
        VERSION,
        _hash(),
    ),
)

JOURNEYS = Table(
    "journeys",
    "A customer's history in one row.",
    "one customer",
    ("account_id", "customer_id"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        CUSTOMER,
        Column(
            "resolution",
            S,
            "The customer's: RESOLVED or PROVISIONAL.",
            required=True,
            origin=DERIVED,
        ),
        Column("first_contact_at", T, "First engagement's start.", origin=DERIVED),
        Column("last_contact_at", T, "Last engagement's start.", origin=DERIVED),
        Column(
            "engagement_count",
            INT,
            "Engagements.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        Column(
            "open_engagement_count",
            INT,
            "Engagements whose status is not COMPLETED.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        Column(
            "episode_count",
            INT,
            "Groups of engagements with less than the inactivity gap between them.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        Column(
            "channels",
            S,
            "The channels used, sorted, separated by semicolons.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "channel_switch_count",
            INT,
            "Times the channel differed from the engagement before.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        Column("last_channel", S, "The last engagement's channel.", origin=DERIVED),
        Column("last_topic", S, "The last topic seen.", origin=DERIVED),
        VERSION,
        _hash(),
    ),
)

JOURNEY_ENGAGEMENTS = Table(
    "journey_engagements",
    "The engagements of each journey, in order.",
    "one engagement of one customer",
    ("account_id", "engagement_id"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        CUSTOMER,
        ENGAGEMENT,
        START,
        Column(
            "sequence", INT, "From 1, by start_date.", required=True, origin=DERIVED
        ),
        Column(
            "gap_seconds",
            N,
            "From the previous engagement's start; null for the first.",
            origin=DERIVED,
            unit="s",
        ),
        Column("episode", INT, "From 1.", required=True, origin=DERIVED),
        Column("channel", S, "The engagement's first channel.", origin=DERIVED),
        Column(
            "is_channel_switch",
            B,
            "The channel differs from the previous engagement's; null for the first.",
            origin=DERIVED,
        ),
        VERSION,
        _hash(),
    ),
)

CUSTOMER_ID_HISTORY = Table(
    "customer_id_history",
    "What happened to customer ids; durable input, never rebuilt.",
    "one event of one customer id",
    ("account_id", "event_number"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        Column(
            "event_number",
            INT,
            "From 1 per account, in the order of happening.",
            required=True,
            origin=DERIVED,
        ),
        CUSTOMER,
        Column(
            "event",
            S,
            "MINTED, ANCHORED (another identifier stands for it), MERGED (into other), "
            "SPLIT (other came out of it) or RETIRED.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "other_customer_id",
            S,
            "The id on the other side of a merge or split.",
            personal=True,
            origin=DERIVED,
        ),
        Column(
            "anchor_type",
            S,
            "Type of the identifier an id was minted from or is anchored to.",
            origin=DERIVED,
        ),
        Column(
            "anchor_value",
            S,
            "The identifier an id was minted from or is anchored to.",
            personal=True,
            origin=DERIVED,
        ),
        Column("generation", INT, "From 0: minted again from it.", origin=DERIVED),
        VERSION,
        _hash(),
    ),
)

CUSTOMER_ID_REDIRECTS = Table(
    "customer_id_redirects",
    "Where a retired customer id leads, in one hop.",
    "one retired customer id",
    ("account_id", "retired_customer_id"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        Column(
            "retired_customer_id",
            S,
            "The id that is no longer used.",
            required=True,
            personal=True,
            origin=DERIVED,
        ),
        Column(
            "customer_id",
            S,
            "The living customer; null: its evidence is gone.",
            personal=True,
            origin=DERIVED,
        ),
        Column("reason", S, "MERGED or RETIRED.", required=True, origin=DERIVED),
        VERSION,
        _hash(),
    ),
)

CUSTOMER_CRM_IDS = Table(
    "customer_crm_ids",
    "Which CRM record each customer was matched to, and when.",
    "one match over one span of time",
    ("account_id", "customer_id", "org_id", "object_name", "valid_from"),
    Layout.SNAPSHOT,
    (
        ACCOUNT,
        CUSTOMER,
        Column("org_id", S, "The CRM org.", required=True, origin=DERIVED),
        Column("object_name", S, "The CRM object.", required=True, origin=DERIVED),
        Column(
            "record_id",
            S,
            "The CRM record.",
            required=True,
            personal=True,
            origin=DERIVED,
        ),
        Column("valid_from", T, "When it was matched.", required=True, origin=DERIVED),
        Column("valid_to", T, "When that ended; null: holds.", origin=DERIVED),
        _hash(),
    ),
)

CERTIFICATES = Table(
    "certificates",
    "Completeness certificates: what each account-day was proved to hold, and how.",
    "one certificate of one account-day",
    ("account_id", "day", "number"),
    Layout.OPERATIONS,
    (
        ACCOUNT,
        Column("day", D, "The UTC day.", required=True, origin=DERIVED),
        Column("number", INT, "From 1 per account-day.", required=True, origin=DERIVED),
        Column("run_id", S, "The run that issued it.", required=True, origin=DERIVED),
        Column(
            "status",
            S,
            "PROVED, PARTIAL (day still open), HELD (not proved) or RELEASED.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "coverage",
            S,
            "All engagements, or the channels asked for.",
            required=True,
            origin=DERIVED,
        ),
        Column("claim_from", T, "Start of the claim.", required=True, origin=DERIVED),
        Column(
            "claim_to",
            T,
            "End of the claim, inclusive: the frozen end or the day's last tick.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "window_count", INT, "Windows.", required=True, origin=DERIVED, unit="rows"
        ),
        Column(
            "call_count",
            INT,
            "Calls made.",
            required=True,
            origin=DERIVED,
            unit="calls",
        ),
        Column(
            "row_count",
            INT,
            "Engagements the day holds.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        Column(
            "proof",
            S,
            "PROVEN (by totals), PROVEN_BY_REREAD or UNPROVEN: the weakest window's.",
            required=True,
            origin=DERIVED,
        ),
        Column("document", J, "The whole certificate.", required=True, origin=DERIVED),
        Column(
            "certificate_hash",
            S,
            "SHA-256 of the document.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "previous_hash",
            S,
            "The account-day's certificate before; null: the first.",
            origin=DERIVED,
        ),
        Column("issued_at", T, "When.", required=True, origin=DERIVED),
    ),
)

EXTRACT_WINDOWS = Table(
    "extract_windows",
    "The windows in which account-days were walked.",
    "one walk of one window",
    ("account_id", "run_id", "day", "window_from", "coverage"),
    Layout.OPERATIONS,
    (
        ACCOUNT,
        Column("run_id", S, "The run.", required=True, origin=DERIVED),
        Column("day", D, "The UTC day.", required=True, origin=DERIVED),
        Column(
            "window_from",
            T,
            "Start of the window, inclusive.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "window_to",
            T,
            "End of the window, inclusive.",
            required=True,
            origin=DERIVED,
        ),
        Column("coverage", S, "The base filter.", required=True, origin=DERIVED),
        Column("calls", INT, "Calls.", required=True, origin=DERIVED, unit="calls"),
        Column(
            "engagements",
            INT,
            "Distinct engagements.",
            required=True,
            origin=DERIVED,
            unit="rows",
        ),
        Column(
            "proof",
            S,
            "PROVEN, PROVEN_BY_REREAD or UNPROVEN.",
            required=True,
            origin=DERIVED,
        ),
        Column(
            "breaches",
            J,
            "Assumptions the answers broke; null: none.",
            origin=DERIVED,
        ),
        Column("finished_at", T, "When it was done.", required=True, origin=DERIVED),
    ),
)

SINK_LEDGER = Table(
    "sink_ledger",
    "What each target was given.",
    "one delivery of one run to one object of one target",
    ("target", "object_name", "run_id"),
    Layout.OPERATIONS,
    (
        Column("target", S, "warehouse or crm.", required=True, origin=DERIVED),
        Column("object_name", S, "Table or object.", required=True, origin=DERIVED),
        Column("run_id", S, "The run.", required=True, origin=DERIVED),
        Column("inserted", INT, "Rows new there.", required=True, origin=DERIVED),
        Column("updated", INT, "Rows changed there.", required=True, origin=DERIVED),
        Column("deleted", INT, "Rows removed there.", required=True, origin=DERIVED),
        Column("unchanged", INT, "Rows not sent.", required=True, origin=DERIVED),
        Column("rejected", INT, "Rows refused.", required=True, origin=DERIVED),
        Column("finished_at", T, "When.", required=True, origin=DERIVED),
    ),
)

REJECTED_RECORDS = Table(
    "rejected_records",
    "What was refused, by whom and why: documents by us, records by a target.",
    "one refused document or record",
    ("account_id", "stage", "object_name", "record_key", "field"),
    Layout.OPERATIONS,
    (
        ACCOUNT,
        Column(
            "stage",
            S,
            "extract, normalise, warehouse or crm.",
            required=True,
            origin=DERIVED,
        ),
        Column("object_name", S, "Table or object.", required=True, origin=DERIVED),
        Column(
            "record_key",
            S,
            "Engagement id, external id, or the payload's hash.",
            required=True,
            personal=True,
            origin=DERIVED,
        ),
        Column(
            "field", S, "The field; empty: the whole.", required=True, origin=DERIVED
        ),
        Column("code", S, "A short code.", required=True, origin=DERIVED),
        Column("reason", S, "The reason in words.", required=True, origin=DERIVED),
        Column("day", D, "The account-day; null: none.", origin=DERIVED),
        Column(
            "payload",
            J,
            "The document under the field policy; null: kept elsewhere or purged.",
            personal=True,
            origin=DERIVED,
        ),
        Column("first_seen_at", T, "First refused.", required=True, origin=DERIVED),
        Column("last_seen_at", T, "Last refused.", required=True, origin=DERIVED),
        Column("attempts", INT, "Times refused.", required=True, origin=DERIVED),
        Column("run_id", S, "The run that saw it last.", required=True, origin=DERIVED),
    ),
)

RECEIPTS = Table(
    "receipts",
    "Who applied, released, undid or ruled what, when and why.",
    "one deed",
    ("number",),
    Layout.OPERATIONS,
    (
        Column("number", INT, "In order of time.", required=True, origin=DERIVED),
        Column(
            "action",
            S,
            "APPLY, UNDO, RELEASE, RULE, RULE_UNDONE, SUPPRESS, UNSUPPRESS or "
            "RULES_CHANGED.",
            required=True,
            origin=DERIVED,
        ),
        Column("happened_at", T, "When.", required=True, origin=DERIVED),
        Column(
            "user_name",
            S,
            "Who, as the proxy in front or the operating system says; null: unknown.",
            personal=True,
            origin=DERIVED,
        ),
        Column(
            "origin",
            S,
            "UI, COMMAND_LINE, SCHEDULE or PROGRAM.",
            required=True,
            origin=DERIVED,
        ),
        Column("run_id", S, "The run.", required=True, origin=DERIVED),
        Column("reason", S, "Why, in their words.", required=True, origin=DERIVED),
        Column("account_id", S, "The account; null: not about one.", origin=DERIVED),
        Column("day", D, "The UTC day; null: not about one.", origin=DERIVED),
        Column(
            "subject",
            S,
            "What it was done to: a rule's number, a hash of rules; no value of "
            "anybody.",
            required=True,
            origin=DERIVED,
        ),
        Column("plan_id", S, "The CRM plan; null: none.", origin=DERIVED),
        Column("org_id", S, "The CRM org; null: none.", origin=DERIVED),
        Column("counts", J, "What came of it.", required=True, origin=DERIVED),
        Column(
            "job_ids",
            J,
            "The CRM's own jobs that did it.",
            required=True,
            origin=DERIVED,
        ),
    ),
)

TABLES: tuple[Table, ...] = (
    RAW_ENGAGEMENTS,
    ENGAGEMENTS,
    ENGAGEMENT_IDENTIFIERS,
    PARTICIPANTS,
    ENGAGEMENT_CHANNELS,
    ENGAGEMENT_TOPICS,
    ENGAGEMENT_ATTRIBUTES,
    ENGAGEMENT_DATA,
    QUEUE_SEGMENTS,
    TRANSFERS,
    AGENT_NOTES,
    ENGAGEMENT_OUTCOMES,
    IDENTIFIER_TYPES,
    AGENTS,
    QUEUES,
    ENGAGEMENT_CUSTOMERS,
    CUSTOMERS,
    CUSTOMER_IDENTIFIERS,
    IDENTITY_LINKS,
    IDENTITY_REFUSALS,
    JOURNEYS,
    JOURNEY_ENGAGEMENTS,
    CUSTOMER_ID_HISTORY,
    CUSTOMER_ID_REDIRECTS,
    CUSTOMER_CRM_IDS,
    CERTIFICATES,
    EXTRACT_WINDOWS,
    SINK_LEDGER,
    REJECTED_RECORDS,
    RECEIPTS,
)

BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}

DAILY = tuple(table for table in TABLES if table.layout is Layout.DAILY)
SNAPSHOTS = tuple(table for table in TABLES if table.layout is Layout.SNAPSHOT)
OPERATIONS = tuple(table for table in TABLES if table.layout is Layout.OPERATIONS)
