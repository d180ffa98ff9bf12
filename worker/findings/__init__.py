"""Findings: what a check reports about one thing, for the doctor, the runners and the alert channels."""
