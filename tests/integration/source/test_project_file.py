"""A look at a commit's MLproject file without a work tree: what only a checkout can tell is left to that."""

import os
from pathlib import Path

import pytest

from shared.errors import Code, UserError
from tests.support.retrain_command import git
from worker.source.checkout import GitSource, SourceRequest


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    files = {
        "a b/mlPROJECT": "name: deep\n",
        "lfs/MLproject": "version https://git-lfs.github.com/spec/v1\n",
        "two/MLproject": "name: x\n",
        "two/mlproject": "name: x\n",
        "none/train.py": "",
        "MLproject/keep": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "link").symlink_to("a b")
    (folder / "file").mkdir()
    (folder / "file/MLproject").symlink_to("../a b/mlPROJECT")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "First")
    return folder


def look(repository: Path, subfolder: str) -> str | None:
    here = repository.parent / "service"
    environ = {"PATH": os.environ["PATH"], "HOME": str(here)}
    source = GitSource(here / "mirrors", here / "work", allowed_schemes=frozenset({"file"}), environ=environ)
    request = SourceRequest(repository.as_uri(), "main", subfolder=subfolder)
    found = source.find_project_file(request, timeout_seconds=60)
    assert source.list_names() == []
    assert found is None or found.commit_sha == git(repository, "rev-parse", "HEAD")
    return found.text if found else None


def test_the_file_is_read_in_any_case_and_folder(repository: Path) -> None:
    assert look(repository, " a b/ ") == "name: deep"


@pytest.mark.parametrize("subfolder", ["none", "gone/deep", ""])
def test_a_folder_without_one_is_told(repository: Path, subfolder: str) -> None:
    with pytest.raises(UserError, match="has no MLproject file in its") as caught:
        look(repository, subfolder)
    assert caught.value.code is Code.INVALID_PROJECT


@pytest.mark.parametrize("subfolder", ["link", "file", "two", "lfs", "../x", "/x", "a b/mlPROJECT", "none/train.py/x"])
def test_links_and_what_is_unclear_are_left_to_the_checkout(repository: Path, subfolder: str) -> None:
    assert look(repository, subfolder) is None
