"""Reads what monitoring sends, each format in a module of its own: whether a trigger fires, and why not. Pure."""
