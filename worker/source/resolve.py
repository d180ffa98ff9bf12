"""Resolves a branch, tag or SHA to the one commit that is trained, and explains why when there is none."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.addresses.git_ref import problem_with_ref
from shared.errors import Code, UserError

FULL_SHA = re.compile(r"^[0-9a-f]{40}$")
SHORT_SHA = re.compile(r"^[0-9a-f]{4,39}$")
NAMED_BRANCHES = 10


@dataclass(frozen=True)
class ResolvedRef:
    """The commit that a ref means now, and the branch if the ref is one."""

    commit_sha: str
    branch: str | None = None


@dataclass(frozen=True)
class RemoteRefs:
    """The refs of a remote: the commit or tag object of each, and the branch that its HEAD names."""

    tips: Mapping[str, str]
    default_branch: str | None = None

    @classmethod
    def parse(cls, listing: str) -> "RemoteRefs":
        """Parse the output of `git ls-remote --symref`."""
        tips, default = {}, None
        for line in listing.splitlines():
            value, _, name = line.partition("\t")
            if not value.startswith("ref: "):
                tips[name] = value
            elif name == "HEAD":
                default = value.removeprefix("ref: refs/heads/")
        return cls(tips, default)

    @property
    def branches(self) -> list[str]:
        """The names of all branches."""
        return [name.removeprefix("refs/heads/") for name in self.tips if name.startswith("refs/heads/")]

    def find(self, ref: str) -> str | None:
        """Return the full name of a ref: branch first, then tag; HEAD means the default branch."""
        if ref == "HEAD":
            branch = f"refs/heads/{self.default_branch}"
            return branch if branch in self.tips else "HEAD" if "HEAD" in self.tips else None
        names = (f"refs/heads/{ref}", f"refs/tags/{ref}")
        return next((name for name in names if name in self.tips), None)

    def tip(self, ref: str) -> str | None:
        """Return the commit that a branch, tag or HEAD names, in the order of ``find``."""
        names = [ref] if ref == "HEAD" or ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        return next((self.tips.get(f"{name}^{{}}", self.tips[name]) for name in names if name in self.tips), None)

    def commits(self, prefix: str) -> set[str]:
        """Return the commits at the tips of branches and tags whose SHA begins with the prefix."""
        peeled = {name: sha for name, sha in self.tips.items() if f"{name}^{{}}" not in self.tips}
        return {sha for sha in peeled.values() if sha.startswith(prefix)}


class Repository(Protocol):
    """What resolving needs of a mirror."""

    def fetch(self, name: str) -> bool:
        """Fetch one ref or SHA; return False if the remote lacks it or refuses it."""

    def fetch_history(self) -> None:
        """Fetch all branches and tags with all their commits."""

    def list_remote(self) -> RemoteRefs:
        """List the refs of the remote."""

    def ask_for_access(self) -> None:
        """Raise unless the host lets these credentials read the repository; a local one has no host to ask."""

    def find_commit(self, name: str) -> str | None:
        """Return the full SHA of a commit that is here, or None."""

    def find_fetched(self) -> str | None:
        """Return the commit that the last fetch() brought, or None if that was not a commit."""

    def find_commits(self, prefix: str) -> set[str]:
        """Return the commits here whose SHA begins with the prefix."""


def resolve(repository: Repository, ref: str, *, pinned_sha: str | None = None) -> ResolvedRef:
    """Fetch the commit of a ref, tried as branch, tag, HEAD, full SHA and short SHA, in this order.

    A pinned SHA takes precedence over the ref, and is not fetched if it is already here. The remote is asked in any
    case: the host, not the mirror, decides who may read a private repository.
    """
    if pinned_sha and (commit := repository.find_commit(pinned_sha)):
        repository.ask_for_access()
        return ResolvedRef(commit)
    if pinned_sha:
        return ResolvedRef(_fetch_sha(repository, pinned_sha, ref))
    if FULL_SHA.match(ref.lower()):
        return ResolvedRef(_fetch_sha(repository, ref.lower(), ref))
    if problem_with_ref(ref):
        raise ref_not_found(ref, repository.list_remote())
    if ref != "HEAD":  # the usual case needs no listing: one request, so the ref cannot move in between
        name = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        if repository.fetch(name) and (commit := repository.find_fetched()):
            return ResolvedRef(commit, _branch(name))
    return _resolve_listed(repository, ref, repository.list_remote())


def _resolve_listed(repository: Repository, ref: str, remote: RemoteRefs) -> ResolvedRef:
    name = remote.find(ref)
    if name is None and SHORT_SHA.match(ref.lower()):
        return ResolvedRef(_fetch_short_sha(repository, ref.lower(), remote))
    if name and repository.fetch(name) and (commit := repository.find_fetched()):
        return ResolvedRef(commit, _branch(name))
    raise ref_not_found(ref, remote)


def _fetch_sha(repository: Repository, sha: str, ref: str) -> str:
    if not repository.fetch(sha) and not repository.find_commit(sha):
        repository.fetch_history()  # the host does not serve commits by SHA, or only those at the tip of a ref
    if commit := repository.find_commit(sha):
        return commit
    raise ref_not_found(ref if ref.lower() == sha else f"{ref} ({sha})", repository.list_remote())


def _fetch_short_sha(repository: Repository, prefix: str, remote: RemoteRefs) -> str:
    found = remote.commits(prefix)
    if not found:
        repository.fetch_history()
        found = repository.find_commits(prefix)
    if len(found) != 1:
        raise ref_not_found(prefix, remote, candidates=sorted(found))
    (sha,) = found
    return repository.find_commit(sha) or _fetch_sha(repository, sha, prefix)


def _branch(name: str) -> str | None:
    return name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else None


def ref_not_found(ref: str, remote: RemoteRefs, *, candidates: Sequence[str] = ()) -> UserError:
    """Return the error for a ref that names no commit, or more than one; its message says what exists instead."""
    if candidates:
        what = f"is ambiguous: {len(candidates)} commits begin with it, such as {candidates[0]}. Send more of the SHA"
    elif not remote.branches:
        what = "names no commit: the repository has no branches. Push to it first"
    else:
        likely = _likely(ref, remote)
        names = ", ".join(likely) + (", …" if len(remote.branches) > len(likely) else "")
        what = f"names no branch, tag or commit. Did you mean {likely[0]!r}? Its branches: {names}"
    return UserError(
        Code.REF_NOT_FOUND,
        f"{ref[:100]!r} {what}.",
        ref=ref,
        branches=_likely(ref, remote),
        default_branch=remote.default_branch,
        candidates=tuple(candidates),
    )


def _likely(ref: str, remote: RemoteRefs) -> tuple[str, ...]:
    """Return some branches, the likeliest first: similar spellings, the default branch, the rest by name."""
    branches = sorted(remote.branches)
    first: Iterable[str | None] = [*difflib.get_close_matches(ref, branches, cutoff=0.75), remote.default_branch]
    return tuple(dict.fromkeys(name for name in [*first, *branches] if name in branches))[:NAMED_BRANCHES]
