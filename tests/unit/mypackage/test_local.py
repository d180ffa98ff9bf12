"""Datasets on this machine."""

import zipfile
from pathlib import Path

import pytest

from mypackage.dataset.archives import ArchiveLimits
from mypackage.dataset.contents import digest_of
from mypackage.dataset.errors import DatasetError
from mypackage.dataset.local import fetch
from mypackage.prep_utils import data_and_model_prep
from tests.support.folders import files_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set" / "deep").mkdir(parents=True)
    (tmp_path / "set" / "a").write_text("1")
    (tmp_path / "set" / "deep" / "b").write_text("2")
    return tmp_path / "set"


def test_a_folder_is_copied_so_that_the_original_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    used = fetch(f"file://{folder}", tmp_path / "out", limits=ArchiveLimits())
    (tmp_path / "out" / "a").write_text("changed")
    assert files_in(folder) == {"a": "1", "deep/b": "2"}
    assert files_in(tmp_path / "out") == {"a": "changed", "deep/b": "2"}
    assert used.digest == digest_of(folder) != digest_of(tmp_path / "out")


def test_an_archive_is_unpacked_and_any_other_file_copied(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.bin", "w") as archive:
        archive.writestr("inside", "x")
    fetch(str(tmp_path / "data.bin"), tmp_path / "out", limits=ArchiveLimits())
    fetch(str(folder / "a"), tmp_path / "out", limits=ArchiveLimits())
    assert files_in(tmp_path / "out") == {"inside": "x", "a": "1"}


def test_the_digest_tells_names_and_contents_apart(folder: Path) -> None:
    first = digest_of(folder)
    (folder / "a").rename(folder / "c")
    renamed = digest_of(folder)
    (folder / "c").rename(folder / "a")
    assert digest_of(folder) == first != renamed
    (folder / "a").write_text("2")
    assert digest_of(folder) not in (first, renamed)


def test_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"Copying '/nowhere/at/all' failed"):
        fetch("/nowhere/at/all", tmp_path / "out", limits=ArchiveLimits())


def test_a_dataset_of_git_lfs_pointers_is_refused_naming_them(folder: Path, tmp_path: Path) -> None:
    (folder / "deep" / "big.csv").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 123456789\n"
    )
    with pytest.raises(DatasetError, match=r"Git LFS pointers in place of files: deep/big\.csv"):
        data_and_model_prep(str(tmp_path / "out"), str(folder), "local")
    (folder / "deep" / "big.csv").write_text("version https://git-lfs.github.com/spec/v1 is no pointer\n")
    data_and_model_prep(str(tmp_path / "out"), str(folder), "local")
