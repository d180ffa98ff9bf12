"""Keeps jobs moving and the host tidy when messages, workers or Redis are lost."""
