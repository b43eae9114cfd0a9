"""Fault profiles: what a real source does wrong, drawn from a seed and counted.

Whether a fault strikes depends on the seed, the profile and the number of the request
since the faults were set, and on nothing else: the same requests meet the same faults
again. How answers are broken on the wire is in weather.py, how documents look odd in
oddities.py, what changes while it is read in traffic.py.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

#: Every profile and what it does.
PROFILES: dict[str, str] = {
    "rate-limit": "429 in bursts of one to four, half of them with Retry-After",
    "quota": "of every 40 requests the last 4 are 429, with RateLimit headers",
    "server-errors": "500, 502, 503 and 504 as problem details",
    "html-errors": "502 and 503 with a page of HTML",
    "empty-errors": "500, 503 and 504 with an empty body",
    "forbidden-flips": "403 once in a while, though nothing was taken away",
    "token-expiry": "a token is refused as expired after 25 requests",
    "truncated-json": "200 with the first half of the JSON",
    "slow-bytes": "the answer trickles in small pieces",
    "dropped-connections": "the connection breaks before or within the answer",
    "lost-answers": "a write is carried out and its answer never arrives",
    "write-lag": "a write is seen two seconds of the service's clock later",
    "stale-replica": "some reads of engagements are answered from an older state",
    "inserts": "engagements arrive in the window that is being read",
    "back-dates": "engagements arrive with a startDate days ago",
    "updates": "engagements of the window change while it is read",
    "erases": "engagements of the window disappear while it is read",
    "paired": "one engagement of the window goes as another comes: same total",
    "one-millisecond": "60 engagements arrive within one millisecond of the window",
    "capped-total": "total never exceeds 100",
    "wrong-total": "total is off by one to three now and then",
    "small-pages": "never more than 20 engagements on a page, whatever is asked",
    "broken-order": "two neighbours on a page change places now and then",
    "require-filter": "400 for a search without identifiers, channels and agent",
    "deep-paging": "400 for a page that ends beyond the 10,000th engagement",
    "empty-is-404": "404 for a search that finds nothing",
    "microseconds": "startDates carry microseconds, bounds are cut to milliseconds",
    "nulls": "null stands for what is absent",
    "unknown-fields": "fields nobody announced, on engagements and participants",
    "unknown-enums": "words nobody announced for status, type and direction",
    "missing-update-date": "three engagements in ten have no updateDate",
    "late-leavers": "participants leave after the engagement's end",
    "no-date-header": "answers carry no Date header",
    "retention": "engagements older than seven days are gone",
}

#: Profiles that strike by chance: their share of the requests they could strike.
CHANCES = {
    "server-errors": 0.08,
    "html-errors": 0.08,
    "empty-errors": 0.08,
    "forbidden-flips": 0.06,
    "truncated-json": 0.08,
    "slow-bytes": 0.08,
    "dropped-connections": 0.08,
    "lost-answers": 0.25,
    "stale-replica": 0.3,
    "inserts": 0.3,
    "back-dates": 0.2,
    "updates": 0.3,
    "erases": 0.2,
    "paired": 0.2,
    "one-millisecond": 0.08,
    "wrong-total": 0.3,
    "broken-order": 0.3,
}
#: What happens to the data while it is read, in the order it is tried.
CHURN = ("inserts", "back-dates", "updates", "erases", "paired", "one-millisecond")
TOKEN_USES = 25
QUOTA = 40
KEPT = 20_000


class UnknownProfileError(ValueError):
    """A profile that does not exist."""


def parse_profiles(names: Iterable[str]) -> tuple[str, ...]:
    """The profiles of those names, each once; refuses unknown ones in a sentence."""
    listed = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    for name in listed:
        if name not in PROFILES:
            raise UnknownProfileError(
                f"There is no fault profile {name!r}. Choose from: "
                f"{', '.join(sorted(PROFILES))}."
            )
    return listed


@dataclass
class Faults:
    """The profiles in force, and what they have done.

    Args:
        profiles: names from PROFILES.
        seed: the same seed gives the same faults for the same requests.
    """

    profiles: tuple[str, ...] = ()
    seed: int = 1
    counts: Counter[str] = field(default_factory=Counter)
    #: (number of the request, profile), oldest first; the first KEPT of them.
    sequence: list[tuple[int, str]] = field(default_factory=list)
    requests: int = 0
    _uses: Counter[int] = field(default_factory=Counter)
    _burst: int = 0

    def set(self, profiles: Iterable[str], seed: int) -> None:
        """Put other profiles in force and count from the start."""
        self.profiles = parse_profiles(profiles)
        self.seed = seed
        self.counts.clear()
        self.sequence.clear()
        self._uses.clear()
        self.requests = self._burst = 0

    def has(self, profile: str) -> bool:
        """True when the profile is in force."""
        return profile in self.profiles

    def begin(self) -> int:
        """Number a request."""
        self.requests += 1
        return self.requests

    def draw(self, profile: str, request: int) -> Random:
        """The profile's own random source for one request."""
        return Random(f"{self.seed}/{profile}/{request}")  # noqa: S311

    def strikes(self, profile: str, request: int) -> Random | None:
        """The random source when a profile by chance strikes, else None; uncounted."""
        if profile not in self.profiles:
            return None
        rng = self.draw(profile, request)
        return rng if rng.random() < CHANCES[profile] else None

    def note(self, profile: str, request: int) -> None:
        """Count a fault that struck."""
        self.counts[profile] += 1
        if len(self.sequence) < KEPT:
            self.sequence.append((request, profile))

    def in_burst(self, request: int) -> Random | None:
        """The source of a rate limit's answer while a burst lasts."""
        if "rate-limit" not in self.profiles:
            return None
        rng = self.draw("rate-limit", request)
        if self._burst:
            self._burst -= 1
            return rng
        if rng.random() < 0.1:
            self._burst = int(rng.random() * 4)
            return rng
        return None

    def over_quota(self, request: int) -> bool:
        """True for the last four of every forty requests."""
        return "quota" in self.profiles and request % QUOTA > QUOTA - 5

    def token_is_spent(self, token: str) -> bool:
        """True once a token has been used often enough under `token-expiry`."""
        if "token-expiry" not in self.profiles or not token:
            return False
        key = hash(token)
        self._uses[key] += 1
        return self._uses[key] > TOKEN_USES

    def report(self) -> dict[str, Any]:
        """What is in force and what was injected."""
        return {
            "profiles": list(self.profiles),
            "seed": self.seed,
            "requests": self.requests,
            "counts": dict(self.counts),
            "sequence": [list(one) for one in self.sequence],
        }
