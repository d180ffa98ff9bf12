"""What the git checkout in the current folder says about a job: its repository, commit and folder. Runs git."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

GIT_SECONDS = 30
NO_SECRET_USERS = ("", "git")


@dataclass(frozen=True)
class LocalCheckout:
    """A checkout as a job's source; ``warnings`` are what the service will not see of it."""

    git_uri: str
    commit_hash: str
    location: str
    origin_had_credentials: bool
    warnings: tuple[str, ...]


def find_checkout(folder: Path) -> LocalCheckout | None:
    """Look at the checkout that the folder is in; None where it is in none with a remote `origin` and a commit."""
    origin, head = git(folder, "remote", "get-url", "origin"), git(folder, "rev-parse", "--verify", "HEAD")
    if not origin or not head:
        return None
    try:
        address = without_credentials(origin)
    except ValueError:  # what git takes for an address is none to the service, either
        return None
    return LocalCheckout(
        git_uri=address,
        commit_hash=head,
        location=(git(folder, "rev-parse", "--show-prefix") or "").rstrip("/"),
        origin_had_credentials=had_credentials(origin),
        warnings=tuple(warnings_of(folder, head)),
    )


def warnings_of(folder: Path, head: str) -> list[str]:
    """What the service will not see of this checkout."""
    told = []
    if not git(folder, "for-each-ref", "--count=1", "--contains", head, "refs/remotes/origin"):
        told.append(
            f"commit {head[:10]} is not pushed, as far as this checkout knows: it is on no branch of origin, and the "
            "service may not find it."
        )
    if git(folder, "status", "--porcelain"):
        told.append("there are changes that are not committed; they will not be trained.")
    return told


def without_credentials(address: str) -> str:
    """Return the address as it may be sent and shown; a folder of this machine as file://."""
    if "://" not in address:
        return address if ":" in address.partition("/")[0] else Path(address).absolute().as_uri()
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "ssh" and parts.username:  # an ssh user is no secret, and is needed
        host = f"{parts.username}@{host}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def had_credentials(address: str) -> bool:
    """Whether more than a user that everybody knows stands before the host."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return bool(parts.password) or (parts.username or "") not in NO_SECRET_USERS
    return bool(parts.password)


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where it fails; what it may print of an address stays here."""
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
