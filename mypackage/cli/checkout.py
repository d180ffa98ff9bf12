"""Finds a job's repository, commit and folder in the git checkout of the current folder. Runs git."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

GIT_SECONDS = 30
NO_SECRET_USERS = ("", "git")
FILE = "file://"
PATH_STARTS = ("/", "./", "../", "~")


@dataclass(frozen=True)
class LocalCheckout:
    """A checkout as a job's source; ``uncommitted`` and ``unpushed`` warn of what the service will not see.

    ``folder`` is the checkout itself, as an address; ``git_uri`` is that of its remote, or None without one.
    """

    folder: str
    git_uri: str | None
    commit_hash: str
    location: str
    origin_had_credentials: bool
    uncommitted: tuple[str, ...]
    unpushed: tuple[str, ...]


def find_checkout(folder: Path) -> LocalCheckout | None:
    """Return the checkout that the folder is in; None if there is none with a commit."""
    top, head = git(folder, "rev-parse", "--show-toplevel"), git(folder, "rev-parse", "--verify", "HEAD")
    if not top or not head:
        return None
    origin = git(folder, "remote", "get-url", "origin") or ""
    address = address_of(origin)
    return LocalCheckout(
        folder=Path(top).as_uri(),
        git_uri=address,
        commit_hash=head,
        location=(git(folder, "rev-parse", "--show-prefix") or "").rstrip("/"),
        origin_had_credentials=address is not None and had_credentials(origin),
        uncommitted=uncommitted(folder),
        unpushed=unpushed(folder, head),
    )


def address_of(origin: str) -> str | None:
    """Return the address of origin without credentials, or None if there is none that the service accepts."""
    try:
        return without_credentials(origin) if origin else None
    except ValueError:  # git accepts some addresses that the service does not
        return None


def unpushed(folder: Path, head: str) -> tuple[str, ...]:
    """Return a warning if the commit is not on origin."""
    if git(folder, "for-each-ref", "--count=1", "--contains", head, "refs/remotes/origin"):
        return ()
    return (
        f"commit {head[:10]} is not pushed, as far as this checkout knows: it is on no branch of origin, and the "
        "service may not find it.",
    )


def uncommitted(folder: Path) -> tuple[str, ...]:
    """Return a warning if there are changes that are in no commit."""
    is_dirty = git(folder, "status", "--porcelain")
    return ("there are uncommitted changes; they will not be trained.",) if is_dirty else ()


def as_address(given: str) -> str:
    """Return a folder of this machine as an address, with whatever is in its name encoded; any other as it is.

    Raises ValueError for a path to nothing.
    """
    if given.startswith(FILE):  # as in "file://$PWD", where nobody has encoded anything
        folder = Path(given.removeprefix(FILE))
        return folder.as_uri() if folder.is_absolute() and folder.is_dir() else given.replace(" ", "%20")
    folder = Path(given).expanduser()
    if "://" not in given and folder.is_dir():
        return folder.resolve().as_uri()
    if given.startswith(PATH_STARTS):
        raise ValueError(f"there is no folder {given}")
    return given


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
