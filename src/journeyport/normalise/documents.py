"""Parsed documents to rows, in columns.

A column that is the source's own is filled from its declared path; a derived one by a
function of `derived`. Nothing here loops over documents.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from journeyport.arrow import unchunked
from journeyport.normalise import derived
from journeyport.normalise.values import NORMALISER_VERSION, normalised_column
from journeyport.schema import Origin, Table
from journeyport.shape import EXTRA
from journeyport.tables import (
    AGENT_NOTES,
    ENGAGEMENT_ATTRIBUTES,
    ENGAGEMENT_CHANNELS,
    ENGAGEMENT_DATA,
    ENGAGEMENT_IDENTIFIERS,
    ENGAGEMENT_OUTCOMES,
    ENGAGEMENT_TOPICS,
    ENGAGEMENTS,
    PARTICIPANTS,
    QUEUE_SEGMENTS,
    TRANSFERS,
)

ARRAYS: Mapping[str, Table] = {
    "channels": ENGAGEMENT_CHANNELS,
    "conversations": ENGAGEMENT_TOPICS,
    "attributes": ENGAGEMENT_ATTRIBUTES,
    "participants": PARTICIPANTS,
    "agentNotes": AGENT_NOTES,
    "queues": QUEUE_SEGMENTS,
    "transfers": TRANSFERS,
}
"""The document's arrays, and the table each fills."""

COUNTS = {
    "identifier_count": ENGAGEMENT_IDENTIFIERS,
    "channel_count": ENGAGEMENT_CHANNELS,
    "topic_count": ENGAGEMENT_TOPICS,
    "participant_count": PARTICIPANTS,
    "note_count": AGENT_NOTES,
    "data_count": ENGAGEMENT_DATA,
    "attribute_count": ENGAGEMENT_ATTRIBUTES,
    "queue_count": QUEUE_SEGMENTS,
    "transfer_count": TRANSFERS,
}
"""The counts of an engagement, and the table whose rows each counts."""

Columns = dict[str, pa.Array]


@dataclass(frozen=True)
class Rules:
    """What an account adds to a document.

    Attributes:
        account_id: the account.
        region: two letters, for phone numbers without a country code.
        timezone: the zone of local dates and hours, as in `Europe/Paris`.
        strengths: strength by identifier type; WEAK where a type is not listed.
    """

    account_id: str
    region: str
    timezone: str
    strengths: Mapping[str, str]


@dataclass(frozen=True)
class Rows:
    """The entries of one array over all documents of a batch."""

    parents: pa.Array
    """The document each entry belongs to, by position in the batch."""
    ordinals: pa.Array
    items: pa.Array


def tables_of(fields: Columns, batch: pa.Table, rules: Rules) -> dict[str, pa.Table]:
    """All daily tables of parsed documents, without `_row_hash`.

    Args:
        fields: as `columns.parse` gives them.
        batch: the raw rows of the same documents, in the same order.
        rules: the account's.
    """
    start = fields["startDate"]
    base: Columns = {
        "account_id": pa.repeat(pa.scalar(rules.account_id), len(batch)),
        "engagement_id": unchunked(batch.column("engagement_id")),
        "start_date": start,
        "_extracted_at": unchunked(batch.column("_extracted_at")),
        "_run_id": unchunked(batch.column("_run_id")),
    }
    made: dict[str, Columns] = {}
    parents: dict[str, pa.Array] = {}
    for name, table in ARRAYS.items():
        rows = entries(fields[name])
        made[table.name] = _columns(table, f"{name}[]", rows)
        parents[table.name] = rows.parents
    for table, rows, columns in (
        (ENGAGEMENT_IDENTIFIERS, *_identifiers(fields["identifiers"], rules)),
        (ENGAGEMENT_DATA, *_data(fields["data"])),
    ):
        made[table.name] = columns
        parents[table.name] = rows
    derived.complete(made, parents)
    engagements = _leaves(ENGAGEMENTS, "", fields)
    counts = {
        name: derived.count(parents[table.name], len(batch))
        for name, table in COUNTS.items()
    }
    derived.engagement(engagements, counts, start, rules.timezone)
    made[ENGAGEMENTS.name] = engagements
    made[ENGAGEMENT_OUTCOMES.name] = derived.outcomes(
        made, parents, engagements["status"], counts
    )
    return {
        name: pa.table(columns | _inherited(base, parents.get(name)))
        for name, columns in made.items()
    }


