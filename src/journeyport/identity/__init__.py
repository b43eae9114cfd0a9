"""Who is who, why, and how to undo it."""
