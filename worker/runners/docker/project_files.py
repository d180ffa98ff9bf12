"""Adds a project's files to a container's archive, with what links lead to elsewhere in its repository.

Only the project's own folder goes into the container. `mlflow run --build-image` copies what links lead to, and so do
we where a link leaves the folder: inside the repository only, and each file once, or a few links could fill any disk.
"""

import os
import tarfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from shared.errors import Code, UserError

MAX_LINKED = 100_000  # files and folders that are there because of links
MAX_THROUGH = 20  # links, one in what another leads to


@dataclass(frozen=True)
class _Tree:
    """A folder or file, and its name in the archive. ``around`` are the real folders that it is in there."""

    real: Path
    name: str
    around: tuple[Path, ...] = ()

    def find(self, name: str) -> Path:
        """Return what stands in the archive under this name."""
        return self.real / os.path.relpath(name, self.name) if name != self.name else self.real


@dataclass
class ProjectFiles:
    """Adds trees to an archive. ``own`` gives each entry its owner and mode."""

    tar: tarfile.TarFile
    repository: Path
    own: Callable[[tarfile.TarInfo], tarfile.TarInfo]
    _waiting: deque[_Tree] = field(default_factory=deque)
    _names: dict[Path, str] = field(default_factory=dict)  # of files that are in the archive
    _linked: int = 0

    def add(self, folder: Path, name: str) -> None:
        """Add the folder; raise UserError where its links lead to more than MAX_LINKED files."""
        self.repository = self.repository.resolve()
        self._waiting.append(_Tree(folder.resolve(), name))
        while self._waiting:
            tree = self._waiting.popleft()
            self.tar.add(tree.real, arcname=tree.name, filter=partial(self._entry, tree))

    def _entry(self, tree: _Tree, member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        """Return the entry as it is to be; None for a link whose target is added in its place."""
        path = tree.find(member.name)
        self._count(tree)
        if member.issym() and (target := self._target(path, member.linkname, tree)):
            self._waiting.append(_Tree(target, member.name, (*tree.around, tree.real)))
            return None
        if member.isreg() and (first := self._names.setdefault(path, member.name)) != member.name:
            member.type, member.linkname, member.size = tarfile.LNKTYPE, first, 0
        return self.own(member)

    def _count(self, tree: _Tree) -> None:
        self._linked += bool(tree.around)
        if self._linked > MAX_LINKED or len(tree.around) > MAX_THROUGH:
            raise UserError(
                Code.SOURCE_TOO_LARGE,
                f"The project's links lead to more than {MAX_LINKED} files elsewhere in its repository, or through "
                f"more than {MAX_THROUGH} links. Let them lead to what is needed only.",
            )

    def _target(self, path: Path, link: str, tree: _Tree) -> Path | None:
        """Return what to put in a link's place; None where the link stays: it stays in its tree, or leads nowhere."""
        inside = os.path.normpath(path.parent.relative_to(tree.real) / link)
        if not os.path.isabs(link) and inside.split("/")[0] != "..":
            return None
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):  # nothing is there, or a loop
            return None
        is_ours = target.is_relative_to(self.repository) and ".git" not in target.relative_to(self.repository).parts
        is_endless = any(each.is_relative_to(target) for each in (path, tree.real, *tree.around))
        return target if is_ours and not is_endless else None
