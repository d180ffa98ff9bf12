"""Clones dataset repositories at one revision, keeping the password out of argv and out of the clone."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from .addresses import host, shown
from .errors import DatasetError

TIMEOUT_SECONDS = 600
# git asks this where the host wants a login. The variables are read by the shell, so that its arguments lack them.
ANSWER = (
    '!f() { test "$1" = get && '
    'printf "username=%s\\npassword=%s\\n" "$RETRAIN_GIT_USERNAME" "$RETRAIN_GIT_PASSWORD"; }; f'
)
FULL_SHA = re.compile(r"^[0-9a-f]{40}$")


def clone(repo_url: str, folder: Path, rev: str = "") -> str:
    """Clone the repository, check the revision out (a branch, tag or commit; by default the newest), return its SHA."""
    depth = [] if rev else ["--depth", "1"]
    _git(repo_url, "clone", "--quiet", "--no-checkout", *depth, "--", shown(repo_url), str(folder))
    commit = _find_commit(repo_url, folder, rev)
    _git(repo_url, "-C", str(folder), "checkout", "--quiet", "--detach", commit)
    return commit


def _find_commit(repo_url: str, folder: Path, rev: str) -> str:
    if FULL_SHA.match(rev) and not _parse(repo_url, folder, rev):
        _run(repo_url, "-C", str(folder), "fetch", "--quiet", "--depth", "1", "origin", rev)  # no longer on any branch
    names = (f"refs/remotes/origin/{rev}", f"refs/tags/{rev}", rev) if rev else ("HEAD",)
    found = (_parse(repo_url, folder, name) for name in names)
    commit = next(filter(None, found), None)
    if commit is None:
        _require_a_git_host(repo_url)
        raise DatasetError(f"'{shown(repo_url)}' has no branch, tag or commit {rev or 'HEAD'!r}.")
    return commit


def _require_a_git_host(repo_url: str) -> None:
    """Raise unless the host speaks git: git takes a page, such as a login's, for a repository without branches."""
    if urlsplit(repo_url).scheme not in ("http", "https"):
        return
    asked = _run(repo_url, "ls-remote", "--quiet", "--", shown(repo_url), "HEAD", GIT_TRACE_PACKET="1")
    if "packet:" not in asked.stderr:
        raise DatasetError(
            f"'{shown(repo_url)}' answered with a page, not with git: a login, a network's portal, or no git host at "
            "all. Check the address in a browser, and the token in it."
        )


def _parse(repo_url: str, folder: Path, name: str) -> str:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return _run(repo_url, "-C", str(folder), *asked).stdout.strip()


def _git(repo_url: str, *arguments: str) -> None:
    done = _run(repo_url, *arguments)
    if done.returncode != 0:
        raise DatasetError(f"Cloning '{shown(repo_url)}' failed: {done.stderr.strip()}")


def _run(repo_url: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"} | _credentials(urlsplit(repo_url)) | variables
    try:
        return subprocess.run(
            ["git", *arguments],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
    except FileNotFoundError:
        raise DatasetError("A dataset from a DVC repository needs git in the training image.") from None
    except subprocess.TimeoutExpired:
        raise DatasetError(f"Cloning '{shown(repo_url)}' took longer than {TIMEOUT_SECONDS} s.") from None


def _credentials(address: SplitResult) -> dict[str, str]:
    """Return what lets git answer the URL's host, and no other, with the URL's login, if it asks for one.

    The configuration is in the environment, because any process can read argv. The first value leaves the user's own
    credential helpers out, which might store the login.
    """
    if address.scheme not in ("http", "https") or not address.username:
        return {}
    key = f"credential.{address.scheme}://{host(address)}/.helper"
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": key,
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": key,
        "GIT_CONFIG_VALUE_1": ANSWER,
        "RETRAIN_GIT_USERNAME": unquote(address.username),
        "RETRAIN_GIT_PASSWORD": unquote(address.password or ""),
    }
