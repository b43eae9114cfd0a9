"""What is known of a person on one engagement, as its channel shows it."""

from random import Random

from customer_journey.people import Person, pick
from customer_journey.staging import Manner


def identifiers_of(
    rng: Random, person: Person, manner: Manner, region: str, *, withheld: bool
) -> dict[str, list[str]]:
    """What is known of a person on one engagement, as its channel shows it."""
    found: dict[str, list[str]] = {}
    draw = rng.random()
    if manner.channel == "Voice":
        if draw < 0.03 and withheld:
            if rng.random() < 0.97:
                return {"phoneNumbers": ["anonymous"]}
            found["phoneNumbers"] = ["anonymous"]
        else:
            shared = person.shared_phones and rng.random() < 0.35
            phones = person.shared_phones if shared else person.phones
            found["phoneNumbers"] = [_dialled(rng, pick(rng, phones), region)]
        chances = (0.1, 0.45, 0.0)
    elif manner.channel == "Messaging" and person.whatsapp:
        found["whatsappIds"] = list(person.whatsapp)
        chances = (0.15, 0.15, 0.0)
    elif manner.channel == "Chat" and draw < 0.04:
        return found
    else:
        found["emailAddresses"] = [_typed(rng, pick(rng, person.emails))]
        chances = (0.0, 0.28, 0.08)
    if rng.random() < chances[0]:
        found["emailAddresses"] = [_typed(rng, pick(rng, person.emails))]
    if person.account_ids and rng.random() < chances[1]:
        found["accountIds"] = [pick(rng, person.account_ids)]
    if rng.random() < chances[2]:
        found["phoneNumbers"] = [_dialled(rng, pick(rng, person.phones), region)]
    if person.loyalty and rng.random() < 0.3:
        found["loyaltyCards"] = list(person.loyalty)
    return found


def _dialled(rng: Random, phone: str, region: str) -> str:
    """A number as some system wrote it down: not always in E.164."""
    draw = rng.random()
    if draw < 0.85:
        return phone
    if region == "DE":
        return (
            f"0{phone[3:]}" if draw < 0.95 else f"{phone[:3]} {phone[3:6]} {phone[6:]}"
        )
    if draw < 0.95:
        return f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
    return f"1-{phone[2:5]}-{phone[5:8]}-{phone[8:]}"


def _typed(rng: Random, email: str) -> str:
    """An address as somebody typed it: capitals come and go."""
    return email.title() if rng.random() < 0.05 else email
