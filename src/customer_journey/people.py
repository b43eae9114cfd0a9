"""The people behind generated engagements: who shares what with whom.

People come in blocks: somebody alone, a household with one landline, a company behind
one switchboard number. Only people of one block share identifiers, so a block can be
made, and its journeys known, without looking at any other: that keeps a million
engagements in bounded memory. How engagements look is in scenes.py.
"""

from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

T = TypeVar("T")


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words(
    """
    Ada Adnan Agnes Aisha Akira Alma Amir Anja Anton Beatriz Ben Birgit Bruno Camille
    Carla Chen Clara Daan David Diego Dora Elif Elin Emil Emma Erik Esra Eva Fatima
    Felix Finn Frida Gabriel Greta Hana Hannes Heidi Hugo Ida Igor Ines Isla Ivan Jana
    Jonas Julia Kaan Karl Katja Kofi Lara Lea Leo Lina Luca Lukas Magda Malik Marta
    Mateo Maya Mia Milan Mira Nadia Nico Nina Noah Olga Omar Oskar Paula Pavel Pia
    Quinn Rafael Rosa Rui Sara Selma Sofia Stefan Tara Theo Tilda Tom Uma Vera Victor
    Wanda Yara Yusuf Zoe
    """
)
LAST = _words(
    """
    Abbott Acker Almeida Andersen Arslan Bauer Becker Bianchi Blum Brandt Castillo
    Chang Costa Dahl Demir Dietrich Dubois Duran Eklund Engel Farkas Fischer Fontaine
    Fuchs Garcia Gruber Haas Hansen Hartmann Hoffmann Horvat Ibrahim Ivanova Jansen
    Jensen Kaiser Kaya Keller Klein Koch Kovac Kraus Lang Larsen Lehmann Lindgren
    Lopez Maier Marino Martin Meyer Moreau Mueller Murphy Nagy Neumann Nguyen Novak
    Okafor Olsen Otto Pereira Peters Pohl Popescu Quast Reyes Richter Rossi Roth Sauer
    Schmidt Scholz Schwarz Silva Sommer Stein Sullivan Suzuki Tanaka Torres Ulrich
    Varga Vogel Wagner Walsh Weber Weiss Winter Wolf Yilmaz Zimmer
    """
)
MAIL_HOSTS = (
    "kestrelmail.net",
    "linden-post.de",
    "brightinbox.com",
    "harbourpost.net",
    "nordbrief.de",
    "quillmail.org",
    "maplebox.com",
)
AREAS = ("212", "312", "415", "512", "617", "713", "206", "303", "404", "602")


@dataclass(slots=True)
class Person:
    """One person of one account and what they can be known by."""

    key: str
    first: str
    last: str
    phones: list[str]
    emails: list[str]
    account_ids: list[str]
    whatsapp: list[str]
    loyalty: list[str]
    #: Numbers that others of the block call from, too.
    shared_phones: list[str] = field(default_factory=list)


def pick(rng: Random, options: list[T] | tuple[T, ...]) -> T:
    """One of the options; a quarter of what Random.choice costs."""
    return options[int(rng.random() * len(options))]


def block(seed: int, account: str, region: str, number: int) -> list[Person]:
    """The people of one block, always the same for the same arguments.

    One block in six is the same in every account: the same names and e-mail addresses,
    but customer numbers of the account's own.
    """
    common = number % 6 == 0
    rng = Random(f"{seed}/{'*' if common else account}/{number}")  # noqa: S311
    draw = rng.random()
    if number % 97 == 41:
        size, kind = 12 + int(rng.random() * 20), "company"
    elif draw < 0.58:
        size, kind = 1, "single"
    elif draw < 0.9:
        size, kind = 2 + int(rng.random() * 3), "family"
    else:
        size, kind = 3 + int(rng.random() * 6), "company"
    lines = _Lines(seed, region, number)
    home = [] if kind == "single" else [lines.landline()]
    surname = pick(rng, LAST)
    host = f"{surname.lower()}-{number}.biz"
    people: list[Person] = []
    for place in range(size):
        last = surname if kind == "family" and place < 4 else pick(rng, LAST)
        person = _person(rng, lines, number, place, last)
        person.key = f"{account}-{person.key}"
        person.shared_phones = home
        if kind == "company":
            person.emails.append(f"{person.first}.{person.last}@{host}".lower())
        if kind == "family" and place == 1 and rng.random() < 0.3:
            # two of a household write from one address
            person.emails.append(people[0].emails[0])
        if rng.random() < 0.72:
            offset = sum(map(ord, account)) % 90
            person.account_ids.append(f"C-{10 + offset}{number:06d}{place:02d}")
            if rng.random() < 0.02:
                person.account_ids.append(
                    f"C-{10 + offset}{number:06d}{place + 50:02d}"
                )
        people.append(person)
    return people


def _person(rng: Random, lines: "_Lines", number: int, place: int, last: str) -> Person:
    first = pick(rng, FIRST)
    phones = [lines.mobile(2 * place)]
    if rng.random() < 0.25:
        phones.append(lines.mobile(2 * place + 1))
    # the block's number keeps an address from being another block's as well
    emails = [f"{first}.{last}{number}@{pick(rng, MAIL_HOSTS)}".lower()]
    if rng.random() < 0.22:
        emails.append(f"{last}{first[0]}{number}@{pick(rng, MAIL_HOSTS)}".lower())
    whatsapp = [phones[0].lstrip("+")] if rng.random() < 0.5 else []
    card = (number * 64 + place) * STEP % 1_000_000_000
    loyalty = [f"L{card:09d}"] if rng.random() < 0.1 else []
    key = f"{number:06d}-{place}"
    return Person(key, first, last, phones, emails, [], whatsapp, loyalty)


#: A prime: multiples of it, cut to a range, scatter over the range and never meet.
STEP = 48_271


class _Lines:
    """Telephone numbers of one block, that no other block of the account has.

    Args:
        seed: the generator's seed.
        region: DE or US.
        number: the block's number; 64 lines are its own.
    """

    def __init__(self, seed: int, region: str, number: int) -> None:
        self._seed = seed
        self._region = region
        self._number = number

    def _scattered(self, line: int, among: int) -> int:
        return (line * STEP + self._seed * 7919) % among

    def mobile(self, line: int) -> str:
        """One of the block's first 62 lines."""
        own = self._number * 64 + line
        if self._region == "DE":
            return f"+49151{self._scattered(own, 100_000_000):08d}"
        return self._american(own)

    def landline(self) -> str:
        """The line that the block shares."""
        if self._region == "DE":
            return f"+4930{2_000_000 + self._scattered(self._number, 7_000_000)}"
        return self._american(self._number * 64 + 63)

    def _american(self, own: int) -> str:
        among = len(AREAS) * 690 * 10_000
        exchange, line = divmod(self._scattered(own, among), 10_000)
        area, exchange = divmod(exchange, 690)
        return f"+1{AREAS[area]}{220 + exchange}{line:04d}"
