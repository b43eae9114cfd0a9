"""How engagements of each channel go, in figures: waits, talks, bots, hand-overs."""

from dataclasses import dataclass
from random import Random

from customer_journey.instants import DAY, HOUR, MINUTE, SECOND


@dataclass(frozen=True, slots=True)
class Manner:
    """One channel's figures: shares from 0 to 1, spans in microseconds."""

    channel: str
    type: str
    share: float
    outbound: float
    bot: float
    automation: str
    contained: float
    abandon: float
    transfer: float
    wait: tuple[int, int]
    talk: tuple[int, int]
    source: str
    address: str


MANNERS = (
    Manner(
        channel="Voice",
        type="VOICE",
        share=0.55,
        outbound=0.12,
        bot=0.7,
        automation="SELF_SERVICE",
        contained=0.12,
        abandon=0.07,
        transfer=0.13,
        wait=(2 * SECOND, 6 * MINUTE),
        talk=(40 * SECOND, 14 * MINUTE),
        source="PSTN",
        address="",
    ),
    Manner(
        channel="Chat",
        type="CHAT",
        share=0.18,
        outbound=0.0,
        bot=0.65,
        automation="CHATBOT",
        contained=0.4,
        abandon=0.05,
        transfer=0.07,
        wait=(3 * SECOND, 4 * MINUTE),
        talk=(2 * MINUTE, 25 * MINUTE),
        source="WEB",
        address="https://shop.example/help",
    ),
    Manner(
        channel="Email",
        type="EMAIL",
        share=0.17,
        outbound=0.1,
        bot=0.3,
        automation="TREATMENT",
        contained=0.03,
        abandon=0.0,
        transfer=0.08,
        wait=(MINUTE, 14 * HOUR),
        talk=(2 * MINUTE, HOUR),
        source="MAILBOX",
        address="service@shop.example",
    ),
    Manner(
        channel="Messaging",
        type="MESSAGING",
        share=0.10,
        outbound=0.05,
        bot=0.4,
        automation="CHATBOT",
        contained=0.3,
        abandon=0.04,
        transfer=0.06,
        wait=(10 * SECOND, 40 * MINUTE),
        talk=(5 * MINUTE, 2 * DAY),
        source="WHATSAPP",
        address="whatsapp:shop.example",
    ),
)


def manner_of(rng: Random) -> Manner:
    """A channel, by its share."""
    draw = rng.random()
    for manner in MANNERS:
        draw -= manner.share
        if draw < 0:
            return manner
    return MANNERS[0]
