"""Addresses by which people and programs elsewhere reach a server of ours: checks them, and the paths in them."""

import re
from urllib.parse import urlsplit

PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def public_address(url: str) -> str:
    """Check a setting; raise ValueError that says what is wrong with the address, if it is not empty."""
    if not url:
        return url
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
