"""Attempts as processes of this host, without isolation."""
