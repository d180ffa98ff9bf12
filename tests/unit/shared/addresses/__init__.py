"""Addresses of git and data."""
