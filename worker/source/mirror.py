"""Keeps a bare mirror of each repository on this host, as a cache: fetches into it, and copies commits out of it.

A mirror may be deleted at any time. It keeps the KEPT_COMMITS most recently used commits, shallow; after a request that
needed the history, also the remote's branches and tags. The rest is removed once it has MAX_PACKS packs.
"""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from shared.addresses.git_ref import problem_with_ref
from shared.errors import AttemptError, AttemptTimeout, Code, InfrastructureError
from worker.folder_tree import remove_tree
from worker.source.git import Git, GitResult
from worker.source.git_errors import NO_SUCH_REF
from worker.source.git_folder import is_git_folder, make_repository
from worker.source.kept_copy import KeptCopy
from worker.source.project_file import ProjectFile, read_project_file
from worker.source.resolve import RemoteRefs, ResolvedRef, ref_not_found, resolve

logger = logging.getLogger(__name__)

KEPT_COMMITS = 20
MAX_PACKS = 40
LOCK_POLL_SECONDS = 0.05
FETCHED = "refs/retrain/fetched"
PINS = "refs/retrain/pins"
MADE = "retrain-made"  # there once the mirror was made whole
USES = "retrain-uses"  # a file for each commit, touched when it is used
UPLOAD_PACK = "--upload-pack=git -c 'safe.directory=*' upload-pack"  # git passes it none of our environment's config
DAMAGED = ("corrupt", "bad object", "bad tree", "unable to read", "invalid sha1 pointer", "did not send all necessary")


def lock_of(folder: Path) -> Path:
    """Return the file that whoever uses the mirror locks. It stays when the mirror is removed."""
    return folder.with_suffix(".lock")


