"""The fixed cast of one account: who works there, through which queues and lines."""

import uuid
from dataclasses import dataclass
from random import Random

from customer_journey.people import FIRST, LAST, pick


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who works in the account's contact centre."""

    id: str
    name: str
    extension: str


class Stage:
    """The fixed cast of one account: agents, supervisors, queues, own numbers.

    Args:
        seed: the generator's seed.
        account: the account.
        region: DE or US, for numbers.
    """

    def __init__(self, seed: int, account: str, region: str) -> None:
        rng = Random(f"{seed}/stage/{account}")  # noqa: S311
        self.account = account
        self.region = region
        cast = [
            Agent(
                new_uuid(rng),
                f"{pick(rng, FIRST)} {pick(rng, LAST)}",
                str(4000 + place),
            )
            for place in range(42)
        ]
        self.agents, self.supervisors = cast[:38], cast[38:]
        self.queues = [
            (new_uuid(rng), name)
            for name in ("Billing", "Orders", "Support", "Retention", "Second level")
        ]
        self.bot = new_uuid(rng)
        self.menu = new_uuid(rng)
        self.routing = new_uuid(rng)
        self.provider = str(uuid.uuid5(uuid.NAMESPACE_URL, f"provider:{account}:voice"))
        self.line = "+49305550100" if region == "DE" else "+18005550100"


def new_uuid(rng: Random) -> str:
    """A version 4 UUID from a seeded source."""
    digits = f"{rng.getrandbits(128):032x}"
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
    )
