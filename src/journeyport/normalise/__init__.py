"""From raw documents to the daily tables."""
