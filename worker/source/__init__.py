"""Fetches a job's source: turns a git address and a ref into a folder with one commit. Only this room runs git."""
