"""Datasets over real HTTP, and from a real git host with a password."""

import hashlib
import json
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mypackage.prep_utils import DatasetError, clone, data_and_model_prep, fetch_archive
from tests.support.servers.git_server import GitServer


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Print nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address under which the folder ``www`` is served."""
    folder = tmp_path / "www"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def write_zip(file: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def test_the_predecessors_file_of_addresses_brings_dataset_and_model(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_zip(tmp_path / "www" / "data.zip", {"train/1.txt": "one"})
    write_zip(tmp_path / "www" / "model.zip", {"3/model.txt": "m"})
    addresses = {"dataset": f"{served}/data.zip?signature=s", "model": f"{served}/model.zip"}
    Path("data_uri.json").write_text(json.dumps(addresses))
    data_and_model_prep()
    assert Path("new_dataset/train/1.txt").read_text() == "one"
    assert Path("version/3/model.txt").read_text() == "m"


@pytest.mark.parametrize("how", ["in the file", "in the URL"])
def test_a_dataset_with_another_checksum_than_stated_is_refused(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_zip(tmp_path / "www" / "data.zip", {"a": "x"})
    right = hashlib.sha256((tmp_path / "www" / "data.zip").read_bytes()).hexdigest()

    def prepare(sha256: str) -> None:
        of_url = {"dataset": f"{served}/data.zip#sha256={sha256}"}
        addresses = {"dataset": f"{served}/data.zip", "dataset_sha256": sha256} if how == "in the file" else of_url
        Path("data_uri.json").write_text(json.dumps(addresses))
        data_and_model_prep()

    with pytest.raises(DatasetError, match=f"not {'1' * 64}"):
        prepare("1" * 64)
    assert list(Path("new_dataset").iterdir()) == []
    prepare(right)
    assert Path("new_dataset/a").read_text() == "x"


def test_an_archive_that_would_leave_its_folder_leaves_nothing(served: str, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    write_zip(tmp_path / "www" / "data.zip", {"good": "x", "../escaped": "x"})
    with pytest.raises(DatasetError, match="lies outside of it"):
        fetch_archive(f"{served}/data.zip", tmp_path / "work" / "out")
    assert list((tmp_path / "work").iterdir()) == []


def test_a_failed_download_shows_the_status_but_neither_password_nor_signature(served: str, tmp_path: Path) -> None:
    url = served.replace("http://", "http://user:hunter2@") + "/missing.zip?sig=hunter3"
    with pytest.raises(DatasetError, match=r"/missing\.zip' failed: 404") as caught:
        fetch_archive(url, tmp_path)
    assert "hunter" not in str(caught.value)


def test_what_is_no_archive_says_so(served: str, tmp_path: Path) -> None:
    (tmp_path / "www" / "data.zip").write_text("hello")
    with pytest.raises(DatasetError, match=r"/data\.zip' cannot be unpacked"):
        fetch_archive(f"{served}/data.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "must be a JSON file like"), ("{", "must be a JSON file like"), ("{}", "names no dataset")],
)
def test_a_missing_or_wrong_file_of_addresses_shows_how_it_must_look(
    tmp_path: Path, content: str | None, what: str
) -> None:
    file = tmp_path / "data_uri.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DatasetError, match=what):
        data_and_model_prep(dst_dir=str(tmp_path / "out"), json_dir=str(file))


def test_an_unknown_origin_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="one of: http, dvc_repo"):
        data_and_model_prep(dst_dir=str(tmp_path), ds_origin="ftp")


def test_a_dvc_repository_without_dvc_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dvc.repo", None)
    with pytest.raises(DatasetError, match='pip install "dvc"'):
        data_and_model_prep(dst_dir=str(tmp_path), repo_url="http://127.0.0.1:1/x.git", ds_origin="dvc_repo")


def test_a_private_repository_is_cloned_without_keeping_its_password(tmp_path: Path) -> None:
    with GitServer(tmp_path / "git", username="reader", password="hunter 2/@") as server:
        server.create("data", {"set.dvc": "outs: []"})
        commit = clone(server.url("data", with_credentials=True), tmp_path / "clone")
        clone(server.url("data", with_credentials=True), tmp_path / "pinned", commit)
        with pytest.raises(DatasetError, match=r"Cloning 'http://127\.0\.0\.1:\d+/data\.git' failed"):
            clone(server.url("data"), tmp_path / "refused")
    assert (tmp_path / "clone" / "set.dvc").exists()
    assert (tmp_path / "pinned" / "set.dvc").exists()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(tmp_path / "git")]
    assert not [path for path in written if b"hunter" in path.read_bytes()]


def test_a_repositorys_host_is_shown_the_login_where_it_asks(tmp_path: Path) -> None:
    with GitServer(tmp_path / "git") as server:
        server.behaviour.logins = {"private": "reader:hunter 2/@"}  # it refuses any login for the public one
        for name in ("private", "public"):
            server.create(name, {"set.dvc": "outs: []"})
            clone(server.url(name).replace("://", "://reader:hunter%202%2F%40@"), tmp_path / name)
        first, *later = server.authorizations("private")
        assert (first, None in later) == (None, False)
        assert set(server.authorizations("public")) == {None}


@pytest.mark.parametrize("repo_url", ["x; touch pwned", "--upload-pack=touch pwned", "ext::sh -c touch% pwned"])
def test_a_repositorys_name_is_never_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo_url: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"Cloning '.*' failed"):
        clone(repo_url, tmp_path / "clone")
    assert list(tmp_path.iterdir()) == []
