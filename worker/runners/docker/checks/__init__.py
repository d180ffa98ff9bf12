"""Checks a Docker engine for the doctor, using short-lived containers."""
