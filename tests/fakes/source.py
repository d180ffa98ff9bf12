"""A GitSource without git: every ref is one commit, whose tree is the MLproject file that the test gives."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from shared.errors import AttemptError
from worker.interruption import NEVER, Interruption
from worker.source.checkout import Checkout, GitSource, SourceRequest
from worker.source.project_file import ProjectFile

PROJECT = """\
name: iris
entry_points:
  main:
    command: "true"
"""


class FakeSource(GitSource):
    """``errors`` are raised one after the other by the next checkouts; ``before`` is called with what ends them."""

    def __init__(self, folder: Path, project: str = PROJECT) -> None:
        super().__init__(folder / "mirrors", folder / "work", allowed_schemes=frozenset({"https"}))
        self.project = project
        self.errors: list[AttemptError] = []
        self.requests: list[SourceRequest] = []
        self.tips: dict[str, str] = {}  # by address
        self.before: Callable[[Interruption], None] = lambda _interruption: None

    def resolve(
        self, request: SourceRequest, *, timeout_seconds: float = 600, interruption: Interruption = NEVER
    ) -> str:
        """The same commit as checkout's."""
        self.requests.append(request)
        if self.errors:
            raise self.errors.pop(0)
        return sha_of(request)

    def find_tip(self, request: SourceRequest, *, timeout_seconds: float, interruption: Interruption = NEVER) -> str:
        """The commit that the test gave the repository, else the same as checkout's."""
        self.before(interruption)
        if self.errors:
            raise self.errors.pop(0)
        return self.tips.get(request.uri) or sha_of(request)

    def find_project_file(
        self, request: SourceRequest, *, timeout_seconds: float, interruption: Interruption = NEVER
    ) -> ProjectFile | None:
        """The MLproject file."""
        self.before(interruption)
        return ProjectFile(self.resolve(request), self.project)

    def checkout(
        self, request: SourceRequest, *, name: str, timeout_seconds: float = 600, interruption: Interruption = NEVER
    ) -> Checkout:
        """Make the folder with the MLproject file."""
        self.requests.append(request)
        self.before(interruption)
        if self.errors:
            raise self.errors.pop(0)
        folder = self._folder(name)
        folder.mkdir(parents=True)
        (folder / "MLproject").write_text(self.project)
        return Checkout(folder, folder, sha_of(request), None)


def sha_of(request: SourceRequest) -> str:
    """The commit that every ref is."""
    return request.commit_sha or hashlib.sha1(request.ref.encode(), usedforsecurity=False).hexdigest()
