"""Parses the addresses in requests, of git repositories and of data, and keeps credentials out of other text."""
