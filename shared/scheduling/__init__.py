"""Decides which job may run where, and explains why a queued job waits. Pure."""
