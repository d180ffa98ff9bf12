"""Handles secrets: reads them from files, encrypts them, and redacts them from everything kept or shown."""
