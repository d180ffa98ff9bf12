"""Checks the addresses of servers in settings: where people reach ours, where they listen, and where others are."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?")
HOST_AND_PORT = re.compile(r"^[A-Za-z0-9._-]+:[0-9]+(/.*)?")
PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def public_address(url: str) -> str:
    """Check a setting; raise ValueError that says what is wrong with the address, if it is not empty."""
    if not url:
        return url
    _require_no_space(url)
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, or a port that is no number
        is_address = False
    if not is_address:
        raise ValueError("must be an address with its scheme, such as https://ml.example.com/retrain")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be an address without a user, a question mark or a #")
    if parts.path.strip("/") and not checked_path(parts.path):
        raise ValueError("has a path with other characters than letters, digits, and . _ ~ -")
    return url


def checked_path(given: str) -> str:
    """Return the path with one slash before it and none behind; "" if it is empty, or could be more than a path."""
    path = f"/{given.strip('/')}"
    return path if PATH.fullmatch(path) else ""


def listen_address(given: str) -> str:
    """Return an address or name to listen on, without brackets; raise ValueError if it is neither."""
    host = given[1:-1] if given.startswith("[") and given.endswith("]") else given
    try:
        return str(ip_address(host))
    except ValueError:
        if host and not NAME.fullmatch(host):
            raise ValueError("must be an address or a name to listen on, without a port, such as ::1") from None
    return host


def tracking_address(uri: str) -> str:
    """Check where MLflow is: a server's address, or another that MLflow takes (a folder, a database)."""
    if HOST_AND_PORT.fullmatch(uri):
        raise ValueError(f"must have its scheme, such as http://{uri}")
    scheme, _, _ = uri.partition("://")
    if scheme.lower() in ("http", "https"):
        _require_no_space(uri)
        try:
            parts = urlsplit(uri)
            is_address = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise ValueError("must be the address of a server, such as http://mlflow.example.com:5007")
    return uri


def _require_no_space(address: str) -> None:
    """Raise ValueError for what urlsplit leaves out, and a link would not."""
    if " " in address or not address.isprintable():
        raise ValueError("has a space or a control character in it; take it out")


def redis_address(value: SecretStr) -> SecretStr:
    """Check Redis's address, and add to one with TLS what Celery wants to be told; nothing of it is repeated."""
    try:
        parts = urlsplit(value.get_secret_value())
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, which may be half a password
        is_address = False
    if not is_address or parts.scheme not in ("redis", "rediss") or not re.fullmatch(r"(/[0-9]*)?", parts.path):
        raise ValueError(
            "must be redis://:password@host:6379/0, or rediss://… with TLS; in a password, write / as %2F, @ as %40, "
            "# as %23, ? as %3F and [ as %5B"
        )
    query = parts.query
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in query:
        query = f"{query}&ssl_cert_reqs=required".lstrip("&")
    # urlsplit has put the scheme into small letters, as kombu needs it
    return SecretStr(urlunsplit(parts._replace(query=query)))
