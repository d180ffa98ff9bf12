"""Machines that are not as a developer's is."""
