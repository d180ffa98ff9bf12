"""The HTTP API: parses a request, calls one function, and answers."""

API_VERSION = "1.0.0"  # of the document: a new major version may break callers, a new minor one only adds
