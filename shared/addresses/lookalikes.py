"""Recognises what people send in place of an address: a page about a repository, a path of a Windows machine."""

import re
from urllib.parse import urlsplit

WINDOWS_PATH = re.compile(r"^(file:/*)?([A-Za-z]:([\\/]|$)|\\\\)")
# The third part of the path on GitHub; any further one in GitLab, after its "-"; Gitea's and Bitbucket's are longer.
PAGE = re.compile(
    r"^/[^/]+/[^/]+(?P<page>/(tree|blob|raw|commit|commits|pull|releases/tag|src/(branch|commit|tag))/)[^/]"
    r"|(?P<gitlab>/-/(tree|blob|raw|commit|commits|merge_requests|tags)/)"
    r"|^/projects/[^/]+/repos/[^/]+(?P<server>/browse)(/|$)"
)
BITBUCKET, BITBUCKET_PAGE = "bitbucket.org", re.compile(r"^/[^/]+/[^/]+(?P<page>/(src|branch)/)[^/]")
OF_GIT = re.compile(r"\.git(@|$)")
IF_IT_IS_ONE = " (if a group is called so and this is the repository itself, write .git behind it)"
FOLDER_PAGES = ("/tree/", "/-/tree/", "/src/", "/src/branch/", "/src/commit/", "/src/tag/")


def require_no_lookalike(value: str) -> str:
    """Return what may be a repository's address; raise ValueError, which does not repeat it, for what cannot be one."""
    require_no_windows_path(value)
    if page := find_page(value):
        raise ValueError(
            f"is the address of a page about the repository: leave out '{page}' and all that follows it; the branch "
            f"or commit goes in commit_hash, the folder in MLproject_location{IF_IT_IS_ONE}"
        )
    return value


def require_no_data_lookalike(value: str) -> str:
    """Return what may be data; the page of a file may be a file to download, that of a folder is never one."""
    require_no_windows_path(value)
    if (page := find_page(value)) in FOLDER_PAGES:
        raise ValueError(
            f"is the address of a page about a repository: leave out '{page}' and all that follows it, and write "
            f"URL@BRANCH:FOLDER{IF_IT_IS_ONE}"
        )
    return value


def require_no_windows_path(value: str) -> None:
    """Raise ValueError for a path that only a Windows machine has."""
    if WINDOWS_PATH.match(value):
        raise ValueError(
            "is a path of a Windows machine, which the service cannot see: push it to a git host and give its address; "
            "where the service itself runs under WSL, write C:\\x as file:///mnt/c/x"
        )


def find_page(address: str) -> str | None:
    """Return the part of the path with which the page of a repository begins, such as '/tree/'."""
    try:
        parts = urlsplit(address)
    except ValueError:  # it is no address at all, which others tell
        return None
    if parts.scheme not in ("http", "https") or OF_GIT.search(parts.path):
        return None
    match = PAGE.search(parts.path) or (BITBUCKET_PAGE.match(parts.path) if parts.hostname == BITBUCKET else None)
    return next(filter(None, match.groupdict().values())) if match else None
