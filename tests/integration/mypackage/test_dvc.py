"""Datasets of real DVC repositories, cloned over HTTP with a password, at the revision that is named."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mypackage.dataset.cache import Cache
from mypackage.dataset.dvc_repository import fetch
from mypackage.dataset.errors import DatasetError
from tests.support.folders import files_in
from tests.support.projects.dvc_repository import DvcAuthor
from tests.support.servers.git_server import GitServer

PASSWORD = "hunter 2/@"
WRONG_PINS = {
    "@nowhere": "has no branch, tag or commit 'nowhere'",
    f"@{'0' * 40}": f"has no branch, tag or commit '{'0' * 40}'",
    "@--upload-pack=touch pwned": "no revision follows",
    "@main:": "no revision follows",
    "@": "no revision follows",
    "@main:../../etc/passwd": "lies outside of it",
    "@main:/etc/passwd": "lies outside of it",
    "@main:nothing": "Getting 'nothing'",
    "": r"it has: one\.dvc, two\.dvc\. Name another one",
}


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "git", username="reader", password=PASSWORD) as server:
        yield server


@pytest.fixture
def author(git_server: GitServer, tmp_path: Path) -> DvcAuthor:
    repository = git_server.create("data", {"README": "data"})
    return DvcAuthor(tmp_path / "author", repository, remote_url=str(tmp_path / "remote"))


@pytest.fixture
def url(git_server: GitServer) -> str:
    return git_server.url("data", with_credentials=True)


@pytest.mark.parametrize("pin", ["", "@main", f"@{'0' * 40}"])
@pytest.mark.parametrize("page", [b"<html>Log in</html>", b""])
def test_a_page_in_place_of_git_is_no_empty_repository(
    git_server: GitServer, url: str, tmp_path: Path, page: bytes, pin: str
) -> None:
    git_server.behaviour.page = page
    with pytest.raises(DatasetError, match="answered with a page, not with git") as caught:
        fetch(f"{url}{pin}", tmp_path / "data", cache=Cache(None))
    assert PASSWORD not in str(caught.value)


def test_each_revision_gives_its_own_data_and_says_which_it_was(author: DvcAuthor, url: str, tmp_path: Path) -> None:
    first = author.commit({"set": {"a": "1", "deep/b": "1"}})
    second = author.commit({"set": {"a": "2"}})
    newest = fetch(url, tmp_path / "newest", cache=Cache(None))
    older = fetch(f"{url}@{first}", tmp_path / "older", cache=Cache(None))
    branch = fetch(f"{url}@main:set", tmp_path / "branch", cache=Cache(None))
    assert files_in(tmp_path / "newest") == files_in(tmp_path / "branch") == {"a": "2", "deep/b": "1"}
    assert files_in(tmp_path / "older") == {"a": "1", "deep/b": "1"}
    assert (newest.rev, older.rev, branch.rev) == (second, first, second)
    assert newest.digest == branch.digest != older.digest
    assert newest.digest.startswith("md5:")
    assert newest.path == "set"
    assert PASSWORD not in repr([newest, older, branch])
    assert newest.repo == url.replace(url.partition("//")[2].partition("@")[0] + "@", "")


@pytest.mark.parametrize("path", ["sets/one", "sets/one.dvc", "./sets/one/"])
def test_a_path_names_one_of_several_datasets(author: DvcAuthor, url: str, tmp_path: Path, path: str) -> None:
    author.commit({"sets/one": {"a": "1"}, "sets/two": {"b": "2"}})
    used = fetch(f"{url}@main:{path}", tmp_path / "out", cache=Cache(None))
    assert files_in(tmp_path / "out") == {"a": "1"}
    assert used.path == "sets/one"


def test_a_path_may_be_part_of_a_dataset_or_a_folder_of_several(author: DvcAuthor, url: str, tmp_path: Path) -> None:
    author.commit({"sets/one": {"a": "1", "deep/b": "1"}, "sets/two": {"c": "2"}})
    part = fetch(f"{url}@main:sets/one/deep", tmp_path / "part", cache=Cache(None))
    whole = fetch(f"{url}@main:sets", tmp_path / "whole", cache=Cache(None))
    assert files_in(tmp_path / "part") == {"b": "1"}
    assert files_in(tmp_path / "whole") == {"one/a": "1", "one/deep/b": "1", "two/c": "2"}
    assert part.digest.startswith("sha256:")
    assert part.digest != whole.digest


def test_a_single_file_keeps_its_name(author: DvcAuthor, url: str, tmp_path: Path) -> None:
    author.commit({"sets/one": {"a": "1"}})
    (author.folder / "table.csv").write_text("x,y")
    author.dvc("add", "--quiet", "table.csv")
    author.commit({"sets/one": {"a": "1"}}, plain=["table.csv.dvc"])
    fetch(f"{url}@main:table.csv", tmp_path / "out", cache=Cache(None))
    assert files_in(tmp_path / "out") == {"table.csv": "x,y"}


def test_a_pinned_commit_stays_reachable_after_its_branch_was_force_pushed(
    author: DvcAuthor, url: str, tmp_path: Path
) -> None:
    first = author.commit({"set": {"a": "1"}})
    author.repository.commit({"set.dvc": "outs: []"}, parent="")
    fetch(f"{url}@{first}", tmp_path / "out", cache=Cache(None))
    assert files_in(tmp_path / "out") == {"a": "1"}


def test_another_commit_with_the_same_data_takes_it_from_the_cache(author: DvcAuthor, url: str, tmp_path: Path) -> None:
    author.commit({"set": {"a": "1"}})
    cache = Cache(tmp_path / "cache")
    first = fetch(url, tmp_path / "one", cache=cache)
    author.commit({"set": {"a": "1"}, "other/set": {"b": "2"}})
    shutil.rmtree(tmp_path / "remote")
    second = fetch(url, tmp_path / "two", cache=cache)
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two") == {"a": "1"}
    assert first.digest == second.digest
    assert first.rev != second.rev


def test_data_that_the_remote_does_not_have_fails_clearly_and_leaves_nothing(
    author: DvcAuthor, url: str, tmp_path: Path
) -> None:
    author.commit({"set": {"a": "1", "b": "2"}})
    files = [path for path in (tmp_path / "remote").rglob("*") if path.is_file() and path.read_text() == "1"]
    assert len(files) == 1
    files[0].unlink()
    with pytest.raises(DatasetError, match=r"Getting 'set' of 'http://127\.0\.0\.1:\d+/data\.git' with DVC failed"):
        fetch(url, tmp_path / "work" / "out", cache=Cache(None))
    assert not list((tmp_path / "work").iterdir())


def test_an_address_that_means_no_dataset_says_why(author: DvcAuthor, url: str, tmp_path: Path) -> None:
    author.commit({"one": {"a": "1"}, "two": {"b": "2"}})
    for pin, why in WRONG_PINS.items():
        with pytest.raises(DatasetError, match=why) as caught:
            fetch(f"{url}{pin}", tmp_path / "work" / "out", cache=Cache(None))
        assert "hunter" not in str(caught.value)
        assert not list((tmp_path / "work").rglob("*"))


@pytest.mark.parametrize("repo_url", ["x; touch pwned", "$(touch pwned)", "--upload-pack=touch pwned"])
def test_a_repositorys_name_is_never_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo_url: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"Cloning '.*' failed"):
        fetch(repo_url, tmp_path / "out", cache=Cache(None))
    assert list(tmp_path.iterdir()) == []
