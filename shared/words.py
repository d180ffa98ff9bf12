"""Words of the shared database, which a later version may have more of: read as they are, and never written over."""

from enum import StrEnum
from typing import TypeVar

W = TypeVar("W", bound=StrEnum)


def read_word(words: type[W], text: str) -> W:
    """The member that the text stands for; for one of a later version a member that is none of ours.

    That one keeps the text, so it is shown and written back as it was, and it is in no set of ours: nobody takes an
    unknown state for one that may be worked on. It is made here alone, so that a request is still held to what we know.
    """
    try:
        return words(text)
    except ValueError:
        unknown = str.__new__(words, text)
        unknown._name_, unknown._value_ = "UNKNOWN", text
        return unknown


def is_known(word: StrEnum) -> bool:
    """Whether this version knows what the word means."""
    return word.name in type(word).__members__
