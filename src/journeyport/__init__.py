"""Customer journeys, exported: proved complete, explained, undoable."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from journeyport.reading import profile, query, read

__all__ = ["profile", "query", "read"]


def __getattr__(name: str) -> Any:
    # Late, so that `import journeyport` costs nothing and reads no settings.
    if name in __all__:
        from journeyport import reading  # noqa: PLC0415 - see above

        return getattr(reading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
