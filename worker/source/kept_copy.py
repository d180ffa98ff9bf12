"""Keeps what the last checkout of a commit got of a mirror: trainings of the same code on new data need it again.

git would pack the commit and index it once more, which takes a second for 100 MB. What is kept belongs to the mirror
and goes with it. Each file is copied, never linked: a training may write to its own.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from worker.folder_tree import remove_tree

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024**2
CHUNK_BYTES = 1 << 20
FACTS = "facts.json"
SHALLOW = "shallow"
PACKS = "objects/pack"


class KeptCopy:
    """One mirror's. Whoever reads it holds the mirror's lock, and whoever writes it holds it alone."""

    def __init__(self, mirror: Path) -> None:
        self._folder = mirror / "retrain-copy"

    def put_into(self, git_folder: Path, commit_sha: str) -> bool:
        """Put the commit into an empty repository; return False, having put nothing, if it is not here and whole."""
        if (digests := self._files_of(commit_sha)) is None:
            return False
        targets = {name: git_folder / (name if name == SHALLOW else f"{PACKS}/{name}") for name in digests}
        with suppress(OSError):
            if all(_copy(self._folder / name, target) == digests[name] for name, target in targets.items()):
                return True
            logger.warning("a kept copy is damaged; git makes a new one", extra={"copy": str(self._folder)})
        for target in targets.values():
            target.unlink(missing_ok=True)
        return False

    def keep(self, git_folder: Path, commit_sha: str) -> None:
        """Keep what git fetched of the commit into a repository, if it is not too large, in the place of the last."""
        files = [*(git_folder / PACKS).iterdir(), *git_folder.glob(SHALLOW)]
        try:
            self._throw_away()
            if sum(file.stat().st_size for file in files) <= MOST_BYTES:
                self._folder.mkdir()
                digests = {file.name: _copy(file, self._folder / file.name) for file in files}
                # Written last: without it, nothing is kept. What it says is checked, so a crash does no harm.
                (self._folder / FACTS).write_text(json.dumps({"commit": commit_sha, "files": digests}))
        except OSError as error:  # it only saves time
            logger.warning("a copy could not be kept", extra={"cause": str(error)})
            self._throw_away()

    def _files_of(self, commit_sha: str) -> Mapping[str, str] | None:
        try:
            facts = json.loads((self._folder / FACTS).read_text())
            return facts["files"] or None if facts["commit"] == commit_sha else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _throw_away(self) -> None:
        with suppress(OSError):
            remove_tree(self._folder)


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return its digest."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(CHUNK_BYTES):
            digest.update(chunk)
            written.write(chunk)
    return digest.hexdigest()