def _inherited(base: Columns, parents: pa.Array | None) -> Columns:
    if parents is None:
        return base
    return {name: _taken(values, parents) for name, values in base.items()}


def _taken(values: pa.Array, parents: pa.Array) -> pa.Array:
    # The account, and mostly the run, are one value: repeating it beats looking it up.
    if len(values) and pc.all(pc.equal(values, values[0])).as_py():
        return pa.repeat(values[0], len(parents))
    return values.take(parents)


def entries(lists: pa.Array) -> Rows:
    """A column of lists to its entries; null entries are left out, places kept."""
    parents = pc.list_parent_indices(lists).cast(pa.int64())
    items = pc.list_flatten(lists)
    ordinals = _ordinals(parents)
    if items.null_count:
        there = items.is_valid()
        parents, ordinals, items = (
            values.filter(there) for values in (parents, ordinals, items)
        )
    return Rows(parents, ordinals, items)


def _ordinals(parents: pa.Array) -> pa.Array:
    places = parents.to_numpy(zero_copy_only=False)
    if not len(places):
        return pa.array([], pa.int64())
    starts = np.flatnonzero(np.diff(places, prepend=places[0] - 1))
    lengths = np.diff(starts, append=len(places))
    return pa.array(np.arange(len(places)) - np.repeat(starts, lengths))


def _columns(table: Table, prefix: str, rows: Rows) -> Columns:
    ordinals = {"ordinal": rows.ordinals}
    if not pa.types.is_struct(rows.items.type):
        plain = next(column for column in table.columns if column.source == prefix)
        return ordinals | {plain.name: rows.items}
    fields = {
        field.name: rows.items.field(place)
        for place, field in enumerate(rows.items.type)
    }
    return ordinals | _leaves(table, f"{prefix}.", fields)


def _leaves(table: Table, prefix: str, fields: Columns) -> Columns:
    """The source's own columns of a table, each from its path below `prefix`."""
    filled: Columns = {}
    for column in table.columns:
        if column.name == "extra":
            filled["extra"] = fields[EXTRA]
            continue
        steps = column.source.removeprefix(prefix).split(".")
        if column.origin is not Origin.SOURCE or not column.source.startswith(prefix):
            continue
        if steps[0] not in fields:
            continue  # of the engagement this row belongs to
        values = fields[steps[0]]
        for step in steps[1:]:
            values = pc.struct_field(values, step)
        filled[column.name] = values
    return filled


def _identifiers(maps: pa.Array, rules: Rules) -> tuple[pa.Array, Columns]:
    types = entries(maps)
    rows = entries(types.items.field("value"))
    kinds = types.items.field("key").take(rows.parents)
    values = rows.items
    cleaned = normalised_column(kinds, values, rules.region)
    named = kinds.dictionary_encode()
    strengths = [
        rules.strengths.get(kind, "WEAK") for kind in named.dictionary.to_pylist()
    ]
    version = pa.scalar(NORMALISER_VERSION, pa.int64())
    return types.parents.take(rows.parents), {
        "identifier_type": kinds,
        "ordinal": rows.ordinals,
        "raw_value": values,
        "value": cleaned,
        "is_valid": cleaned.is_valid(),
        "strength": pa.array(strengths, pa.string()).take(named.indices),
        "normaliser_version": pa.repeat(version, len(values)),
    }


def _data(maps: pa.Array) -> tuple[pa.Array, Columns]:
    rows = entries(maps)
    return rows.parents, {
        "data_key": rows.items.field("key"),
        "data_value": rows.items.field("value"),
    }
