"""Starts the service: on one machine (make up), or by the compose files."""
