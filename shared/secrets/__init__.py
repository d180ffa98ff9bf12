"""Secrets: where they are read, encrypted, and taken out of all that is kept or shown."""
