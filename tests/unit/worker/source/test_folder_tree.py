"""Folder trees deeper than Python's own functions go."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.folder_tree import remove_tree

DEEP = 3000  # deeper than Python recurses, and longer than the longest path


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder that pytest can clean up also when the test fails."""
    yield tmp_path
    subprocess.run(["rm", "-rf", tmp_path], check=True, timeout=30)


def nest(folder: Path, levels: int) -> None:
    before = Path.cwd()
    folder.mkdir()
    os.chdir(folder)
    try:
        for _ in range(levels):
            Path("d").mkdir()
            os.chdir("d")
        Path("file").touch()
    finally:
        os.chdir(before)


def test_a_tree_is_removed_however_deep(tmp_path: Path) -> None:
    nest(tmp_path / "tree", DEEP)
    remove_tree(tmp_path / "tree")
    assert not list(tmp_path.iterdir())


def test_what_links_of_a_tree_lead_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").exists()


def test_a_tree_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        remove_tree(tmp_path / "nothing")
