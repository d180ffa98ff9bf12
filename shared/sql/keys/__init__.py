"""Rotates SECRET_KEY: `python -m shared.sql.keys`."""
