"""The HTTP side: parse, call one function, answer."""

API_VERSION = "1.0.0"  # of the document: another major version may break callers, another minor one adds
