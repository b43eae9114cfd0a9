"""From the rows of answers to rows of `raw_engagements`, versions held left out.

One `DayStore` takes in what all windows of an account-day bring, from any thread, and
appends it to the lake. Which version of a document is the newest is not decided here.
"""

import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import Any

import msgspec
import orjson
import pyarrow as pa
import xxhash

from journeyport.arrow import TYPES, schema_of, shape, texts_of
from journeyport.clock import Clock
from journeyport.extract.policy import FieldPolicy
from journeyport.lake import Lake
from journeyport.schema import Kind
from journeyport.shape import LARGEST
from journeyport.shape import name as shape_name
from journeyport.shape import text as text_of
from journeyport.state import State, rejects, watch
from journeyport.state import pending as pending_days
from journeyport.state.watch import Watched
from journeyport.tables import RAW_ENGAGEMENTS
from journeyport.wire import Row

_INSTANT = TYPES[Kind.INSTANT]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

COMPLETED = "COMPLETED"
ERASED = "ERASED"

REST = timedelta(hours=6)
"""How long an engagement that was just read need not be read by id."""

_AGREE = 2
"""Reads that must agree for a version that has come less far to count."""

_FULL = 4000
"""Versions after which a store writes a file before its window is done."""


class Version(msgspec.Struct, frozen=True, gc=False):
    """A version that is to land.

    Attributes:
        key: the engagement.
        start: its date.
        update: when it last changed; None: not sent.
        end: when it ended; None: still open.
        status: as sent.
        content_hash: names the version.
        payload: the document under the field policy.
        fits: the payload fits the declared shape.
        landed: when.
    """

    key: str
    start: datetime
    update: datetime | None
    end: datetime | None
    status: str | None
    content_hash: str
    payload: bytes
    fits: bool
    landed: datetime


@dataclass(frozen=True)
class RejectedRow:
    """A row that cannot be landed."""

    record_key: str
    code: str
    reason: str
    payload: str | None
    object_name: str = "raw_engagements"
    field: str = ""


@dataclass(frozen=True)
class Storing:
    """What all stores of a run share.

    Attributes:
        lake: where versions go.
        state: where the watch-list and rejects go.
        account: whose they are.
        run_id: by which run.
        clock: when.
        policy: what of them is stored.
        settling: how long a completed engagement is still watched.
    """

    lake: Lake
    state: State
    account: str
    run_id: str
    clock: Clock
    policy: FieldPolicy
    settling: timedelta


class Held(msgspec.Struct, gc=False):
    """What is held of one engagement, tombstones and what they ended left out.

    Attributes:
        last: the version that landed last; empty: none.
        times: how often in a row that one landed.
        others: versions before it.
        undated: some version has no update date.
    """

    last: str = ""
    times: int = 0
    others: frozenset[str] = frozenset()
    undated: bool = False

    def land(self, content_hash: str, update: datetime | None) -> None:
        """Take in one more landing."""
        if content_hash == self.last:
            self.times += 1
        else:
            if self.last:
                self.others |= {self.last}
            self.last, self.times = content_hash, 1
        self.undated = self.undated or update is None

    def wants(self, content_hash: str) -> bool:
        """Whether this version has to land, being new or seen again after another.

        Without an update date only the order of landing tells the newest version, and
        one that has come less far counts when two reads agree: it lands twice.
        """
        if content_hash == self.last:
            return self.undated and bool(self.others) and self.times < _AGREE
        return self.undated or content_hash not in self.others


