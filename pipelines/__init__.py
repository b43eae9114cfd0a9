"""Orchestration: the export as Dagster assets. Nothing imports this package."""
