"""Triggers in SQL: what people do with them, and what workers do."""
