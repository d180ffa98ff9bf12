"""Alerts on their way from the outbox to people and programs: the sender, and a folder for each channel."""
