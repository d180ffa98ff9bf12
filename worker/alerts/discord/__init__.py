"""Alerts as Discord shows them."""
