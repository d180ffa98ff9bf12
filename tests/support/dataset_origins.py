"""Places that each dataset origin fetches from, for its contract: one has a dataset, breaks off, and works again."""

import hashlib
import io
import json
import random
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from azure.storage.blob import ContainerClient

from mypackage.dataset.azure_blob import CONNECTION_STRING, AzureBlobs
from mypackage.dataset.http import HttpArchive
from mypackage.dataset.origins import DatasetOrigin, load
from mypackage.dataset.patience import Patience
from tests.support.network.cutting_relay import CuttingRelay
from tests.support.projects.dvc_repository import DvcAuthor
from tests.support.servers.azurite import Azurite
from tests.support.servers.file_server import FileServer
from tests.support.servers.git_server import GitServer

SECRET = "hunter2-and-more"
SOON = Patience(failures=3, sleep=lambda _seconds: None)
FILES = {name: random.Random(name).randbytes(150_000).hex() for name in ("a", "deep/b")}  # noqa: S311 - just bytes


class Place(ABC):
    """What an origin fetches from.

    At ``missing`` is nothing; it has a secret in it, if an address can have one. ``strange`` is for other origins.
    """

    name: str
    missing: str
    strange = "ftp://host/data.zip"
    shows_progress = True

    def origin(self, environment: Mapping[str, str] = {}) -> DatasetOrigin:
        """The origin, as the registry has it, with these variables."""
        return load(self.name).of(environment)

    @abstractmethod
    def publish(self) -> str:
        """Put FILES there, and return the address."""

    @abstractmethod
    def publish_escape(self) -> str:
        """Put a dataset there that names a file outside of its folder."""

    @abstractmethod
    def break_off(self) -> None:
        """Let the next fetches get a part only."""

    @abstractmethod
    def mend(self) -> None:
        """Let fetches through again."""


class LocalPlace(Place):
    """A folder of this machine."""

    name, shows_progress = "local", False

    def __init__(self, folder: Path) -> None:
        self.folder, self.missing = folder / "set", str(folder / "nothing")
        self._dangling = self.folder / "dangling"

    def publish(self) -> str:
        for name, text in FILES.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        return str(self.folder)

    def publish_escape(self) -> str:
        self.folder.mkdir(parents=True)
        (self.folder / "data.zip").write_bytes(zipped({"good": "x", "../escaped": "x"}))
        return str(self.folder / "data.zip")

    def break_off(self) -> None:
        self._dangling.symlink_to("nowhere")

    def mend(self) -> None:
        self._dangling.unlink()


class HttpPlace(Place):
    """A server of archives."""

    name = "http"

    def __init__(self, server: FileServer) -> None:
        self._server = server
        self.missing = f"{server.url.replace('//', f'//user:{SECRET}@')}/nothing.zip?sig={SECRET}"

    def origin(self, environment: Mapping[str, str] = {}) -> DatasetOrigin:
        return replace(HttpArchive.of(environment), patience=SOON)

    def publish(self) -> str:
        return self._serve(FILES)

    def publish_escape(self) -> str:
        return self._serve({"good": "x", "../escaped": "x"})

    def break_off(self) -> None:
        self._server.cut_after = lambda: 100_000 if self._server.sent_bytes < 100_000 else 0

    def mend(self) -> None:
        self._server.cut_after = lambda: None

    def _serve(self, files: Mapping[str, str]) -> str:
        self._server.files["/data.zip"] = archive = zipped(files)
        return f"{self._server.url}/data.zip#sha256={hashlib.sha256(archive).hexdigest()}"


class AzurePlace(Place):
    """A container of blobs, behind a relay that cuts."""

    name = "azure_blob"

    def __init__(self, azurite: Azurite, container: ContainerClient, relay: CuttingRelay) -> None:
        self._container, self._relay = container, relay
        self._port, self._relayed = f":{azurite.port}/", f":{relay.port}/"
        self._opens = azurite.connection_string.replace(self._port, self._relayed)
        self.missing = f"{self._address('nothing')}?sig={SECRET}"

    def origin(self, environment: Mapping[str, str] = {}) -> DatasetOrigin:
        return replace(AzureBlobs.of({CONNECTION_STRING: self._opens, **environment}), patience=SOON)

    def publish(self) -> str:
        return self._upload("data/set", FILES)

    def publish_escape(self) -> str:
        return self._upload("evil", {"good": "x", "..\\..\\escaped": "x"})

    def break_off(self) -> None:
        passed = self._relay.passed_bytes
        self._relay.cut_after = lambda: 0 if self._relay.passed_bytes > passed + 50_000 else 100_000

    def mend(self) -> None:
        self._relay.cut_after = lambda: None

    def _upload(self, prefix: str, files: Mapping[str, str]) -> str:
        for name, text in files.items():
            self._container.upload_blob(f"{prefix}/{name}", text)
        return self._address(prefix)

    def _address(self, prefix: str) -> str:
        return f"{self._container.url}/{prefix}".replace(self._port, self._relayed)


class DvcPlace(Place):
    """A repository on a git server that wants a password, and DVC's remote in a folder."""

    name, strange = "dvc_repo", ""
    shows_progress = False  # DVC shows it on a terminal only

    def __init__(self, server: GitServer, folder: Path) -> None:
        self._folder, self._remote, self._away = folder, folder / "remote", folder / "away"
        self._repository = server.create("data", {"README": "data"})
        self._url = server.url("data", with_credentials=True)
        self.missing = server.url("nothing", with_credentials=True)

    def publish(self) -> str:
        DvcAuthor(self._folder / "author", self._repository, remote_url=str(self._remote)).commit({"set": FILES})
        return f"{self._url}@main:set"

    def publish_escape(self) -> str:
        """Write DVC's listing of a folder by hand: whoever owns a repository can."""
        content = hashlib.md5(b"x").hexdigest()  # noqa: S324 - as DVC has it
        listing = json.dumps([{"md5": content, "relpath": name} for name in ("good", "../../escaped")]).encode()
        folder = hashlib.md5(listing).hexdigest()  # noqa: S324
        for digest, stored in {content: b"x", f"{folder}.dir": listing}.items():
            place = self._remote / "files/md5" / digest[:2] / digest[2:]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(stored)
        outs = f"outs:\n- md5: {folder}.dir\n  nfiles: 2\n  hash: md5\n  path: set\n"
        config = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {self._remote}\n"
        self._repository.commit({".dvc/config": config, "set.dvc": outs})
        return f"{self._url}@main:set"

    def break_off(self) -> None:
        file = max((path for path in self._remote.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        self._mend: Callable[[], object] = lambda: self._away.replace(file)
        file.replace(self._away)

    def mend(self) -> None:
        self._mend()


def zipped(files: Mapping[str, str]) -> bytes:
    """An archive of these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()
