"""Runs attempts as Docker containers. Nothing else in the worker imports docker."""
