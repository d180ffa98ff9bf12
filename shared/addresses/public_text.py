"""Refuses credentials in a request's public text, which people, logs and MLflow will see."""

import re
from urllib.parse import unquote

# What precedes a user; all of it is behind the last '/' or ':'. One letter before ':/' is a drive.
ADDRESS_BEGINS = r"(?:(?<=//)|(?<=[A-Za-z0-9+.-]{2}:/)|(?<=http:)|(?<=https:))"
USER = re.compile(rf"{ADDRESS_BEGINS}.", re.IGNORECASE)
# A password may contain a '/'; the first part of host:8080/path@tag is a port, not a password.
USER_AND_COLON = re.compile(rf"{ADDRESS_BEGINS}[^/:]{{0,200}}:(?!\d*/)", re.IGNORECASE)
LONGEST_PASSWORD = 500
MODEL_ALIAS = re.compile(r"models:/[^/@:%?#\\]{1,250}@[A-Za-z0-9_-]{1,250}")  # MLflow's, and as a whole
ADDRESS = re.compile(r"[A-Za-z0-9+.-]:?//")
SECRET_IN_QUERY = re.compile(
    r"[?&;#](?:sig|[\w.\[\]-]{0,60}(?:token|password|secret|key|signature))=[^&\s]", re.IGNORECASE
)
REFUSAL = (
    "contains a URL with a user, password, token or key, which would show in MLflow; a git host's token belongs in "
    "git_uri or dataset_repo, before the host"
)


def require_no_credentials(value: str) -> str:
    """Return the value; raise ValueError, which does not repeat it, if it contains a URL with a credential."""
    if MODEL_ALIAS.fullmatch(value):
        return value
    for written in {value, unquote(value)}:
        slashed = written.replace("\\", "/")
        if _has_userinfo(slashed) or _has_secret_in_query(slashed):
            raise ValueError(REFUSAL)
    return value


def _has_userinfo(text: str) -> bool:
    """Return whether an address in it has a user before its host. Reads each character a fixed number of times."""
    return any(_ends_with_a_user(before) for word in text.split() for before in word.split("@")[:-1])


def _ends_with_a_user(text: str) -> bool:
    if USER.search(text, text.rfind("/") + 1):
        return True
    return any(len(text) - found.end() <= LONGEST_PASSWORD for found in USER_AND_COLON.finditer(text))


def _has_secret_in_query(text: str) -> bool:
    address = ADDRESS.search(text)
    return address is not None and SECRET_IN_QUERY.search(text, address.end()) is not None
