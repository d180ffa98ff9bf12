"""Checks out a project's source: turns an address and a ref into a folder with one commit and its submodules."""

import hashlib
import itertools
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from shared.addresses.git_uri import AllowedAddresses, Credentials, GitUri, parse_git_uri
from shared.errors import Code, UserError
from worker.folder_tree import free_bytes, remove_tree
from worker.interruption import NEVER, Interruption
from worker.source.address_rules import AddressRules
from worker.source.deadline import Deadline
from worker.source.git import Git
from worker.source.git_errors import disk_full, explain_os_error
from worker.source.limits import DEFAULT as DEFAULT_LIMITS
from worker.source.limits import Allowance, SourceLimits
from worker.source.logins import Logins
from worker.source.mirror import Mirror
from worker.source.project_file import ProjectFile
from worker.source.unpacking import Unpacking
from worker.source.unused_mirrors import remove_oldest_mirror, remove_unused_mirrors
from worker.source.way_out.door import Door
from worker.source.web_opener import WebOpener

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT_SECONDS = 600.0
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
SUGGESTED_FOLDERS = 5
NO_PROXY_SECONDS = 60  # an operator's change of git's configuration may take so long
DOORFULS = 3  # a shallow fetch, perhaps the history after it, and LFS files: each at most SOURCE_MAX_BYTES


@dataclass(frozen=True)
class SourceRequest:
    """What to fetch. ``uri`` contains no credentials; ``commit_sha`` is what an earlier attempt trained."""

    uri: str
    ref: str
    commit_sha: str | None = None
    subfolder: str = ""
    credentials: Credentials | None = None
    what: str = "git_uri"  # the field of the request that it comes from


@dataclass(frozen=True)
class Checkout:
    """A commit's work tree; ``project_folder`` is in it, symlinks resolved. Pinned commits have no branch."""

    folder: Path
    project_folder: Path
    commit_sha: str
    branch: str | None


