"""Tells where a git host shows a commit to people, from the repository's address. Pure; nobody is asked."""

import re
from urllib.parse import quote, urlsplit

from shared.addresses.git_uri import parse_git_uri

SHA = re.compile(r"[0-9a-f]{7,64}")
# What follows a repository's page, by what names such hosts: their own, and those in a company (gitlab.example.com).
KINDS = (
    (re.compile(r"(^|\.)gitlab\."), "/-/commit/{sha}"),
    (re.compile(r"(^|\.)bitbucket\.org$"), "/commits/{sha}"),
    (re.compile(r"(^|\.)(github|gitea|forgejo)\.|(^|\.)codeberg\.org$|^git\.sr\.ht$"), "/commit/{sha}"),
)


def commit_page(git_uri: str | None, sha: str | None) -> str | None:
    """Return the commit's page on GitHub, GitLab, Gitea, Forgejo or Bitbucket; None where it cannot be told."""
    if not sha or not SHA.fullmatch(sha) or (page := repository_page(git_uri)) is None:
        return None
    host = urlsplit(page).hostname or ""
    return next((f"{page}{path.format(sha=sha)}" for named, path in KINDS if named.search(host)), None)


def repository_page(git_uri: str | None) -> str | None:
    """Return the repository's page, without user or token; None if the address does not tell of one."""
    try:
        address = parse_git_uri(git_uri or "")
    except ValueError:
        return None
    if address.scheme == "file":
        return None
    if "://" not in address.uri:  # user@host:path
        origin, path = f"https://{address.host}", address.uri.partition(":")[2]
    else:
        parts = urlsplit(address.uri)
        # A port of ssh is not that of its pages.
        origin = f"https://{address.host}" if address.scheme == "ssh" else f"{parts.scheme}://{parts.netloc}"
        path = parts.path
    path = path.strip("/").removesuffix(".git").rstrip("/")
    return f"{origin}/{quote(path, safe='/~%:._-+')}" if path else None
