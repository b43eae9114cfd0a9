"""Reading engagements again by id, and what it means when one is not there.

Absence is not deletion. An id counts as missing only when one that is known to exist
came back in the same answer; it is called deleted only when it was missing in two runs,
and never more than a set share of an account's engagements in one run.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pyarrow as pa

from journeyport.clock import Clock
from journeyport.errors import JourneyportError
from journeyport.extract.checks import foreign
from journeyport.extract.documents import (
    COMPLETED,
    ERASED,
    REST,
    DayStore,
    Storing,
    Version,
)
from journeyport.extract.landing import is_frozen, lease_name
from journeyport.extract.report import ExtractOptions, Source
from journeyport.lake import Lake
from journeyport.state import State, leases, pending, rejects, watch, windows
from journeyport.state.watch import Watched
from journeyport.tables import MOVED
from journeyport.wire import PAGE, Row

_AGES = (
    (timedelta(days=3), timedelta(hours=20)),
    (timedelta(days=14), timedelta(days=3)),
    (timedelta.max, timedelta(days=7)),
)
"""Up to which time on the list an engagement is read how often."""


_CANARIES = 3
"""Known engagements to try before the source's silence is believed to be a failure."""


@dataclass
class WatchReport:
    """What reading by ids came to.

    Attributes:
        account: the account.
        read: engagements that came back.
        new_versions: document versions that had not been held.
        missing: ids that were asked for and were not there, while a known one was.
        deleted: engagements called deleted.
        moved: engagements whose date now lies in another day.
        given_up: engagements never completed, watched no longer.
        unanswered: ids whose answers showed nothing: the known one was not there.
        refused: how many were to be called deleted, and were too many.
        days: days whose tables may have changed.
        failure: what ended the reading early.
    """

    account: str
    read: int = 0
    new_versions: int = 0
    missing: int = 0
    deleted: int = 0
    moved: int = 0
    given_up: int = 0
    unanswered: int = 0
    refused: int = 0
    days: set[date] = field(default_factory=set)
    failure: JourneyportError | None = None

    @property
    def touched(self) -> list[tuple[str, date]]:
        """The account-days whose tables may have changed."""
        return [(self.account, day) for day in sorted(self.days)]

    @property
    def refusal(self) -> str:
        """What the guard says where too many are missing; empty: nothing."""
        if not self.refused:
            return ""
        return (
            f"{self.refused} engagements of account {self.account} are missing at the "
            "source, more than one run may call deleted; see whether it lost them, "
            "then raise the tombstone share."
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look at, one sentence each."""
        found: list[str] = []
        if self.given_up:
            found.append(
                f"{self.given_up} engagements of account {self.account} were never "
                "completed and are watched no longer."
            )
        if self.unanswered:
            found.append(
                f"{self.unanswered} ids of account {self.account} could not be read: "
                "not even a known engagement came back."
            )
        return tuple(found)


def watch_list(
    source: Source,
    lake: Lake,
    state: State,
    *,
    account: str,
    run_id: str,
    clock: Clock,
    options: ExtractOptions | None = None,
    known: Sequence[str] = (),
) -> WatchReport:
    """Read what is due on the watch-list, 49 ids and one known to exist a call.

    The known ones are those an answer of this run showed; else some that are held.

    Raises:
        LeaseError: another run reads this account's list.
    """
    chosen = options or ExtractOptions()
    storing = Storing(
        lake, state, account, run_id, clock, chosen.policy, chosen.settling
    )
    name = f"watch/{account}"
    with leases.held(state, [name], run_id=run_id, clock=clock):
        return _Reading(source, storing, chosen, tuple(known)).run()


@dataclass
class _Reading:
    source: Source
    to: Storing
    options: ExtractOptions
    known: tuple[str, ...]
    report: WatchReport = field(init=False)
    _canaries: deque[str] = field(default_factory=deque)
    _gone: list[Watched] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.report = WatchReport(self.to.account)

    def run(self) -> WatchReport:
        now = self.to.clock.now()
        due = self._kept(watch.due(self.to.state, self.to.account, now), now)
        doubtful = {one.engagement_id for one in due if one.reason == watch.MISSING}
        found = self.known or _known(self.to.lake, self.to.account, doubtful)
        self._canaries = deque(found)
        step = PAGE - 1
        try:
            for start in range(0, len(due), step):
                self._batch(due[start : start + step])
        except JourneyportError as error:
            self.report.failure = error
        self._bury(now)
        return self.report

    def _kept(self, due: Sequence[Watched], now: datetime) -> list[Watched]:
        """Without those that can be read no more, or were watched long enough."""
        kept: list[Watched] = []
        dropped: list[str] = []
        for one in due:
            old = now - one.since > timedelta(days=self.options.watch_days)
            if is_frozen(one.day, now, self.options):
                dropped.append(one.engagement_id)
            elif old and one.reason != watch.MISSING:
                dropped.append(one.engagement_id)
                self.report.given_up += 1
            else:
                kept.append(one)
        watch.take_off(self.to.state, self.to.account, dropped)
        return kept

    def _batch(self, asked: Sequence[Watched]) -> None:
        """Ask until all came or the known one, named last, did.

        A page shorter than what was asked for ends before the known one; what was cut
        off is asked for again, as long as that brings something.
        """
        left = {one.engagement_id: one for one in asked}
        while left:
            known = self._canaries[0] if self._canaries else None
            ids = [key for key in left if key != known]
            ids += [known] if known is not None else []
            answer = self.source.by_ids(self.to.account, ids)
            if any(foreign(self.to.account, row) for row in answer.rows):
                break
            rows = {row.id: row for row in answer.rows if row.id is not None}
            came = [left.pop(key) for key in rows if key in left]
            self._take(came, rows)
            if not self.options.rules.canary or (known is not None and known in rows):
                self._miss(left.values())
                return
            if not came and len(self._canaries) < 2:
                break
            if not came:
                self._canaries.popleft()
        self.report.unanswered += len(left)

    def _take(self, came: Sequence[Watched], rows: dict[str, Row]) -> None:
        now = self.to.clock.now()
        by_day: dict[date, list[Row]] = defaultdict(list)
        moved: dict[date, list[str]] = defaultdict(list)
        done: list[str] = []
        again: list[Watched] = []
        for one in came:
            row = rows[one.engagement_id]
            day = one.day if row.start is None else row.start.date()
            by_day[day].append(row)
            if day != one.day:
                moved[one.day].append(one.engagement_id)
            following = self._following(replace(one, day=day), row, now)
            if following is None:
                done.append(one.engagement_id)
            else:
                again.append(following)
        self.report.read += len(came)
        for day, found in by_day.items():
            self._store(day, found)
        for day, ids in moved.items():
            self._delete(day, ids, MOVED)
            self.report.moved += len(ids)
        watch.take_off(self.to.state, self.to.account, done)
        watch.put(self.to.state, self.to.account, again)

    def _following(self, one: Watched, row: Row, now: datetime) -> Watched | None:
        """When to read it again; None: never."""
        settled_at = row.end or row.update
        reason = watch.OPEN
        if row.status == COMPLETED:
            if settled_at is None or settled_at <= now - self.options.settling:
                return None
            reason = watch.SETTLING
        since = one.since if one.reason == reason else now
        wait = next(wait for age, wait in _AGES if now - since < age)
        return Watched(one.engagement_id, one.day, reason, since, now + wait)

    def _store(self, day: date, rows: Iterable[Row]) -> None:
        state, clock = self.to.state, self.to.clock
        names = [lease_name(self.to.account, day)]
        with leases.held(state, names, run_id=self.to.run_id, clock=clock):
            store = DayStore(self.to, day)
            versions: list[Version] = []
            store.add(rows, versions)
            store.flush(versions, "watch")
            windows.note_dropped(state, self.to.account, day, store.dropped)
        if store.added:
            self.report.new_versions += store.added
            self.report.days.add(day)

    def _miss(self, missing: Iterable[Watched]) -> None:
        now, run_id = self.to.clock.now(), self.to.run_id
        listed: list[Watched] = []
        for one in missing:
            misses = one.misses + (one.missed_in != run_id)
            missed = replace(
                one,
                reason=watch.MISSING,
                misses=misses,
                missed_in=run_id,
                due_at=now + REST,
            )
            listed.append(missed)
            if misses >= 2 or not self.options.rules.two_runs:
                self._gone.append(missed)
        self.report.missing += len(listed)
        watch.put(self.to.state, self.to.account, listed)

    def _bury(self, now: datetime) -> None:
        """Call deleted what was missing in two runs, unless it is too much."""
        if not self._gone:
            return
        held = sum(one.found for one in windows.days_of(self.to.state, self.to.account))
        limit = max(
            self.options.tombstone_floor, int(held * self.options.tombstone_share)
        )
        if len(self._gone) > limit and self.options.rules.share_guard:
            self.report.refused = len(self._gone)
            return
        by_day: dict[date, list[str]] = defaultdict(list)
        for one in self._gone:
            by_day[one.day].append(one.engagement_id)
        for day, ids in by_day.items():
            self._delete(day, ids, ERASED)
        self.report.deleted = len(self._gone)
        purge_at = now + self.options.purge_after
        watch.put(
            self.to.state,
            self.to.account,
            [replace(one, reason=watch.DELETED, due_at=purge_at) for one in self._gone],
        )

    def _delete(self, day: date, ids: Sequence[str], reason: str) -> None:
        state, clock = self.to.state, self.to.clock
        names = [lease_name(self.to.account, day)]
        with leases.held(state, names, run_id=self.to.run_id, clock=clock):
            DayStore(self.to, day).delete(ids, reason)
            if reason == MOVED:  # the documents live on in the other day
                _blank(self.to.lake, self.to.account, day, set(ids))
        self.report.days.add(day)


def purge(
    lake: Lake,
    state: State,
    *,
    account: str,
    run_id: str,
    clock: Clock,
) -> list[tuple[str, date]]:
    """Let go of the documents of engagements that have been deleted long enough.

    Returns:
        The account-days whose tables may have changed.

    Raises:
        LeaseError: another run works on one of the days.
    """
    due = watch.due(state, account, clock.now(), deleted=True)
    by_day: dict[date, set[str]] = defaultdict(set)
    for one in due:
        by_day[one.day].add(one.engagement_id)
    for day, ids in by_day.items():
        names = [lease_name(account, day)]
        with leases.held(state, names, run_id=run_id, clock=clock):
            pending.note(state, [(account, day)])
            _blank(lake, account, day, ids)
            rejects.forget_payloads(state, account, ids)
            watch.take_off(state, account, ids)
    return [(account, day) for day in sorted(by_day)]


def _blank(lake: Lake, account: str, day: date, ids: set[str]) -> None:
    raw = lake.read_raw(account, day)
    keys = raw.column("engagement_id").to_pylist()
    payloads = raw.column("payload").to_pylist()
    kept = [
        None if key in ids else payload
        for key, payload in zip(keys, payloads, strict=True)
    ]
    place = raw.schema.get_field_index("payload")
    field_ = raw.schema.field(place)
    blanked = raw.set_column(place, field_, pa.array(kept, field_.type))
    lake.replace_raw(account, day, blanked)


def _known(lake: Lake, account: str, doubtful: set[str]) -> list[str]:
    """Engagements seen lately that are not themselves in doubt: the canaries."""
    for day in reversed(lake.raw_days(account)):
        columns = ["engagement_id", "is_deleted", "_extracted_at"]
        raw = lake.read_raw(account, day, columns).sort_by("_extracted_at")
        pairs = zip(
            *(raw.column(name).to_pylist() for name in columns[:2]), strict=True
        )
        deleted = {key for key, gone in pairs if gone}
        keys = reversed(raw.column("engagement_id").to_pylist())
        found = [key for key in keys if key not in doubtful and key not in deleted]
        if found:
            return found[:_CANARIES]
    return []
