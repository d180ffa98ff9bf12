"""Parses datasets' addresses (URL, URL@rev and URL@rev:path), and shows them without anything secret."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from .errors import DatasetError

# What may precede a repository's path and contain an '@' itself: https://user:password@host/, git@host:
HEAD = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*://[^/]*/?|[^@/:]+@[^@/:]+:)?")
SHORTEST_TOKEN = 8


@dataclass(frozen=True)
class RepositoryAddress:
    """A git repository, its revision (empty for the newest), and the path in it."""

    url: str
    rev: str = ""
    path: str = ""


def parse_repository_address(value: str) -> RepositoryAddress:
    """Split URL, URL@rev or URL@rev:path."""
    head = HEAD.match(value)
    start = head.end() if head else 0
    rest, at, pin = value[start:].partition("@")
    rev, colon, path = pin.partition(":")
    if at and (not rev or rev.startswith("-") or (colon and not path)):
        raise DatasetError(f"'{shown(value[:start] + rest)}' has an '@' that no revision follows; write URL@rev:path.")
    return RepositoryAddress(value[:start] + rest, rev, path)


def keep_to_pin(value: str, pin: str) -> str:
    """Return the address; if it names no revision and the pin is of the same repository, with the pin's."""
    wanted, pinned = parse_repository_address(value), parse_repository_address(pin)
    if not pinned.rev or wanted.rev or shown(wanted.url) != shown(pinned.url):
        return value
    return f"{value}@{pinned.rev}"


def shown(url: str) -> str:
    """Return the URL without user, password, query and fragment."""
    address = urlsplit(url)
    if address.scheme in ("http", "https"):
        return address._replace(netloc=host(address), query="", fragment="").geturl()
    return url


def secrets_in(url: str) -> list[str]:
    """Return what must not be shown of the URL: its password, or a token in place of the user, and its query."""
    address = urlsplit(url)
    token = address.username if len(address.username or "") >= SHORTEST_TOKEN else None  # shorter: git@host
    written = [address.password or token, address.query]
    return [text for each in written if each for text in {each, unquote(each)}]


def host(address: SplitResult) -> str:
    """Return the host with its port."""
    return address.netloc.rpartition("@")[2]
