"""The in-memory store's records of callers."""
