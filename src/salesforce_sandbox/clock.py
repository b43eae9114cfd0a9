"""The org's time: the machine's, moved or stopped by whoever runs the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Gives the org's time, always in UTC."""

    def __init__(self) -> None:
        self._offset = timedelta(0)
        self._frozen: datetime | None = None

    def now(self) -> datetime:
        """Returns the time in the org."""
        return self._frozen or datetime.now(UTC) + self._offset

    def set(self, moment: datetime, *, frozen: bool = False) -> None:
        """Sets the time; it runs on from there unless it is frozen."""
        moment = moment.astimezone(UTC)
        self._frozen = moment if frozen else None
        self._offset = moment - datetime.now(UTC)

    def advance(self, seconds: float) -> None:
        """Moves the time by a number of seconds."""
        step = timedelta(seconds=seconds)
        if self._frozen is not None:
            self._frozen += step
        self._offset += step

    def reset(self) -> None:
        """Goes back to the machine's time."""
        self._offset, self._frozen = timedelta(0), None
