"""Tells a user's name from a token: git hosts show `https://USER@host/…`, and `https://TOKEN@host/…` is a login."""

import re
from urllib.parse import unquote

BETWEEN_WORDS = re.compile(r"[._+@\\ -]+")
# jane.doe, contoso-ml2, k8s-team. A token is long and random: a part of it has digits or capitals among its letters.
WORD = re.compile(r"[A-Za-z]{1,30}[0-9]{0,4}|[A-Za-z0-9]{1,4}")
WORD_OF_LONG_NAME = re.compile(r"[A-Z]?[a-z]{2,30}[0-9]{0,4}|[A-Z]{2,30}|[0-9]{1,4}")
SHORTEST_TOKEN = 20
LONGEST_NAME = 100
TOKEN_BEGINS = re.compile(r"gh[a-z]_|github_pat_|gl[a-z]{2,6}-|hf_")


def is_user_name(text: str, path: str = "") -> bool:
    """Return whether it is the name of a user or an organisation, such as one that the path repeats, and no token."""
    if text in ("", *unquote(path).split("/")):
        return True
    if len(text) > LONGEST_NAME or TOKEN_BEGINS.match(text):
        return False
    word = WORD if len(text) < SHORTEST_TOKEN else WORD_OF_LONG_NAME
    return all(word.fullmatch(part) for part in BETWEEN_WORDS.split(text))