class DayStore:
    """The versions of one account-day: those held, and those a run adds.

    The day is leased to the run, so that no other writes its raw files.
    """

    def __init__(self, storing: Storing, day: date) -> None:
        self.day = day
        self.dropped: Counter[str] = Counter()
        self.added = 0
        self._to = storing
        self._lock = Lock()
        storing.lake.sweep_raw(storing.account, day)
        self._held = held_versions(storing.lake, storing.account, day)
        self._landed: set[str] = set()

    @property
    def ids(self) -> set[str]:
        """Engagements that are held and not deleted."""
        return {key for key, held in self._held.items() if held.last}

    def add(self, rows: Iterable[Row], pending: list[Version]) -> None:
        """Take in the rows dated this day whose version is not held yet.

        Args:
            rows: as they came.
            pending: the caller's own list, to be given to `flush`.
        """
        refused: list[RejectedRow] = []
        now = self._to.clock.now()
        for row in rows:
            if row.start is None or row.id is None:
                refused.append(self._refusal(row))
            elif row.start.date() == self.day:
                self._version(row, row.id, row.start, now, pending)
        if refused:
            rejects.record(
                self._to.state,
                self._to.account,
                "extract",
                refused,
                day=self.day,
                run_id=self._to.run_id,
                now=now,
            )
        if len(pending) >= _FULL:
            self.flush(pending)

    def flush(self, pending: list[Version], name: str = "part") -> None:
        """Note what has to be watched, append what is pending, and end other watches.

        A crash in between watches too much, and makes a day's tables once more.
        """
        if not pending:
            return
        data = self._rows(pending)
        # A name never used before: the same run may have landed part of this already.
        window = f"{name}-{secrets.token_hex(4)}"
        pending_days.note(self._to.state, [(self._to.account, self.day)])
        ended = self._watch(pending)
        self._to.lake.append_raw(
            self._to.account, self.day, self._to.run_id, window, data
        )
        watch.take_off(self._to.state, self._to.account, ended)
        with self._lock:
            self.added += len(pending)
        pending.clear()

    def delete(self, ids: Sequence[str], reason: str) -> None:
        """Append a tombstone for each of these engagements."""
        now = self._to.clock.now()
        pending = [self._tombstone(key, reason, now) for key in ids]
        data = pa.Table.from_pylist(pending, schema=schema_of(RAW_ENGAGEMENTS))
        window = f"deleted-{secrets.token_hex(4)}"
        pending_days.note(self._to.state, [(self._to.account, self.day)])
        self._to.lake.append_raw(
            self._to.account, self.day, self._to.run_id, window, data
        )
        self.added += len(pending)

    def _version(
        self,
        row: Row,
        key: str,
        start: datetime,
        now: datetime,
        pending: list[Version],
    ) -> None:
        document, text = _read(row)
        content_hash = xxhash.xxh3_128_hexdigest(text)
        version = key + content_hash
        policy = self._to.policy
        with self._lock:
            held = self._held[key]
            if version in self._landed or not held.wants(content_hash):
                return
            held.land(content_hash, row.update)
            self._landed.add(version)
            stored = policy.apply(document, self.dropped)
        fits = row.fitting is not None and row.account in {None, self._to.account}
        if stored is not document:
            text, fits = _text(stored), fits and policy.leaves_shape
        pending.append(
            Version(
                key,
                start,
                row.update,
                row.end,
                row.status,
                content_hash,
                text,
                fits and len(text) <= LARGEST,
                now,
            )
        )

    def _rows(self, versions: Sequence[Version]) -> pa.Table:
        fitted = shape_name()
        columns = zip(*map(msgspec.structs.astuple, versions), strict=True)
        keys, starts, updates, ends, statuses, hashes, payloads, fits, landed = columns
        made = {
            "account_id": pa.repeat(self._to.account, len(versions)),
            "engagement_id": pa.array(keys, pa.string()),
            "start_date": _instants(starts),
            "update_date": _instants(updates),
            "end_date": _instants(ends),
            "status": pa.array(statuses, pa.string()),
            "content_hash": pa.array(hashes, pa.string()),
            "policy_hash": pa.repeat(self._to.policy.hash, len(versions)),
            "payload": texts_of(payloads),
            "fits": pa.array([fitted if fit else None for fit in fits], pa.string()),
            "is_deleted": pa.repeat(False, len(versions)),
            "_extracted_at": _instants(landed),
            "_run_id": pa.repeat(self._to.run_id, len(versions)),
        }
        return shape(RAW_ENGAGEMENTS, pa.table(made))

    def _tombstone(self, key: str, reason: str, now: datetime) -> dict[str, Any]:
        stamp = f"{key} {reason} {now.isoformat()}".encode()
        return {
            "account_id": self._to.account,
            "engagement_id": key,
            "start_date": datetime(
                self.day.year, self.day.month, self.day.day, tzinfo=UTC
            ),
            "content_hash": xxhash.xxh3_128_hexdigest(stamp),
            "policy_hash": self._to.policy.hash,
            "is_deleted": True,
            "deleted_at": now,
            "deleted_reason": reason,
            "_extracted_at": now,
            "_run_id": self._to.run_id,
        }

    def _refusal(self, row: Row) -> RejectedRow:
        document, _ = _parsed(row.body)
        code, what = ("NO_ID", "id") if row.id is None else ("NO_DATE", "startDate")
        return RejectedRow(
            row.key,
            code,
            f"The document has no {what} that can be read, so it belongs to no day.",
            _text(self._to.policy.apply(document, self.dropped)).decode(),
        )

    def _watch(self, versions: Sequence[Version]) -> set[str]:
        """Watch what is not completed, or was lately; the newest version decides.

        One that is watched in another day, or was called deleted there, may have been
        dated anew: a read by id, due at once, finds out and ends it there.

        Returns:
            Those on the list that need no more watching.
        """
        now, settling = self._to.clock.now(), self._to.settling
        state, account = self._to.state, self._to.account
        newest = {version.key: version for version in versions}
        known = watch.of_ids(state, account, newest)
        listed: list[Watched] = []
        due, settled = now + REST, now - settling
        for key, version in newest.items():
            settled_at = version.end or version.update
            if key in known and known[key].day != self.day:
                listed.append(_doubted(known[key], now))
            elif version.status != COMPLETED:
                listed.append(Watched(key, self.day, watch.OPEN, now, due))
            elif settled_at is not None and settled_at > settled:
                listed.append(Watched(key, self.day, watch.SETTLING, now, due))
        if listed:
            watch.put(state, account, listed)
        return known.keys() - {one.engagement_id for one in listed}


