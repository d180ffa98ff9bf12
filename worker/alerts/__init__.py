"""Sends alerts from the outbox to people and programs: the sender, and a folder for each channel."""
