"""Finds a job's repository, commit and folder in the git checkout of the current folder. Runs git."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

GIT_SECONDS = 30
NO_SECRET_USERS = ("", "git")


@dataclass(frozen=True)
class LocalCheckout:
    """A checkout as a job's source; ``warnings`` say what the service will not see of it."""

    git_uri: str
    commit_hash: str
    location: str
    origin_had_credentials: bool
    warnings: tuple[str, ...]


def find_checkout(folder: Path) -> LocalCheckout | None:
    """Return the checkout that the folder is in; None if there is none with a remote `origin` and a commit."""
    origin, head = git(folder, "remote", "get-url", "origin"), git(folder, "rev-parse", "--verify", "HEAD")
    if not origin or not head:
        return None
    try:
        address = without_credentials(origin)
    except ValueError:  # git accepts some addresses that the service does not
        return None
    return LocalCheckout(
        git_uri=address,
        commit_hash=head,
        location=(git(folder, "rev-parse", "--show-prefix") or "").rstrip("/"),
        origin_had_credentials=had_credentials(origin),
        warnings=tuple(warnings_of(folder, head)),
    )


def warnings_of(folder: Path, head: str) -> list[str]:
    """Return warnings about what the service will not see of this checkout."""
    told = []
    if not git(folder, "for-each-ref", "--count=1", "--contains", head, "refs/remotes/origin"):
        told.append(
            f"commit {head[:10]} is not pushed, as far as this checkout knows: it is on no branch of origin, and the "
            "service may not find it."
        )
    if git(folder, "status", "--porcelain"):
        told.append("there are uncommitted changes; they will not be trained.")
    return told


def without_credentials(address: str) -> str:
    """Return the address without credentials; a folder on this machine as file://."""
    if "://" not in address:
        return address if ":" in address.partition("/")[0] else Path(address).absolute().as_uri()
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "ssh" and parts.username:  # an ssh user is not secret, and is needed
        host = f"{parts.username}@{host}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def had_credentials(address: str) -> bool:
    """Return whether the address has more than a well-known user before its host."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return bool(parts.password) or (parts.username or "") not in NO_SECRET_USERS
    return bool(parts.password)


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None if it fails; its errors, which may contain an address, are dropped."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # no git here, or one that does not answer
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None
