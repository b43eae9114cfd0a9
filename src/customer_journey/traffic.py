"""Engagements that come, change and go while the service runs.

On request of the admin endpoint, as live traffic, or as faults that strike while a
window is read. Everything goes the way a caller's write goes, at once and without lag.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import orjson
import sqlalchemy as sa

from customer_journey import store
from customer_journey.clock import Clock
from customer_journey.documents import Document, add_channel, merge_identifiers
from customer_journey.faults import CHURN, Faults
from customer_journey.generator import region_of, truth_line
from customer_journey.instants import DAY, HOUR, MINUTE, format_instant
from customer_journey.models import engagements
from customer_journey.people import Person, block, pick
from customer_journey.scenes import NOTES, TOPICS, compose
from customer_journey.search import EARLIEST, Query
from customer_journey.stage import Stage
from customer_journey.staging import manner_of
from customer_journey.store import Store
from customer_journey.writes import touch

ACTIONS = ("insert", "back-date", "update", "complete", "erase", "pair", "burst")
#: Live events and how often each happens.
_LIVE = {"insert": 0.45, "complete": 0.33, "update": 0.14, "back-date": 0.08}
_CHURN_ACTIONS = {
    "inserts": "insert",
    "back-dates": "back-date",
    "updates": "update",
    "erases": "erase",
    "paired": "pair",
    "one-millisecond": "burst",
}


@dataclass(frozen=True)
class Change:
    """What to do to an account's engagements.

    Args:
        account: whose.
        action: one of ACTIONS.
        count: how many.
        ids: which; when absent, any between start and end.
        start: the startDate of what is inserted, or the earliest of what is changed.
        end: the latest of what is changed, and of what is inserted between both.
        document: fields that every inserted or updated document gets.
    """

    account: str
    action: str
    count: int = 1
    ids: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    document: dict[str, Any] | None = None


class Traffic:
    """Makes changes, of the same people the generator knows.

    Args:
        database: what is changed.
        clock: the present.
        truth: where the person behind each new engagement is written down.
    """

    def __init__(
        self, database: Store, clock: Clock, truth: Path | None = None
    ) -> None:
        self._store = database
        self._clock = clock
        self._stages: dict[str, Stage] = {}
        self._truth = truth

    @cached_property
    def _seed(self) -> int:
        """The generator's, whose people and agents these are; 1 where none was."""
        return int(self._store.setting("seed") or 1)

    @cached_property
    def _rng(self) -> Random:
        return Random(f"{self._seed}/traffic")  # noqa: S311

    def make(self, change: Change, rng: Random | None = None) -> list[str]:
        """Carry a change out; answers the ids of the engagements it touched."""
        rng = rng or self._rng
        with self._store.write() as connection:
            if change.action in ("insert", "back-date", "burst"):
                return self._insert(connection, change, rng)
            chosen = change.ids or self._choose(connection, change, rng)
            if change.action == "pair":
                return self._pair(connection, change, chosen, rng)
            touched = []
            for engagement in chosen:
                if change.action == "erase":
                    done = store.erase(connection, change.account, engagement)
                else:
                    done = self._update(connection, change, engagement, rng)
                if done:
                    touched.append(engagement)
            return touched

    def churn(self, faults: Faults, request: int, query: Query) -> None:
        """Change what is just being read, where a profile in force strikes."""
        for profile in CHURN:
            rng = faults.strikes(profile, request)
            if rng is None:
                continue
            change = Change(
                query.account,
                _CHURN_ACTIONS[profile],
                count=60 if profile == "one-millisecond" else 1 + int(rng.random() * 2),
                start=None if profile == "back-dates" else query.start,
                end=None if profile == "back-dates" else query.end,
            )
            if self.make(change, rng):
                faults.note(profile, request)

    async def live(self, per_minute: float) -> None:
        """Events at a steady pace until cancelled."""
        accounts = self._store.account_ids()
        while True:
            await asyncio.sleep(60 / per_minute)
            (action,) = self._rng.choices(list(_LIVE), list(_LIVE.values()))
            self.make(Change(pick(self._rng, accounts), action))

    def _stage(self, account: str) -> tuple[Stage, str]:
        region = region_of(self._store.account_ids().index(account))
        if account not in self._stages:
            self._stages[account] = Stage(self._seed, account, region)
        return self._stages[account], region

    def _person(self, account: str, region: str, rng: Random) -> Person:
        return pick(
            rng, block(self._seed, account, region, 1 + int(rng.random() * 200))
        )

    def _when(self, change: Change, rng: Random) -> int:
        now = self._clock.now()
        if change.action == "back-date" and change.start is None:
            return now - 2 * HOUR - int(rng.random() * 3 * DAY) // 1000 * 1000
        if change.start is None:
            return now
        if change.end is None:
            return change.start
        latest = max(change.start, min(change.end, now))
        return change.start + int(rng.random() * (latest - change.start)) // 1000 * 1000

    def _invent(self, account: str, at: int, rng: Random) -> tuple[Person, Document]:
        stage, region = self._stage(account)
        person = self._person(account, region, rng)
        now = max(self._clock.now(), at)
        manner = manner_of(rng)
        return person, compose(rng, stage, person, manner, start=at, as_of=now)

    def _insert(
        self, connection: sa.Connection, change: Change, rng: Random
    ) -> list[str]:
        at = self._when(change, rng)
        made = []
        for _ in range(change.count):
            person, document = self._invent(change.account, at, rng)
            while store.get(connection, change.account, document["id"]) is not None:
                # the same seed again, over what it made before
                person, document = self._invent(change.account, at, rng)
            document["updateDate"] = format_instant(self._clock.now())
            document.update(change.document or {})
            store.insert(connection, change.account, document)
            made.append(document["id"])
            self._tell(change.account, person, document["id"])
            if change.action != "burst":
                at = self._when(change, rng)
        return made

    def _tell(self, account: str, person: Person, engagement: str) -> None:
        if self._truth is not None:
            with self._truth.open("a", encoding="utf-8") as file:
                file.write(truth_line(account, person, [engagement]))

    def _pair(
        self,
        connection: sa.Connection,
        change: Change,
        chosen: Sequence[str],
        rng: Random,
    ) -> list[str]:
        touched = []
        for engagement in chosen:
            if store.erase(connection, change.account, engagement):
                made = self._insert(connection, change_one(change), rng)
                touched += [engagement, *made]
        return touched

    def _choose(
        self, connection: sa.Connection, change: Change, rng: Random
    ) -> list[str]:
        now = self._clock.now()
        start = EARLIEST if change.start is None else change.start
        if change.action == "complete" and change.start is None:
            start = now - 3 * DAY
        query = (
            sa.select(engagements.c.engagement_id, engagements.c.document)
            .where(
                engagements.c.account_id == change.account,
                engagements.c.start_us >= start,
                engagements.c.start_us <= (now if change.end is None else change.end),
            )
            .order_by(engagements.c.start_us.desc(), engagements.c.engagement_id)
            .limit(400)
        )
        rows = connection.execute(query).all()
        if change.action == "complete":
            rows = [row for row in rows if '"status":"COMPLETED"' not in row.document]
        ids = [row.engagement_id for row in rows]
        return rng.sample(ids, min(change.count, len(ids)))

    def _update(
        self, connection: sa.Connection, change: Change, engagement: str, rng: Random
    ) -> bool:
        found = store.get(connection, change.account, engagement)
        if found is None:
            return False
        seq, old = found
        new: Document = orjson.loads(orjson.dumps(old))
        now = self._clock.now()
        if new["status"] != "COMPLETED" and (
            change.action == "complete" or rng.random() < 0.6
        ):
            _complete(new, now)
        else:
            self._amend(new, change.account, rng, now)
        new.update(change.document or {})
        touch(new, now)
        store.replace(connection, change.account, seq, old, new)
        return True

    def _amend(self, document: Document, account: str, rng: Random, now: int) -> None:
        """What is added late: a topic, data, a note, an identifier, an agent."""
        stage, region = self._stage(account)
        agent = pick(rng, stage.agents)
        kind = int(rng.random() * 5)
        if kind == 0:
            topics = [*document.get("conversations", []), pick(rng, TOPICS)]
            document["conversations"] = list(dict.fromkeys(topics))
        elif kind == 1 and not document.get("agentNotes"):
            author = {"id": agent.id, "name": agent.name}
            document["agentNotes"] = [
                {
                    "id": f"{rng.getrandbits(80):020x}",
                    "engagementId": document["id"],
                    "createdBy": author,
                    "updatedBy": author,
                    "note": pick(rng, NOTES),
                    "readOnly": False,
                    "createdAt": format_instant(now),
                    "updatedAt": format_instant(now),
                }
            ]
        elif kind == 2 and document["identifiers"]:
            person = self._person(account, region, rng)
            more = {"emailAddresses": [f"late.{person.emails[0]}"]}
            document["identifiers"] = merge_identifiers(document["identifiers"], more)
        elif kind == 3 and len(document.get("participants", ())) < 12:
            add_channel(document, "Chat", "CHAT")
            document.setdefault("participants", []).append(
                {
                    "id": agent.id,
                    "type": "AGENT",
                    "agentDisplayName": agent.name,
                    "extension": agent.extension,
                    "dialogId": document["id"],
                    "channelId": "Chat",
                    "channelType": "CHAT",
                    "joinedAt": format_instant(now - MINUTE),
                    "leftAt": format_instant(now),
                }
            )
        else:
            document["data"] = {
                **document.get("data", {}),
                "wrapUp": f"amended {format_instant(now)}",
            }


def change_one(change: Change) -> Change:
    """The insertion that makes up for one that was erased."""
    return Change(
        change.account, "insert", 1, (), change.start, change.end, change.document
    )


def _complete(document: Document, now: int) -> None:
    when = format_instant(now)
    for participant in document.get("participants", ()):
        participant.setdefault("leftAt", when)
        participant.pop("state", None)
    document["status"] = "COMPLETED"
    document["endDate"] = when
