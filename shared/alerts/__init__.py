"""Alerts: what is told about jobs, and the webhooks that operators name."""
