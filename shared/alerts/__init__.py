"""Alerts: what is told about jobs, and the channels that are set up for it."""
