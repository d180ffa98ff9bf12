"""Alerts for programs: signed JSON."""
