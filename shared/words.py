"""Reads enum values from the shared database; those of a later version are kept as they are, never overwritten."""

from enum import StrEnum
from typing import TypeVar

W = TypeVar("W", bound=StrEnum)


def read_word(words: type[W], text: str) -> W:
    """Return the member with this text; for a word of a later version, a new member outside the enum.

    That member keeps the text, so it is shown and written back unchanged, and it is in none of our sets, so that nobody
    takes an unknown state for one that may be worked on. Only this function creates it: requests may still use only
    the words that we know.
    """
    try:
        return words(text)
    except ValueError:
        unknown = str.__new__(words, text)
        unknown._name_, unknown._value_ = "UNKNOWN", text
        return unknown


def is_known(word: StrEnum) -> bool:
    """Return whether this version knows the word."""
    return word.name in type(word).__members__
