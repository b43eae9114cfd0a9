"""Delivery to a SQL warehouse."""
