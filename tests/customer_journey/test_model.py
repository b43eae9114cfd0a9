"""Random writes by two accounts: every read equals an in-memory model.

The model is written from the contract's prose and shares no code with the service. Each
example lives on a day and under identifier values of its own, so that all examples can
share one service.
"""

import itertools
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

ACCOUNTS = ("ABCDEF", "GHIJKL")
BUILT_IN = {
    *("phoneNumbers", "emailAddresses", "accountIds"),
    *("facebookIds", "whatsappIds", "instagramIds"),
}
numbers = itertools.count()
small = st.integers(0, 7)
few = st.integers(0, 2)
accounts = st.sampled_from(ACCOUNTS)
kinds = st.sampled_from(["phoneNumbers", "emailAddresses", "accountIds", "clubIds"])
pairs = st.lists(st.tuples(kinds, few), min_size=1, max_size=3)
topics = st.lists(st.sampled_from(["billing", "orders", "repairs"]), max_size=2)
data = st.dictionaries(
    st.sampled_from(["alpha", "beta"]), st.sampled_from(["one", "two"])
)


def text(instant):
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03}Z"


class Journeys(RuleBasedStateMachine):
    service = None

    @initialize()
    def begin(self):
        number = self.number = next(numbers)
        self.made = 0
        self.mark = f"m{number}"
        self.day = datetime(2001, 1, 1, tzinfo=UTC) + timedelta(days=number)
        self.now = datetime(2026, 11, 15, tzinfo=UTC) + timedelta(hours=number)
        self.service.set_clock(now=text(self.now))
        self.club = f"clubIds.{self.mark}"
        self.known = {account: {} for account in ACCOUNTS}
        self.label = {account: {} for account in ACCOUNTS}
        self.types = {account: set(BUILT_IN) for account in ACCOUNTS}

    # what the model knows -------------------------------------------------------

    def values(self, chosen):
        found = {}
        for kind, number in chosen:
            name = self.club if kind == "clubIds" else kind
            found.setdefault(name, []).append(f"{self.mark}-{number}")
        return {name: list(dict.fromkeys(values)) for name, values in found.items()}

    def kept(self, account, values):
        return {
            name: held for name, held in values.items() if name in self.types[account]
        }

    def link(self, account, values):
        labels = self.label[account]
        flat = [(name, value) for name, held in values.items() for value in held]
        for one in flat:
            labels.setdefault(one, object())
        if flat:
            joined = {labels[one] for one in flat}
            for one, label in labels.items():
                if label in joined:
                    labels[one] = labels[flat[0]]

    def linked(self, account, values):
        labels = self.label[account]
        asked = {
            labels[name, value]
            for name, held in values.items()
            for value in held
            if (name, value) in labels
        }
        return {one for one, label in labels.items() if label in asked}

    def pick(self, account, number):
        ids = sorted(self.known[account])
        return ids[number % len(ids)] if ids else None

    def new_id(self):
        # in the order of their making, whichever example this is
        self.made += 1
        return str(uuid.UUID(int=(self.number << 32) + self.made))

    def touch(self, account, engagement):
        document = self.known[account][engagement]
        before = datetime.fromisoformat(document["updateDate"])
        later = max(self.now, before + timedelta(milliseconds=1))
        document["updateDate"] = text(later)

    def merge(self, document, values):
        for name, held in values.items():
            into = document["identifiers"].setdefault(name, [])
            into += [value for value in held if value not in into]

    def call(self, account, method, path, expected, **body):
        answer = self.service.call(method, path, account=account, **body)
        assert answer.status_code == expected, (path, answer.text)
        return answer

    # writes ---------------------------------------------------------------------

    @rule(seconds=st.integers(1, 500))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)
        self.service.set_clock(now=text(self.now))

    @rule(account=accounts, chosen=pairs, second=small, topics=topics, data=data)
    def create(self, account, chosen, second, topics, data):
        engagement, values = self.new_id(), self.values(chosen)
        body = {
            "id": engagement,
            "startDate": text(self.day + timedelta(seconds=second)),
            "identifiers": values,
            "conversations": topics,
            "data": data,
        }
        kept = self.kept(account, values)
        self.call(account, "POST", "/engagements", 202 if kept else 400, json=body)
        if not kept:
            return
        self.link(account, kept)
        self.known[account][engagement] = {
            "id": engagement,
            "accountId": account,
            "status": "CREATED",
            "startDate": body["startDate"],
            "updateDate": text(self.now),
            "identifiers": kept,
            "conversations": list(dict.fromkeys(topics)),
            "data": data,
            "channels": [],
            "participants": [],
            "agentNotes": [],
        }

    @rule(
        account=accounts, at=small, chosen=st.none() | pairs, topics=topics, data=data
    )
    def update(self, account, at, chosen, topics, data):
        engagement = self.pick(account, at)
        if engagement is None:
            return
        body = {"timestamp": text(self.now), "conversations": topics, "data": data}
        if chosen is not None:
            body["identifiers"] = self.values(chosen)
        self.call(account, "POST", f"/engagements/{engagement}:update", 202, json=body)
        document = self.known[account][engagement]
        before = {name: list(held) for name, held in document["identifiers"].items()}
        self.merge(document, self.kept(account, body.get("identifiers", {})))
        if document["identifiers"] != before:
            self.link(account, document["identifiers"])
        held = document["conversations"]
        document["conversations"] = list(dict.fromkeys([*held, *topics]))
        document["data"] = {**document["data"], **data}
        self.touch(account, engagement)

    @rule(account=accounts, at=small, chosen=pairs)
    def append(self, account, at, chosen):
        engagement = self.pick(account, at)
        if engagement is None:
            return
        values = self.values(chosen)
        path = f"/engagements/{engagement}:appendIdentifiers"
        self.call(account, "POST", path, 202, json={"identifiers": values})
        kept = self.kept(account, values)
        if kept:
            document = self.known[account][engagement]
            self.merge(document, kept)
            self.link(account, document["identifiers"])
            self.touch(account, engagement)

    @rule(account=accounts, at=small, who=st.sampled_from(["anna", "bert"]))
    def join(self, account, at, who):
        engagement = self.pick(account, at)
        if engagement is None:
            return
        joined = {
            "type": "AGENT",
            "dialogId": engagement,
            "channelId": "Voice",
            "channelType": "VOICE",
            "extension": "4711",
        }
        body = {**joined, "timestamp": text(self.now)}
        path = f"/engagements/{engagement}/participants/{who}:add"
        self.call(account, "POST", path, 202, json=body)
        document = self.known[account][engagement]
        people = document["participants"]
        entry = {"id": who, **joined, "joinedAt": text(self.now)}
        places = [place for place, one in enumerate(people) if one["id"] == who]
        if places:
            people[places[0]] = entry
        else:
            people.append(entry)
        document["channels"] = [{"id": "Voice", "type": "VOICE"}]
        document["status"] = "ACTIVE"
        document.pop("endDate", None)
        self.touch(account, engagement)

    @rule(account=accounts, at=small, who=st.sampled_from(["anna", "bert"]))
    def leave(self, account, at, who):
        engagement = self.pick(account, at)
        if engagement is None:
            return
        document = self.known[account][engagement]
        present = [one for one in document["participants"] if one["id"] == who]
        path = f"/engagements/{engagement}/participants/{who}:remove"
        self.call(account, "POST", path, 202 if present else 404)
        if not present:
            return
        present[0].setdefault("leftAt", text(self.now))
        everybody = document["participants"]
        if all("leftAt" in one for one in everybody):
            if document["status"] != "COMPLETED":
                document["endDate"] = text(self.now)
            document["status"] = "COMPLETED"
        self.touch(account, engagement)

    @rule(account=accounts, at=small, words=st.sampled_from(["calls back", "is happy"]))
    def write_note(self, account, at, words):
        engagement = self.pick(account, at)
        if engagement is None:
            return
        notes = self.known[account][engagement]["agentNotes"]
        path = f"/engagements/{engagement}/agent-note"
        if not notes:
            answer = self.call(account, "POST", path, 201, json={"note": words})
            notes.append(answer.json())
        else:
            self.call(account, "POST", path, 422, json={"note": words})
            path = f"{path}/{notes[0]['id']}"
            notes[0] = self.call(account, "PUT", path, 200, json={"note": words}).json()
        assert notes[0]["note"] == words
        assert notes[0]["updatedAt"] == text(self.now)
        self.touch(account, engagement)

    @rule(account=accounts, at=small)
    def delete_note(self, account, at):
        engagement = self.pick(account, at)
        if engagement is None:
            return
        document = self.known[account][engagement]
        note = document["agentNotes"][0]["id"] if document["agentNotes"] else "n" * 20
        path = f"/engagements/{engagement}/agent-note/{note}"
        self.call(account, "DELETE", path, 204 if document["agentNotes"] else 404)
        if document["agentNotes"]:
            document["agentNotes"] = []
            self.touch(account, engagement)

    @rule(account=accounts, chosen=pairs)
    def create_journey(self, account, chosen):
        values = self.values(chosen)
        kept = self.kept(account, values)
        status = 202 if kept else 400
        body = {"identifiers": values}
        self.call(account, "POST", "/journeys", status, json=body)
        self.link(account, kept)

    @rule(account=accounts, chosen=pairs, one=st.tuples(kinds, few))
    def unlink(self, account, chosen, one):
        values = self.values(chosen)
        ((name, (value,)),) = self.values([one]).items()
        answer = self.call(
            account,
            "POST",
            "/journeys:unlinkIdentifier",
            200,
            json={"identifiers": values, "unlinkIdentifier": {name: value}},
        )
        labels, alone = self.label[account], (name, value)
        rest = self.linked(account, values)
        if alone in rest and len(self.linked(account, {name: [value]})) > 1:
            labels[alone] = object()
            rest.discard(alone)
        elif alone in rest:
            rest = {pair for pair in rest if pair != alone}
        told = answer.json()["identifiers"]
        assert {(key, entry) for key, held in told.items() for entry in held} <= rest
        assert any(told.values()) == bool(rest)

    @rule(account=accounts)
    def toggle_club(self, account):
        if self.club in self.types[account]:
            path, body = "/identifiers:delete", [self.club]
            self.types[account].discard(self.club)
        else:
            path, body = (
                "/identifiers",
                {"name": self.club, "identifierStrength": "WEAK"},
            )
            self.types[account].add(self.club)
        self.call(account, "POST", path, 200, json=body)

    # reads ----------------------------------------------------------------------

    def ordered(self, account, wanted=lambda document: True):
        found = [one for one in self.known[account].values() if wanted(one)]
        return sorted(
            found, key=lambda one: (one["startDate"], one["id"]), reverse=True
        )

    def window(self):
        end = self.day + timedelta(days=1) - timedelta(milliseconds=1)
        return {"startDate": text(self.day), "endDate": text(end)}

    def assert_same(self, told, expected):
        assert [one["id"] for one in told] == [one["id"] for one in expected]
        for one, model in zip(told, expected, strict=True):
            assert {name: one.get(name) for name in model} == model
            assert ("endDate" in one) == ("endDate" in model)

    @rule(account=accounts, size=st.integers(1, 4))
    def read_the_day(self, account, size):
        expected = self.ordered(account)
        told, page = [], 1
        while True:
            answer = self.service.search(
                account, page=page, size=size, **self.window()
            ).json()
            told += answer["engagements"]
            assert answer["pagination"]["total"] == len(expected)
            if len(answer["engagements"]) < size:
                break
            page += 1
        self.assert_same(told, expected)

    @rule(account=accounts, topic=st.sampled_from(["billing", "orders"]))
    def read_filtered(self, account, topic):
        for asked, wanted in (
            ({"conversation": topic}, lambda one: topic in one["conversations"]),
            ({"channelIds": ["voice"]}, lambda one: bool(one["channels"])),
            (
                {"agentId": "anna"},
                lambda one: any(who["id"] == "anna" for who in one["participants"]),
            ),
        ):
            answer = self.service.search(account, **asked, **self.window()).json()
            self.assert_same(answer["engagements"], self.ordered(account, wanted))

    @rule(account=accounts, chosen=pairs)
    def read_a_journey(self, account, chosen):
        values = self.values(chosen)
        linked = self.linked(account, values)

        def carries(one):
            return any(
                (name, value) in linked
                for name, held in one["identifiers"].items()
                for value in held
            )

        answer = self.service.search(account, identifiers=values).json()
        self.assert_same(answer["engagements"], self.ordered(account, carries))
        told = answer["identifiers"]
        assert {
            (name, value) for name, held in told.items() for value in held
        } == linked

    @rule(account=accounts, at=small)
    def read_one(self, account, at):
        engagement = self.pick(account, at)
        if engagement is None:
            return
        told = self.call(account, "GET", f"/engagements/{engagement}", 200).json()
        self.assert_same([told], [self.known[account][engagement]])
        other = ACCOUNTS[1 - ACCOUNTS.index(account)]
        self.call(other, "GET", f"/engagements/{engagement}", 404)
        notes = self.call(
            account, "GET", f"/engagements/{engagement}/agent-notes", 200
        ).json()
        assert notes["agentNotes"] == told["agentNotes"]

    @rule(account=accounts, chosen=pairs)
    def read_agents(self, account, chosen):
        values = self.values(chosen)
        linked = self.linked(account, values)
        left = {}
        for one in self.known[account].values():
            held = {(n, v) for n, vs in one["identifiers"].items() for v in vs}
            if held & linked:
                for who in one["participants"]:
                    if "leftAt" in who:
                        when = max(left.get(who["id"], ""), who["leftAt"])
                        left[who["id"]] = when
        answer = self.call(
            account,
            "POST",
            "/journeys:listAgents?pageSize=10",
            200,
            json={"identifiers": values, "channelId": "VOICE"},
        ).json()
        assert {one["agentId"]: one["leftAt"] for one in answer} == left

    def teardown(self):
        for account in ACCOUNTS:
            if getattr(self, "types", None) and self.club in self.types[account]:
                self.call(account, "POST", "/identifiers:delete", 200, json=[self.club])


def drive(service, examples, steps):
    class Bound(Journeys):
        pass

    Bound.service = service
    Bound.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        # shrinking over HTTP takes longer than reading the long example
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    Bound.TestCase().runTest()


@pytest.fixture(scope="module")
def modelled(tmp_path_factory, serving):
    folder = tmp_path_factory.mktemp("modelled")
    with serving(folder / "journey.db", "--clock", "2026-11-15T00:00:00Z") as running:
        # one token for all of time: examples move the clock by weeks
        running.set_clock(now="2027-06-01T00:00:00Z")
        running.headers("ABCDEF")
        running.headers("GHIJKL")
        yield running


def test_every_read_equals_the_model_after_random_writes(modelled):
    drive(modelled, examples=10, steps=35)


@pytest.mark.soak
def test_every_read_equals_the_model_after_very_many_writes(modelled):
    drive(modelled, examples=500, steps=80)
