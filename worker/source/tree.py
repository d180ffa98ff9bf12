"""Lists and counts a commit's files before it is checked out, because a few repeated trees can unpack to any size."""

import os
from dataclasses import dataclass, field

from shared.errors import Code, UserError
from worker.source.git import Git
from worker.source.limits import Allowance

MAX_DEPTH = 200  # later steps recurse, in Python and in the engine
MAX_ENTRY_BYTES = 8192  # twice the longest path that a file system accepts
LARGEST_POINTER_BYTES = 1024  # as Git LFS has it


@dataclass
class Tree:
    """The entries of a commit that need more work: submodules by path, and files that may be LFS pointers."""

    submodules: dict[str, str] = field(default_factory=dict)
    small_files: list[str] = field(default_factory=list)


def list_tree(commit_sha: str, *, git: Git, git_folder: str, allowance: Allowance, above: int = 0) -> Tree:
    """List the commit; raise UserError as soon as it is too large, or deeper than MAX_DEPTH counted from ``above``.

    Folders count as files: a tree of a million empty ones takes as long.
    """
    listing = _Listing(allowance, above)
    result = git.feed(listing.add, f"--git-dir={git_folder}", "ls-tree", "-r", "-t", "-l", "-z", commit_sha)
    if not result.ok:
        raise git.failure(result)
    return listing.tree


class _Listing:
    """Parses the output of `git ls-tree -r -t -l -z` as it comes."""

    def __init__(self, allowance: Allowance, above: int) -> None:
        self.tree = Tree()
        self._allowance = allowance
        self._above = above
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        """Add the next bytes of output."""
        *entries, self._rest = (self._rest + chunk).split(b"\0")
        for entry in entries:
            self._add_entry(entry)
        if len(self._rest) > MAX_ENTRY_BYTES:
            raise self._too_deep()

    def _add_entry(self, entry: bytes) -> None:
        facts, _, path = entry.partition(b"\t")
        mode, kind, sha, size = facts.split()
        self._allowance.take(files=1, size_bytes=int(size) if size.isdigit() else 0)
        if self._above + path.count(b"/") > MAX_DEPTH or len(entry) > MAX_ENTRY_BYTES:
            raise self._too_deep()
        if kind == b"commit":
            self.tree.submodules[os.fsdecode(path)] = sha.decode()
        elif kind == b"blob" and mode != b"120000" and int(size) <= LARGEST_POINTER_BYTES:
            self.tree.small_files.append(os.fsdecode(path))

    def _too_deep(self) -> UserError:
        uri = self._allowance.uri
        message = f"{uri} has folders nested more than {MAX_DEPTH} deep, or paths too long to unpack. Flatten them."
        return UserError(Code.INVALID_PROJECT, message, uri=uri)
