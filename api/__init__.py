"""The HTTP side: parse, call one function, answer."""