def _doubted(one: Watched, now: datetime) -> Watched:
    """To be read by id at once, where it stands: it was seen in another day."""
    if one.reason != watch.DELETED:
        return replace(one, due_at=now)
    return Watched(one.engagement_id, one.day, watch.OPEN, now, now)


def held_versions(lake: Lake, account: str, day: date) -> dict[str, Held]:
    """What is held, by engagement; nothing of one whose tombstone landed last.

    What was read before a tombstone is held no more: an engagement that comes back
    lands again, after its tombstone, and so lives again.
    """
    columns = ["engagement_id", "content_hash", "update_date", "is_deleted"]
    raw = lake.read_raw(account, day, [*columns, "_extracted_at"])
    raw = raw.sort_by([("_extracted_at", "ascending"), ("is_deleted", "ascending")])
    held: dict[str, Held] = defaultdict(Held)
    for key, content_hash, update, is_deleted in zip(
        *(raw.column(name).to_pylist() for name in columns), strict=True
    ):
        if is_deleted:
            held[key] = Held()
        else:
            held[key].land(content_hash, update)
    return held


def _instants(moments: Iterable[datetime | None]) -> pa.Array:
    """Instants as a column; by way of durations, which takes a fifth of the time."""
    since = [None if moment is None else moment - _EPOCH for moment in moments]
    return pa.array(since, pa.duration("us")).cast(pa.int64()).cast(_INSTANT)


def _read(row: Row) -> tuple[Any, bytes]:
    """The document, and its text with sorted keys: the same by either way."""
    if row.fitting is not None:
        return row.fitting, text_of(row.fitting)
    return _parsed(row.body)


def _parsed(body: bytes) -> tuple[Any, bytes]:
    try:
        document = orjson.loads(body)
        return document, orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        # Lone surrogates and numbers beyond 64 bits: legal JSON that orjson refuses.
        document = json.loads(body)
        return document, json.dumps(document, sort_keys=True).encode()


def _text(document: Any) -> bytes:
    if isinstance(document, msgspec.Struct):
        return text_of(document)
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return json.dumps(document, sort_keys=True).encode()
