"""Delivery to a CRM: match, plan, apply, undo, verify."""