class Mirror:
    """One repository's mirror, as one attempt uses it. ``url`` is the address at which the host answered."""

    def __init__(self, folder: Path, git: Git) -> None:
        self._folder = folder.absolute()
        self._git = git
        self.url = git.uri
        self._was_used_before = False  # the commit that bring() found

    def bring(self, ref: str, *, pinned_sha: str | None) -> ResolvedRef:
        """Make sure that the commit is in the mirror, and that whoever asks for it may read it."""
        with self._locked(fcntl.LOCK_EX):
            self._prepare()
            try:
                resolved = resolve(self, ref, pinned_sha=pinned_sha)
                self._keep(resolved.commit_sha)
                self._collect_garbage()
            finally:
                self._remove_leftovers()  # half a pack may be large, and this repository may never be requested again
        return resolved

    def copy(self, commit_sha: str, folder: Path) -> None:
        """Bring a commit of the mirror into a new folder, which shares nothing with the mirror; no work tree yet."""
        inside, kept = folder / ".git", KeptCopy(self._folder)
        with self._locked(fcntl.LOCK_SH):
            make_repository(folder, origin=self.url)  # relative submodules start from it
            if kept.put_into(inside, commit_sha):
                return
            fetch = ("-C", folder, "fetch", "--quiet", "--no-tags", "--depth=1", UPLOAD_PACK)
            self._must(self._git.local().run(*fetch, self._folder, f"{PINS}/{commit_sha}"))
        if self._was_used_before:
            with self._locked(fcntl.LOCK_EX):
                if (self._folder / MADE).exists():  # it may have been removed in between
                    kept.keep(inside, commit_sha)

    def read_project_file(self, commit_sha: str, subfolder: str) -> ProjectFile | None:
        """Return the commit's MLproject file; None if only a checkout can tell."""
        with self._locked(fcntl.LOCK_SH):
            return read_project_file(self._git, str(self._folder), commit_sha, subfolder)

    def fetch(self, name: str) -> bool:
        """Fetch one ref or SHA; return False if the remote lacks it or refuses it."""
        depth = [] if self._has_history() else ["--depth=1"]
        result = self._ask("fetch", "--no-tags", "--update-shallow", *depth, refspecs=[f"+{name}:{FETCHED}"])
        if result.says(*NO_SUCH_REF):
            return False
        self._must(result)
        return True

    def fetch_history(self) -> None:
        """Fetch all branches and tags with all their commits."""
        logger.info("fetching the whole history", extra={"uri": self._git.uri})
        everything = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        endless = "--depth=2147483647"  # git's own number for --unshallow, which fails where nothing is shallow
        self._must(self._ask("fetch", "--prune", "--no-tags", "--update-shallow", endless, refspecs=everything))

    def list_remote(self) -> RemoteRefs:
        """List the refs of the remote."""
        asked = self._ask("ls-remote", "--symref", refspecs=["HEAD", "refs/heads/*", "refs/tags/*"])
        if not (listed := self._must(asked)):
            self._git.require_a_git_host(self.url)
        return RemoteRefs.parse(listed)

    def find_tip(self, ref: str) -> str:
        """Return the commit that a branch, tag or HEAD of the remote names now. Fetches nothing, needs no mirror."""
        if not problem_with_ref(ref):
            whole = ref == "HEAD" or ref.startswith("refs/")
            names = [ref] if whole else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
            asked = self._ask("ls-remote", refspecs=[*names, *(f"{name}^{{}}" for name in names)])
            if tip := RemoteRefs.parse(self._must(asked)).tip(ref):
                return tip
        raise ref_not_found(ref, self.list_remote())

    def ask_for_access(self) -> None:
        """Raise unless the host lets these credentials read the repository; a local one has no host to ask."""
        if not self.url.startswith("file:") and not self._must(self._ask("ls-remote", refspecs=["HEAD"])):
            self._git.require_a_git_host(self.url)

    def find_commit(self, name: str) -> str | None:
        """Return the full SHA of a commit that is here, or None."""
        result = self._run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        return result.stdout.strip() if result.ok else None

    def find_fetched(self) -> str | None:
        """Return the commit that the last fetch() brought, or None if that was not a commit."""
        with suppress(OSError):  # one process less where it was used before: what is pinned is a commit
            fetched = (self._folder / FETCHED).read_text().strip()
            if fetched and (self._folder / PINS / fetched).exists():
                return fetched
        return self.find_commit(FETCHED)

    def find_commits(self, prefix: str) -> set[str]:
        """Return the commits here whose SHA begins with the prefix."""
        objects = self._must(self._run("rev-parse", f"--disambiguate={prefix}")).split()
        return {sha for sha in objects if self.find_commit(sha) == sha}  # trees and blobs have SHAs too

    def _ask(self, command: str, *options: str, refspecs: list[str]) -> GitResult:
        """Ask the remote. GitLab redirects addresses without .git, and git may not follow: try it ourselves."""
        upload_pack = [UPLOAD_PACK] if self.url.startswith("file:") else []
        arguments = [command, "--quiet", *options, *upload_pack]
        result = self._run(*arguments, self.url, *refspecs)
        if result.redirected and not self.url.endswith(".git"):
            self.url = self.url.rstrip("/") + ".git"
            result = self._run(*arguments, self.url, *refspecs)
        return result

    def _run(self, *arguments: str) -> GitResult:
        return self._git.run(f"--git-dir={self._folder}", *arguments)  # never a repository that is around the mirror

    def _must(self, result: GitResult) -> str:
        if not result.ok:
            raise self._failure(result)
        return result.stdout.strip()

    def _failure(self, result: GitResult) -> AttemptError:
        """Explain a failure; if the mirror itself is damaged, delete it so that the next attempt can fetch it again."""
        if not result.says(*DAMAGED):
            return self._git.failure(result)
        logger.warning("deleted a damaged mirror", extra={"uri": self._git.uri, "mirror": str(self._folder)})
        self._throw_away()
        message = f"This worker's mirror of {self._git.uri} was damaged. The next attempt fetches it again."
        return InfrastructureError(Code.INTERNAL, message, uri=self._git.uri)

    def _has_history(self) -> bool:
        """Return whether the whole history was fetched: a shallow fetch would cut it off again."""
        if (self._folder / "shallow").exists():
            return False
        return bool(self._must(self._run("for-each-ref", "--count=1", "refs/heads")))

    def _prepare(self) -> None:
        """Create the mirror, or repair it after a git process was killed. Only under the exclusive lock."""
        self._remove_leftovers()
        made = self._folder / MADE
        if made.exists() and is_git_folder(self._folder):
            return
        arguments = ("init", "--quiet", "--bare", "--template=", self._folder)
        if not (self._git.run(*arguments).ok and is_git_folder(self._folder)):
            self._throw_away()
            self._git.must(*arguments)
        made.touch()

    def _remove_leftovers(self) -> None:
        """Remove what a killed git process left behind."""
        locks = (*self._folder.glob("*.lock"), *(self._folder / "refs").rglob("*.lock"))
        for leftover in (*locks, *(self._folder / "objects" / "pack").glob("tmp_*")):
            leftover.unlink(missing_ok=True)

    def _throw_away(self) -> None:
        with suppress(FileNotFoundError):
            remove_tree(self._folder)

    def _keep(self, commit_sha: str) -> None:
        """Pin the commit, and unpin the least recently used ones."""
        uses = self._folder / USES
        uses.mkdir(exist_ok=True)
        pin = self._folder / PINS / commit_sha
        if not pin.exists() or pin.read_text().strip() != commit_sha:  # one process less for each further job
            self._must(self._run("update-ref", f"{PINS}/{commit_sha}", commit_sha))
        self._was_used_before = (uses / commit_sha).exists()
        (uses / commit_sha).touch()
        by_use = sorted(uses.iterdir(), key=lambda marker: marker.stat().st_mtime_ns, reverse=True)
        for marker in by_use[KEPT_COMMITS:]:
            self._must(self._run("update-ref", "-d", f"{PINS}/{marker.name}"))
            marker.unlink()

    def _collect_garbage(self) -> None:
        """Free disk space now and then. It may fail or run out of time without harming the attempt."""
        if len(list((self._folder / "objects" / "pack").glob("*.pack"))) <= MAX_PACKS:
            return
        # what it writes is smaller than what was there
        git = replace(self._git, deadline=self._git.deadline.half(), max_file_bytes=None)
        with suppress(AttemptTimeout):
            if git.run(f"--git-dir={self._folder}", "gc", "--quiet", "--prune=now").ok:
                return
        logger.warning("could not collect a mirror's garbage", extra={"mirror": str(self._folder)})

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        """Hold the mirror's lock. git's processes inherit it, so one that outlives a killed worker still holds it."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with lock_of(self._folder).open("a") as file:
            self._wait_for_lock(file.fileno(), mode)
            before, self._git = self._git, replace(self._git, keep_open=(file.fileno(),))
            try:
                yield
            finally:
                self._git = before
                fcntl.flock(file, fcntl.LOCK_UN)

    def _wait_for_lock(self, descriptor: int, mode: int) -> None:
        while True:
            with suppress(BlockingIOError):
                return fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            if not self._git.deadline.check():
                raise self._git.timeout(["waiting for another attempt's fetch"])
            time.sleep(LOCK_POLL_SECONDS)
