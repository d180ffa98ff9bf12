"""Parses dataset_repo: URL, URL@rev, URL@rev:path, or a name that is not an address; takes credentials out."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from shared.addresses.git_uri import AT, SHORTEST_TOKEN, Credentials, parse_git_uri
from shared.addresses.public_text import require_no_credentials

URL = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>.*)$", re.DOTALL)
PINNED = re.compile(r"^(?P<path>[^@:?#]+)(?P<pin>@(?P<rev>(?!-)[^@:?#\s]+)(?::[^@?#]*)?)$")
HOST_AND_PATH = re.compile(r"^[^/.]*\.[^/]*/|\.git$|^/")  # what is left of https://user:pass/word@host.org/path
USER_WITH_PASSWORD = re.compile(r"^[^/@:]*:[^/@]*@")
LONG_USER = re.compile(rf"^[^/@]{{{SHORTEST_TOKEN},}}@")
GIT_SCHEMES = ("http", "https", "ssh")


@dataclass(frozen=True)
class DatasetAddress:
    """A dataset's address without credentials, and the credentials that were in it."""

    uri: str
    credentials: Credentials | None = None


@dataclass(frozen=True)
class DatasetRepository:
    """A git repository with data, its revision (empty for the newest), and the path in it."""

    url: str
    rev: str = ""
    path: str = ""

    def at(self, commit_sha: str) -> str:
        """Return the address of the same data at one commit."""
        return f"{self.url}@{commit_sha}" + (f":{self.path}" if self.path else "")


def find_repository(uri: str) -> DatasetRepository | None:
    """Return the repository that an address without credentials names; None if it may be something else."""
    match = URL.match(uri)
    if match is None or match["scheme"].lower() not in (*GIT_SCHEMES, "file"):
        return None
    path, pin = _split_pin(match["path"])
    if not pin and not path.endswith(".git"):
        return None
    rev, _, inner = pin.removeprefix("@").partition(":")
    return DatasetRepository(f"{match['scheme']}://{match['authority']}{path}", rev, inner)


def parse_dataset_address(value: str) -> DatasetAddress:
    """Split an address into its public and secret parts; if unsure, raise ValueError, which does not repeat it."""
    match = URL.match(value)
    if match is None:
        return DatasetAddress(_name(value))
    scheme, authority = match["scheme"], match["authority"]
    path, pin = _split_pin(match["path"])
    if "@" in authority or (pin and scheme.lower() in GIT_SCHEMES):
        repository = parse_git_uri(f"{scheme}://{authority}{path}")
        require_no_credentials(path + pin)
        return DatasetAddress(repository.uri + pin, repository.credentials)
    return DatasetAddress(require_no_credentials(value))


def _split_pin(path: str) -> tuple[str, str]:
    """Split path@rev or path@rev:path; any other '@' may be the end of a password."""
    if not AT.search(path):
        return path, ""
    match = PINNED.match(path)
    if match is None or AT.search(path, match.end("path") + 1) or AT.search(match["path"]):
        raise ValueError("has an '@' after its host that begins no revision; write URL, URL@rev or URL@rev:path")
    if HOST_AND_PATH.search(match["rev"]):
        raise ValueError("has a host after an '@'; write '/' in a user or password as %2F")
    return match["path"], match["pin"]


def _name(value: str) -> str:
    plain = unquote(require_no_credentials(value))
    if LONG_USER.match(plain) or USER_WITH_PASSWORD.match(plain):
        raise ValueError("holds what looks like a token or password; use https://TOKEN@host/path.git for it")
    return value
