"""Alerts: which events of a job are reported, and the channels that are set up for them."""
