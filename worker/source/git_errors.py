"""Turns git's complaints into errors: who must act, and what git said, redacted and shortened."""

import errno
import re

from shared.errors import AttemptError, Code, InfrastructureError, UserError
from shared.secrets.redactor import Redactor
from worker.source.logins import LoginUse, asking_host, origin_of

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
UNASKED = "The host did not ask for the login that came with the address (401), so it was not shown. "
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
        "The git host redirects {uri} to another address, where git may not follow: a login is shown to its own host "
        "only, and behind a proxy nothing checks where it leads. If the repository moved, send its new address; if "
        "that is a login page, check the token.",
    ),
    (
        TRANSPORT,
        Code.INVALID_PARAMETER,
        "{uri} needs a transport that this service does not allow (GIT_SCHEMES).",
    ),
)


def explain(stderr: str, *, uri: str, redactor: Redactor, use: LoginUse = LoginUse.NONE) -> AttemptError:
    """Return the error that this complaint of git means; ``use`` is what became of the repository's login."""
    if DISK_FULL.search(stderr):
        return disk_full(uri)
    said = excerpt(stderr, redactor)
    if PAGE.search(stderr):
        return not_git(uri, f" git said: {said}", use=use)
    if asker := asking_host(stderr):
        return UserError(
            Code.GIT_AUTH_FAILED, _not_logged_in(uri, asker, use) + _told_by_host(stderr, redactor), uri=uri
        )
    for complaint, code, message in USERS_TURN:
        if complaint.search(stderr):
            text = message.format(uri=uri, no_access=_no_access(uri, use))
            return UserError(code, f"{text} git said: {said}", uri=uri)
    return InfrastructureError(
        Code.GIT_UNREACHABLE,
        f"{uri} could not be fetched. Check that the worker reaches the git host. git said: {said}",
        uri=uri,
    )


def not_git(uri: str, said: str = "", *, use: LoginUse = LoginUse.NONE) -> InfrastructureError:
    """Return the error for a host that answers with something else, which may pass as a network's login does."""
    unasked = UNASKED if use is LoginUse.NOT_ASKED_FOR else ""
    message = (
        f"{uri} answered with a page, not with git: a login, a network's portal, or no git host at all. {unasked}Check "
        f"the address in a browser, and that the worker gets there without a login (a token in git_uri, its proxy)."
        f"{said}"
    )
    return InfrastructureError(Code.GIT_UNREACHABLE, message, uri=uri)


def too_large(uri: str) -> UserError:
    """Return the error for a repository that sent more than is allowed."""
    return UserError(Code.SOURCE_TOO_LARGE, LARGER_THAN_FETCHED.format(uri=uri), uri=uri)


def _no_access(uri: str, use: LoginUse) -> str:
    if uri.startswith("file:"):
        return f"There is no git repository at {uri} that this worker can read. Check the path."
    unasked = UNASKED if use is LoginUse.NOT_ASKED_FOR else ""
    return (
        f"The git host denied access to {uri}: the repository may not exist, or the token in git_uri (or the "
        f"worker's key) may not have permission to read it. {unasked}Check both."
    )


def _not_logged_in(uri: str, asker: str, use: LoginUse) -> str:
    """Explain why a host that asks for a login did not let git in."""
    if origin_of(asker) != origin_of(uri):
        return (
            f"{uri} leads to {asker}, which asks for a login. A login is shown to the host of its own address only: "
            "send the repository's address there, with the token."
        )
    if use is LoginUse.SHOWN:
        return (
            f"The git host refuses the login that came with {uri}: the token is wrong, has expired, or may not read "
            "this repository. Send one that may."
        )
    return (
        f"The git host asks for a login to {uri}, and none came with it: the repository is private, or does not "
        "exist. If it is private, send the address with a token, such as https://USER:TOKEN@host/path.git."
    )


def _told_by_host(stderr: str, redactor: Redactor) -> str:
    """Return what else git said, such as the host's own explanation: that it cannot ask a person is no news."""
    rest = "\n".join(line for line in stderr.splitlines() if not asking_host(line))
    return f" git said: {excerpt(rest, redactor)}" if rest.strip() else ""


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
