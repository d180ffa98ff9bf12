"""A real DVC repository on a git server, with its data in a remote, made by DVC's own commands."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.servers.git_repository import RepositoryOnServer

TIMEOUT_SECONDS = 120


class DvcAuthor:
    """Works in ``folder`` on what the repository has, and pushes data and commits."""

    def __init__(
        self, folder: Path, repository: RepositoryOnServer, *, remote_url: str, remote_options: Mapping[str, str] = {}
    ) -> None:
        self.folder, self.repository, self._tracked = folder, repository, set[str]()
        folder.mkdir(parents=True)
        self._home = folder.parent / "dvc-home"
        self.dvc("init", "--no-scm", "--quiet")
        self.dvc("remote", "add", "--quiet", "--default", "store", remote_url)
        for name, value in remote_options.items():
            self.dvc("remote", "modify", "--quiet", "store", name, value)

    def commit(self, datasets: Mapping[str, Mapping[str, str]], *, plain: Sequence[str] = ()) -> str:
        """Track each dataset, a folder of files, push them all, and return the commit."""
        for name, files in datasets.items():
            for file, text in files.items():
                path = self.folder / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            self.dvc("add", "--quiet", name)
            self._tracked.add(f"{name}.dvc")
        self.dvc("push", "--quiet")
        names = [".dvc/config", *sorted(self._tracked), *plain]
        return self.repository.commit({name: (self.folder / name).read_text() for name in names})

    def dvc(self, *arguments: str) -> None:
        """Run DVC there."""
        environment = {**os.environ, "DVC_NO_ANALYTICS": "true", "DVC_SITE_CACHE_DIR": str(self._home)}
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self.folder,
            env={**environment, "DVC_GLOBAL_CONFIG_DIR": str(self._home), "DVC_SYSTEM_CONFIG_DIR": str(self._home)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
