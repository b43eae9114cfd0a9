"""Columns worked out by a rule of ours; each rule is stated in the declaration.

Pure functions over the columns of one batch. `parents` says of every row which
document of the batch it belongs to.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from journeyport.normalise.values import local, seconds_between
from journeyport.tables import PARTICIPANTS, QUEUE_SEGMENTS, TRANSFERS

Columns = dict[str, pa.Array]
Places = npt.NDArray[np.int64]


def complete(made: Mapping[str, Columns], parents: Mapping[str, pa.Array]) -> None:
    """Add the derived columns of all tables that hang on an engagement."""
    _participant(made["participants"], parents["participants"])
    _attribute(made["engagement_attributes"])
    queues = made["queue_segments"]
    queues["wait_seconds"] = seconds_between(queues["queued_at"], queues["accepted_at"])
    transfers = made["transfers"]
    transfers["is_consult"] = pc.starts_with(transfers["transfer_type"], "CONSULT")
    transfers["from_queue_id"] = _from_queue(
        transfers, parents[TRANSFERS.name], queues, parents[QUEUE_SEGMENTS.name]
    )


def count(parents: pa.Array, documents: int) -> pa.Array:
    """Rows per document."""
    return pa.array(np.bincount(_numpy(parents), minlength=documents), pa.int64())


def engagement(
    columns: Columns, counts: Columns, start: pa.Array, timezone: str
) -> None:
    """Add the derived columns of `engagements`."""
    columns.update(counts)
    columns["duration_seconds"] = seconds_between(start, columns["end_date"])
    dates, hours, weekdays = local(start, timezone)
    columns |= {"local_date": dates, "local_hour": hours, "local_weekday": weekdays}
    columns["is_deleted"] = pa.repeat(pa.scalar(value=False), len(start))


def outcomes(
    made: Mapping[str, Columns],
    parents: Mapping[str, pa.Array],
    status: pa.Array,
    counts: Columns,
) -> Columns:
    """How each engagement went."""
    who, by = made[PARTICIPANTS.name], _numpy(parents[PARTICIPANTS.name])
    documents = len(status)
    bot = _any(_is(who["role"], "BOT"), by, documents)
    served = _any(_is(who["automation_type"], "SELF_SERVICE"), by, documents)
    agent = _any(_is(who["role"], "AGENT", "SUPERVISOR"), by, documents)
    taken = made[QUEUE_SEGMENTS.name]["accepted_at"].is_valid()
    accepted = _any(taken, _numpy(parents[QUEUE_SEGMENTS.name]), documents)
    queued = _numpy(counts["queue_count"]) > 0
    moved = _numpy(counts["transfer_count"]) > 0
    unknown = _numpy(counts["participant_count"]) == 0
    open_or_unknown = unknown | ~_flags(_is(status, "COMPLETED"))
    contained = (bot | served) & ~queued & ~agent & ~moved
    return {
        "bot_seen": pa.array(bot, mask=unknown),
        "self_service_seen": pa.array(served, mask=unknown),
        "queued": pa.array(queued),
        "agent_joined": pa.array(agent, mask=unknown),
        "abandoned_in_queue": pa.array(
            queued & ~accepted & ~agent, mask=open_or_unknown
        ),
        "contained": pa.array(contained, mask=open_or_unknown),
    }


def _participant(columns: Columns, parents: pa.Array) -> None:
    kind, said = columns["participant_type"], columns["source_role"]
    chatbot = pc.and_(
        _is(kind, "TREATMENT"), _is(columns["automation_type"], "CHATBOT")
    )
    cases = {
        "SUPERVISOR": _is(pc.utf8_upper(said), "SUPERVISOR"),
        "CUSTOMER": _is(kind, "EXTERNAL"),
        "BOT": chatbot,
        "AGENT": _is(kind, "AGENT"),
        "TREATMENT": _is(kind, "TREATMENT"),
    }
    conditions = pa.StructArray.from_arrays(list(cases.values()), list(cases))
    columns["role"] = pc.case_when(conditions, *map(pa.scalar, cases), "UNKNOWN")
    by_date = pc.if_else(columns["left_at"].is_valid(), "DROPPED", "ACTIVE")
    columns["state"] = pc.coalesce(columns["source_state"], by_date)
    columns["occurrence"] = _occurrence(
        parents,
        columns["participant_id"],
        columns["dialog_id"],
        columns["joined_at"].cast(pa.int64()),
    )


def _occurrence(*stay: pa.Array) -> pa.Array:
    """0, counting up where all of these are the same again."""
    if _all_differ(*stay[:2]):  # as in nearly every batch
        return pa.array(np.zeros(len(stay[0]), np.int64))
    joined = pc.binary_join_element_wise(
        *(part.cast(pa.string()) for part in stay),
        "\x1f",
        null_handling="replace",
        null_replacement="\x1e",
    )
    codes = _numpy(joined.dictionary_encode().indices)
    if not len(codes) or codes.max() + 1 == len(codes):
        return pa.array(np.zeros(len(codes), np.int64))
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    lengths = np.diff(starts, append=len(ordered))
    numbers = np.empty(len(codes), np.int64)
    numbers[order] = np.arange(len(codes)) - np.repeat(starts, lengths)
    return pa.array(numbers)


def _all_differ(parents: pa.Array, ids: pa.Array) -> bool:
    """Whether no document names an id twice."""
    codes = ids.dictionary_encode(null_encoding="encode")
    pairs = _numpy(parents) * (len(codes.dictionary) + 1) + _numpy(codes.indices)
    return len(np.unique(pairs)) == len(pairs)


def _attribute(columns: Columns) -> None:
    whole = columns["attribute"]
    dotted = pc.match_substring(whole, ".")
    parts = pc.split_pattern(whole, ".", max_splits=1)
    first = pc.list_element(parts, 0) if len(parts) else whole
    rest = pc.utf8_slice_codeunits(
        whole, 0
    )  # a copy of the type; replaced below where there is a dot
    if len(parts):
        rest = pc.replace_substring_regex(whole, r"\A[^.]*\.", "", max_replacements=1)
    columns["category"] = pc.if_else(dotted, first, pa.scalar(None, pa.string()))
    columns["value"] = rest


def _from_queue(
    transfers: Columns, owners: pa.Array, queues: Columns, entered: pa.Array
) -> pa.Array:
    """The queue of the last entry made before each transfer, in its engagement."""
    there = queues["queued_at"].is_valid()
    known = transfers["transferred_at"].is_valid()
    at = _numpy(queues["queued_at"].cast(pa.int64()).fill_null(0))
    moved = _numpy(transfers["transferred_at"].cast(pa.int64()).fill_null(0))
    _, ranks = np.unique(np.concatenate([at, moved]), return_inverse=True)
    span = np.int64(len(ranks) + 1)
    entry = (_numpy(entered) * span + ranks[: len(at)])[_flags(there)]
    order = np.argsort(entry, kind="stable")
    wanted = _numpy(owners) * span + ranks[len(at) :]
    places = np.searchsorted(entry[order], wanted, side="left") - 1
    ids = queues["queue_id"].filter(there)
    found = np.zeros(len(wanted), np.int64)
    hit = (places >= 0) & _flags(known)
    found[hit] = order[places[hit]]
    hit[hit] &= (entry[found[hit]] // span) == _numpy(owners)[hit]
    return ids.take(pa.array(found, mask=~hit))


def _is(values: pa.Array, *wanted: str) -> pa.Array:
    return pc.is_in(values, pa.array(wanted, pa.string()))


def _any(flags: pa.Array, parents: Places, documents: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(documents, np.bool_)
    found[parents[_flags(flags)]] = True
    return found


def _numpy(values: pa.Array) -> Places:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)


def _flags(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.bool_)