class GitSource:
    """Fetches sources into ``work``, through the mirrors. Safe to share between threads and processes."""

    def __init__(
        self,
        mirrors: Path,
        work: Path,
        *,
        allowed_schemes: frozenset[str],
        allowed_hosts: frozenset[str] = frozenset(),
        private_networks: bool = False,
        limits: SourceLimits = DEFAULT_LIMITS,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.mirrors = mirrors.absolute()
        self._work = work.absolute()
        private = (self.mirrors.parent, self._work)
        self._rules = AddressRules(AllowedAddresses(allowed_schemes, allowed_hosts, private_networks), private)
        self._limits = limits
        self._environ = environ
        self._no_proxy_until = 0.0

    def checkout(
        self,
        request: SourceRequest,
        *,
        name: str,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        interruption: Interruption = NEVER,
    ) -> Checkout:
        """Create the folder ``work/name`` from scratch, with the commit that the request means.

        The caller discards it, after a failure too.
        """
        try:
            return self._checkout(request, name, self._deadline(request, timeout_seconds, interruption))
        except OSError as error:
            raise explain_os_error(error, uri=request.uri) from error

    def find(self, request: SourceRequest, *, name: str) -> Checkout | None:
        """Return the attempt's folder if it was not discarded yet; its checkout must have ended."""
        folder = self._folder(name)
        if request.commit_sha is None or not folder.is_dir():
            return None
        return Checkout(folder, find_project_folder(folder, request.subfolder), request.commit_sha, None)

    def resolve(
        self,
        request: SourceRequest,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        interruption: Interruption = NEVER,
    ) -> str:
        """Return the commit that the request means now."""
        try:
            with self._git_for(request, self._deadline(request, timeout_seconds, interruption)) as (address, git):
                return self._mirror(address, git).bring(request.ref, pinned_sha=request.commit_sha).commit_sha
        except OSError as error:
            raise explain_os_error(error, uri=request.uri) from error

    def find_tip(self, request: SourceRequest, *, timeout_seconds: float, interruption: Interruption = NEVER) -> str:
        """Return the commit that the request's branch or tag names at its host now; nothing is fetched."""
        try:
            with self._git_for(request, self._deadline(request, timeout_seconds, interruption)) as (address, git):
                return self._mirror(address, git).find_tip(request.ref)
        except OSError as error:
            raise explain_os_error(error, uri=request.uri) from error

    @contextmanager
    def open_web(self, address: GitUri, *, what: str, credentials: Credentials | None) -> Iterator[WebOpener]:
        """Yield what opens an http(s) address: by git's rules, its door and its logins. Redirects may lead outside."""
        self._rules.check(address, what=what, code=Code.INVALID_PARAMETER)
        with self._way_out(address, self._git(address, credentials, Deadline(DEFAULT_TIMEOUT_SECONDS))) as git:
            if git.door:
                git.door.allowed = git.door.allowed.with_any_outside()
            yield WebOpener(git, git.logins)

    def find_project_file(
        self, request: SourceRequest, *, timeout_seconds: float, interruption: Interruption = NEVER
    ) -> ProjectFile | None:
        """Return the MLproject file that the request means now, without a work tree; None if only that could tell."""
        try:
            with self._git_for(request, self._deadline(request, timeout_seconds, interruption)) as (address, git):
                mirror = self._mirror(address, git)
                sha = mirror.bring(request.ref, pinned_sha=request.commit_sha).commit_sha
                return mirror.read_project_file(sha, request.subfolder)
        except OSError as error:
            raise explain_os_error(error, uri=request.uri) from error

    def allows(self, uri: str) -> bool:
        """Return whether the operator's rules let this service fetch from the address."""
        try:
            self._rules.check(parse_git_uri(uri), what="the address", code=Code.INVALID_PARAMETER)
        except (ValueError, UserError):
            return False
        return True

    def _checkout(self, request: SourceRequest, name: str, deadline: Deadline) -> Checkout:
        with self._git_for(request, deadline) as (address, git):
            mirror = self._mirror(address, git)
            resolved = mirror.bring(request.ref, pinned_sha=request.commit_sha)
            self.discard(name)
            folder = self._folder(name)
            mirror.copy(resolved.commit_sha, folder)
            unpacking = Unpacking(git, self._rules, Allowance(self._limits, git.uri))
            unpacking.unpack(folder, resolved.commit_sha, uri=mirror.url)
        project_folder = find_project_folder(folder, request.subfolder)
        logger.info("source checked out", extra={"uri": address.uri, "commit_sha": resolved.commit_sha})
        return Checkout(folder, project_folder, resolved.commit_sha, resolved.branch)

    def discard(self, name: str) -> None:
        """Remove an attempt's folder; do nothing if there is none."""
        folder = self._folder(name)
        with suppress(FileNotFoundError):
            remove_tree(folder)

    def list_names(self) -> list[str]:
        """Return the names of the attempts whose folders are here."""
        with suppress(FileNotFoundError):
            return sorted(folder.name for folder in self._work.iterdir())
        return []

    def remove_mirrors(self, older_than_seconds: float) -> int:
        """Remove the mirrors that no attempt has used for that long; return how many."""
        return remove_unused_mirrors(self.mirrors, older_than_seconds)

    def remove_oldest_mirror(self) -> bool:
        """Remove the least recently used mirror; return False if none may be removed now."""
        return remove_oldest_mirror(self.mirrors)

    def _folder(self, name: str) -> Path:
        if not NAME.match(name):
            raise ValueError(f"{name!r} is not the name of an attempt")
        return self._work / name

    def _deadline(self, request: SourceRequest, timeout_seconds: float, interruption: Interruption) -> Deadline:
        def check_room() -> None:
            if free_bytes(self.mirrors) < self._limits.least_free_bytes:
                raise disk_full(request.uri)

        return Deadline(timeout_seconds, interruption, check_room=check_room)

    @contextmanager
    def _git_for(self, request: SourceRequest, deadline: Deadline) -> Iterator[tuple[GitUri, Git]]:
        """Yield the request's address, and git with its way out, which is closed at the end."""
        address = _parsed(request.uri, request.what)
        self._rules.check(address, what=request.what, code=Code.INVALID_PARAMETER)
        with self._way_out(address, self._git(address, request.credentials or address.credentials, deadline)) as git:
            yield address, git

    @contextmanager
    def _way_out(self, address: GitUri, git: Git) -> Iterator[Git]:
        if self._goes_by_proxy(git):  # the operator's, which looks names up itself and decides who may be reached
            yield git
            return
        most = DOORFULS * self._limits.max_bytes
        with Door(self._rules.allowed, what=f"The address that {address.uri} leads to", max_bytes=most) as door:
            yield replace(git, door=door, follow_redirects=True)

    def _goes_by_proxy(self, git: Git) -> bool:
        """Ask git, but keep for a while that there is none: then the door is used, so that an old answer is safe."""
        now = time.monotonic()
        if now < self._no_proxy_until:
            return False
        if git.has_proxy():
            return True
        self._no_proxy_until = now + NO_PROXY_SECONDS
        return False

    def _mirror(self, address: GitUri, git: Git) -> Mirror:
        return Mirror(self.mirrors / f"{hashlib.sha256(address.uri.encode()).hexdigest()}.git", git)

    def _git(self, address: GitUri, credentials: Credentials | None, deadline: Deadline) -> Git:
        return Git(
            address.uri,
            deadline,
            self._rules.allowed.schemes,
            os.environ if self._environ is None else self._environ,
            logins=Logins((credentials,) if credentials else ()),
            max_file_bytes=self._limits.max_bytes,
        )


def find_project_folder(folder: Path, subfolder: str) -> Path:
    """Return the real folder of a project in a work tree; ``subfolder`` may also name its MLproject file."""
    parts = Path(subfolder.strip()).parts
    if subfolder.startswith(("/", "\\")) or ".." in parts or ".git" in parts or "\0" in subfolder:
        raise _no_such_project(folder, subfolder, "is not a folder inside the repository")
    real = _real_folder(folder.joinpath(*parts))
    if real is None:
        raise _no_such_project(folder, subfolder, "is not a folder in this commit")
    if not real.is_relative_to(folder.resolve()):
        raise _no_such_project(folder, subfolder, "is a symlink that leaves the repository")
    return real


def _real_folder(path: Path) -> Path | None:
    try:
        real = path.parent.resolve() if _is_project_file(path.name) and path.is_file() else path.resolve()
        return real if real.is_dir() else None
    except (OSError, RuntimeError):  # a loop of symlinks, or a name that no file system accepts
        return None


def _no_such_project(folder: Path, subfolder: str, why: str) -> UserError:
    found = tuple(itertools.islice(_folders_with_a_project(folder), SUGGESTED_FOLDERS))
    hint = f"Folders with an MLproject file: {', '.join(found)}" if found else "No folder in it has an MLproject file"
    message = f"MLproject_location {subfolder[:200]!r} {why}. {hint}."
    return UserError(Code.INVALID_PROJECT, message, subfolder=subfolder, project_folders=found)


def _folders_with_a_project(folder: Path) -> Iterator[str]:
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        if any(map(_is_project_file, files)):
            inside = Path(path).relative_to(folder).as_posix()
            yield "the repository's root (an empty MLproject_location)" if inside == "." else inside


def _is_project_file(name: str) -> bool:
    return name.lower() == "mlproject"  # as MLflow has it


def _parsed(uri: str, what: str) -> GitUri:
    try:
        return parse_git_uri(uri)
    except ValueError as error:
        raise UserError(Code.INVALID_PARAMETER, f"{what} {error}.") from None
