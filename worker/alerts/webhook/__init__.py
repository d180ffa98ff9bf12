"""Sends alerts to programs: signed JSON."""
