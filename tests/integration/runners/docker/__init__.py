"""Containers on a real engine: what only they do."""
