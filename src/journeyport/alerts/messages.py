"""Causes in words: one message for each kind and topic, naming the runbook's part."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from journeyport.state.alerts import Cause

RUNBOOK: Mapping[str, str] = {
    "failure": "A run failed",
    "check": "A check is red",
    "rejects": "Records are refused",
    "drift": "The source changed",
    "stale": "Data is stale",
    "held": "Days are held back",
}
"""The heading in docs/operations.md for each kind of cause, in order of urgency."""

_SHOWN = 10


@dataclass(frozen=True)
class Message:
    """What is sent: a title, sentences, and where to read what to do.

    Attributes:
        title: one line.
        sentences: what is wrong.
        keys: the causes it tells.
        runbook: the heading in docs/operations.md.
    """

    title: str
    sentences: tuple[str, ...]
    keys: tuple[str, ...]
    runbook: str

    @property
    def text(self) -> str:
        """The whole message as plain text."""
        shown = [f"- {one}" for one in self.sentences[:_SHOWN]]
        more = len(self.sentences) - len(shown)
        if more:
            shown.append(f"- and {more} more: `journeyport alerts` lists them.")
        todo = f'What to do: docs/operations.md, "{self.runbook}".'
        return "\n".join([*shown, "", todo])


def written(causes: Iterable[Cause]) -> list[Message]:
    """One message for each kind and topic, the most urgent kind first."""
    grouped: dict[tuple[str, str], list[Cause]] = {}
    for cause in causes:
        grouped.setdefault((cause.kind, cause.topic), []).append(cause)
    order = list(RUNBOOK)
    keys = sorted(grouped, key=lambda key: (order.index(key[0]), key[1]))
    return [_message(kind, topic, grouped[kind, topic]) for kind, topic in keys]


def _message(kind: str, topic: str, causes: list[Cause]) -> Message:
    return Message(
        f"{RUNBOOK[kind]}: {topic}",
        tuple(cause.sentence for cause in causes),
        tuple(cause.key for cause in causes),
        RUNBOOK[kind],
    )
