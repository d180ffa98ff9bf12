"""Turns one decorated view into an operation of the API: reading, checking, answering and documentation follow."""
