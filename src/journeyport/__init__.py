"""Customer journeys, exported: proved complete, explained, undoable."""
