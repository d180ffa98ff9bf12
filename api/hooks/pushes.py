"""What the payloads of all git hosts have in common: a commit that was pushed to a branch of a repository."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from api.hooks.proofs import Proof
from api.hooks.sent import text_at
from shared.requests.texts import NOT_TEXT

BRANCHES = "refs/heads/"
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
ADDRESS = re.compile(
    r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^@/]*@)?(?P<host>\[[^\]/]*\]|[^/:]*)(?P<port>:\d+)?[/:](?P<path>.+)"
)
LONGEST_ADDRESS = 500
LONGEST_BRANCH = 500


@dataclass(frozen=True)
class Push:
    """A branch that is at another commit now."""

    branch: str
    commit: str
    by: str


@dataclass(frozen=True)
class Delivery:
    """What a git host sent. Without a push, ``nothing`` says what it was instead."""

    key: str  # the same if the same is sent again, by whomever
    proofs: tuple[Proof, ...]
    repositories: frozenset[str]  # its names: host/owner/name, with and without a port
    push: Push | None
    nothing: str = ""


def push_in(payload: dict[str, Any], *, by: str) -> tuple[Push | None, str]:
    """Return the push, or why there is none that a training could follow."""
    ref, commit = text_at(payload, "ref", longest=LONGEST_BRANCH + 100), text_at(payload, "after")
    branch = ref.removeprefix(BRANCHES)
    if branch == ref:
        return None, "it is not about a branch"
    if len(branch) > LONGEST_BRANCH:
        return None, f"the branch's name has more than {LONGEST_BRANCH} characters"
    if not COMMIT.fullmatch(commit):
        return None, "it names no commit"
    if not commit.strip("0"):
        return None, "the branch was deleted"
    return Push(branch, commit, by), ""


def names_of(addresses: Iterable[Any]) -> frozenset[str]:
    """Return the names of the repository at these addresses, of which each host gives several."""
    texts = (each for each in addresses if isinstance(each, str) and len(each) <= LONGEST_ADDRESS)
    known = (each for each in texts if not NOT_TEXT.search(each))
    return frozenset(name for each in known for name in _names(each))


def _names(address: str) -> tuple[str, ...]:
    found = ADDRESS.fullmatch(address.strip().lower())
    if found is None:
        return ()
    path = found["path"].strip("/").removesuffix(".git")
    return (f"{found['host']}/{path}", f"{found['host']}{found['port'] or ''}/{path}")


def as_name(pattern: str) -> str:
    """Return a pattern as names are written: somebody may have given an address."""
    return re.sub(r"^[a-z][a-z0-9+.-]*://", "", pattern.strip().lower()).rstrip("/").removesuffix(".git")
