"""Turns git's complaints into errors: who must act, and what git said, redacted and shortened."""

import errno
import re

from shared.errors import AttemptError, Code, InfrastructureError, UserError
from shared.secrets.redactor import Redactor

EXCERPT_CHARACTERS = 500
NO_SUCH_REF = ("couldn't find remote ref", "not our ref", "unadvertised object", "no such remote ref")
REDIRECTED = re.compile(r"returned error: 30[1-8]|unable to update url base from redirection")
DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
TOO_LARGE = re.compile(r"file too large|out of memory", re.IGNORECASE)
# With a page's address git may say where it was led; that of a repository that moved ends as it was asked for.
PAGE = re.compile(
    r"/info/refs not valid: |dumb http transport does not support"
    r"|unable to update url base from redirection:\s+asked for: \S+\s+redirect: (?!\S*/info/refs)"
)
REFUSED = re.compile(
    r"authentication failed|could not read (username|password)|terminal prompts disabled|returned error: 40[134]\b"
    r"|permission denied \(|repository not found|repository '[^'\n]*' not found|access denied"
    r"|does not appear to be a git repository|project you were looking for",
    re.IGNORECASE,
)
SUBMODULE = re.compile(
    r"no url found for submodule|no submodule mapping found|direct fetching of that commit failed"
    r"|invalid value for '?submodule\.",
    re.IGNORECASE,
)
TRANSPORT = re.compile(r"transport '[^']*' not allowed")
UNSAFE_TEXT = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


LARGER_THAN_FETCHED = (
    "{uri} is larger than this service fetches (setting SOURCE_MAX_BYTES), or needs more memory than git may use. "
    "Train from a smaller repository."
)
USERS_TURN = (  # the first match wins
    (TOO_LARGE, Code.SOURCE_TOO_LARGE, LARGER_THAN_FETCHED),
    (REFUSED, Code.GIT_AUTH_FAILED, "{no_access}"),
    (
        SUBMODULE,
        Code.INVALID_PROJECT,
        "The submodules of {uri} cannot be checked out. Check its .gitmodules, and that the submodules' commits are "
        "pushed.",
    ),
    (
        REDIRECTED,
        Code.INVALID_PARAMETER,
        "The git host redirects {uri} to another address, where credentials would not be safe. If the repository "
        "moved, send its new address as git_uri; if that is a login page, check the token.",
    ),
    (
        TRANSPORT,
        Code.INVALID_PARAMETER,
        "{uri} needs a transport that this service does not allow (GIT_SCHEMES).",
    ),
)


def explain(stderr: str, *, uri: str, redactor: Redactor) -> AttemptError:
    """Return the error that this complaint of git means."""
    if DISK_FULL.search(stderr):
        return disk_full(uri)
    said = excerpt(stderr, redactor)
    if PAGE.search(stderr):
        return not_git(uri, f" git said: {said}")
    for complaint, code, message in USERS_TURN:
        if complaint.search(stderr):
            return UserError(code, f"{message.format(uri=uri, no_access=_no_access(uri))} git said: {said}", uri=uri)
    return InfrastructureError(
        Code.GIT_UNREACHABLE,
        f"{uri} could not be fetched. Check that the worker reaches the git host. git said: {said}",
        uri=uri,
    )


def not_git(uri: str, said: str = "") -> InfrastructureError:
    """Return the error for a host that answers with something else, which may pass as a network's login does."""
    message = (
        f"{uri} answered with a page, not with git: a login, a network's portal, or no git host at all. Check the "
        f"address in a browser, and that the worker gets there without a login (a token in git_uri, its proxy).{said}"
    )
    return InfrastructureError(Code.GIT_UNREACHABLE, message, uri=uri)


def too_large(uri: str) -> UserError:
    """Return the error for a repository that sent more than is allowed."""
    return UserError(Code.SOURCE_TOO_LARGE, LARGER_THAN_FETCHED.format(uri=uri), uri=uri)


def _no_access(uri: str) -> str:
    if uri.startswith("file:"):
        return f"There is no git repository at {uri} that this worker can read. Check the path."
    return (
        f"The git host denied access to {uri}: the repository may not exist, or the token in git_uri (or the "
        "worker's key) may not have permission to read it. Check both."
    )


def explain_os_error(error: OSError, *, uri: str) -> AttemptError:
    """Return the error for a worker that cannot run git or write its files."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(uri)
    return InfrastructureError(
        Code.INTERNAL,
        f"The worker could not fetch {uri}: {error.strerror} ({error.filename}). Check that git is installed and that "
        "DATA_DIR is writable.",
        uri=uri,
    )


def disk_full(uri: str) -> AttemptError:
    """Return the error for a disk with no room for the source."""
    message = f"This worker's disk is full; {uri} could not be fetched. Free space on it."
    return InfrastructureError(Code.DISK_FULL, message, uri=uri)


def excerpt(stderr: str, redactor: Redactor) -> str:
    """Return the end of what git said: redacted first, cut second, so that no half of a secret stays."""
    lines = [line.strip() for line in UNSAFE_TEXT.sub("", redactor.text(stderr)).splitlines()]
    text = " / ".join(line for line in lines if line)
    if len(text) > EXCERPT_CHARACTERS:
        return "…" + text[-EXCERPT_CHARACTERS:]
    return text or "nothing"
