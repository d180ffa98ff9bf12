"""Runs attempts as processes on this host, without isolation."""
