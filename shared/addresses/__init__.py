"""Addresses in requests: of git repositories and of data, and the text around them."""
