"""The list of whom nothing may be written about; looked at just before each write.

It may name a customer, the external id of a record or a record's id in the CRM. A
customer goes by every id it ever had and by its records there, so that nobody passes by
becoming part of another; nor by coming out of one that was on the list.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import pyarrow.compute as pc

from journeyport.clock import Clock
from journeyport.crm.match import Customer, Keys
from journeyport.crm.soql import both_forms
from journeyport.crm.source import Source
from journeyport.errors import ArgumentError
from journeyport.lake import Lake
from journeyport.state import State
from journeyport.state import crm as memory
from journeyport.state.crm import Entry
from journeyport.state.identity import read_version


class Names:
    """What the list may call each customer.

    Args:
        keys: the customers' external ids, those of retired ones too.
        ledger: the customers' records that the CRM accepted, by external id.
        matched: the record each customer is matched to.
        origins: out of which customers each came that was once part of others, and in
            which identity version.
        since: the customers on the list, and in which identity version they came on
            it: who came out of them later is called like them.
    """

    def __init__(
        self,
        keys: Keys,
        ledger: Mapping[str, Entry],
        matched: Mapping[Customer, str],
        origins: Mapping[Customer, Sequence[tuple[Customer, int]]],
        since: Mapping[str, int],
    ) -> None:
        self._keys = keys
        self._ledger = ledger
        self._matched = dict(matched)
        self._origins = origins
        self._since = since
        self._known: dict[Customer, frozenset[str]] = {}
        self._former: dict[Customer, list[Customer]] = defaultdict(list)
        for retired, living in keys.led.items():
            if living is not None:
                self._former[retired[0], living].append(retired)

    def meet(self, found: Iterable[tuple[Customer, str]]) -> None:
        """Customers were just found to meet these records."""
        self._matched.update(found)
        self._known.clear()

    def of(self, customer: Customer) -> frozenset[str]:
        """The customer's own ids, those of all it has become one with, the records."""
        root = self._root(customer)
        if root not in self._known:
            self._known[root] = frozenset(self._own(root) | self._inherited(root))
        return self._known[root]

    def _root(self, customer: Customer) -> Customer:
        living = self._keys.led.get(customer)
        return customer if living is None else (customer[0], living)

    def _own(self, root: Customer) -> set[str]:
        names: set[str] = set()
        for each in (root, *self._former.get(root, ())):
            names.add(f"{each[0]}:{each[1]}")
            key = self._keys.named.get(each)
            if key is not None:
                names.add(key)
            entry = self._ledger.get(key or "")
            held = entry.record_id if entry is not None else ""
            for record_id in (held, self._matched.get(each, "")):
                names.update(both_forms(record_id) if record_id else ())
        return names

    def _inherited(self, root: Customer) -> set[str]:
        """Names on the list of those it came out of, after they were put there."""
        if not self._since:
            return set()
        names: set[str] = set()
        reached, waiting = {root}, [root]
        while waiting:
            one = waiting.pop()
            for each in (one, *self._former.get(one, ())):
                for origin, version in self._origins.get(each, ()):
                    other = self._root(origin)
                    names |= {
                        name
                        for name in self._own(other)
                        if self._since.get(name, version) < version
                    }
                    if other not in reached:
                        reached.add(other)
                        waiting.append(other)
        return names


def names_of(
    state: State,
    source: Source,
    keys: Keys,
    ledger: Mapping[str, Entry] = MappingProxyType({}),
    matched: Mapping[Customer, str] = MappingProxyType({}),
) -> Names:
    """What the list may call the customers of a lake; without ledger, by ids alone."""
    since = memory.suppressed_since(state)
    return Names(keys, ledger, matched, source.origins() if since else {}, since)


def suppress(
    state: State, subject: str, *, author: str, reason: str, clock: Clock
) -> None:
    """Put a customer or a CRM record on the list.

    Args:
        state: holds the list.
        subject: `ACCOUNT:customer-id`, the external id of a record, or a CRM record's
            id of 15 or 18 characters. With a customer, or the record that stands for
            it, its engagements are kept back and whoever it becomes one with; with a
            customer also whoever comes out of it afterwards.
        author: who asked for it.
        reason: why.
        clock: the time.

    Raises:
        ArgumentError: one of them is empty.
    """
    account, is_customer, _ = subject.strip().partition(":")
    version = read_version(state, account) if is_customer else None
    if not (subject.strip() and author.strip() and reason.strip()):
        raise ArgumentError("A suppression needs a subject, an author and a reason.")
    memory.suppress(
        state,
        subject.strip(),
        author=author,
        reason=reason,
        at=clock.now(),
        identity_version=version.version if version else None,
    )


def is_known(lake: Lake, state: State, subject: str) -> bool:
    """Whether a customer of the lake, or a record sent to a CRM, goes by this."""
    subject = subject.strip()
    if memory.knows(state, {subject, *both_forms(subject)}):
        return True
    account, _, customer = subject.partition(":")
    for table, column in (
        ("customers", "customer_id"),
        ("customer_id_redirects", "retired_customer_id"),
    ):
        ids = lake.read(table, accounts=[account], columns=[column]).column(column)
        if pc.any(pc.equal(ids, customer)).as_py():
            return True
    return False


def unsuppress(state: State, subject: str) -> None:
    """Take an entry off the list.

    Raises:
        ArgumentError: it is not on it.
    """
    if not memory.unsuppress(state, subject.strip()):
        raise ArgumentError("The suppression list has no such entry.")


def suppressed(state: State) -> frozenset[str]:
    """Everything on the list."""
    return memory.suppressed(state)
