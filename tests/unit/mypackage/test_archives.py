"""Archives from strangers: what is in them lands inside the folder, or nothing does."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mypackage.dataset.archives import HARMLESS_BYTES, ArchiveLimits, unpack
from mypackage.dataset.errors import DatasetError

OUTSIDE = (
    *("../escaped", "/escaped", "//escaped", "a/../../escaped", "./../escaped", "a/./../../escaped", "a/.."),
    *("..\\escaped", "a\\..\\..\\escaped", "\\escaped", "C:\\escaped", "c:/escaped", "./..//escaped"),
)


def zip_file(folder: Path, *entries: tuple[str, bytes]) -> Path:
    path = folder / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def tar_file(folder: Path, *entries: tarfile.TarInfo, mode: str = "gz") -> Path:
    path = folder / "data.tar"
    with tarfile.open(path, f"w:{mode}") as archive:  # type: ignore[call-overload]
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return path


def entry(name: str, *, type_: bytes = tarfile.REGTYPE, to: str = "", size: int = 1) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type_, to
    info.size = size if type_ == tarfile.REGTYPE else 0
    return info


def symlink(name: str, to: str) -> tarfile.TarInfo:
    return entry(name, type_=tarfile.SYMTYPE, to=to)


def hard_link(name: str, to: str) -> tarfile.TarInfo:
    return entry(name, type_=tarfile.LNKTYPE, to=to)


def is_refused(archive: Path, folder: Path, why: str, limits: ArchiveLimits | None = None) -> None:
    """Unpacking says why not, and leaves nothing: neither in its folder, nor beside it."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(DatasetError, match=why) as caught:
        unpack(archive, folder / "out", shown="data", limits=limits or ArchiveLimits())
    assert "'data' cannot be unpacked" in str(caught.value)
    assert caught.value.__cause__ is None  # it has said so already
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_zip_with_an_entry_outside_of_its_folder_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    is_refused(zip_file(tmp_path, ("good", b"x"), (name, b"x")), tmp_path, "lies outside of it")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_tar_with_an_entry_outside_of_its_folder_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    is_refused(tar_file(tmp_path, entry("good"), entry(name)), tmp_path, "lies outside of it")


@pytest.mark.parametrize(
    "entries",
    [
        [symlink("link", "/etc/passwd")],
        [symlink("link", "../../etc")],
        [symlink("link", "/"), entry("link/tmp/escaped")],
        [symlink("link", ".."), entry("link/escaped")],
        [entry("link/file"), symlink("link", "..")],
        [symlink("here", "."), symlink("out", "here/../..")],
        [entry("a/b/c/file"), symlink("a/b/c/top", "../../.."), symlink("out", "a/b/c/top/../..")],
        [symlink("x" * 200, "../" * 50)],
        [symlink("dangling", "nowhere")],
        [symlink("self", "self")],
        [symlink("one", "two"), symlink("two", "one")],
    ],
)
def test_a_tar_whose_symlinks_leave_it_or_lead_nowhere_is_refused(
    tmp_path: Path, entries: list[tarfile.TarInfo]
) -> None:
    is_refused(tar_file(tmp_path, entry("good"), *entries), tmp_path, "cannot be unpacked")


@pytest.mark.parametrize(
    "entries",
    [
        [hard_link("link", "/etc/passwd")],
        [hard_link("link", "../data.tar")],
        [hard_link("link", "later"), entry("later")],
        [symlink("out", "/etc"), hard_link("link", "out/passwd")],
    ],
)
def test_a_tar_whose_hard_links_are_not_to_its_own_files_is_refused(
    tmp_path: Path, entries: list[tarfile.TarInfo]
) -> None:
    is_refused(tar_file(tmp_path, *entries), tmp_path, "cannot be unpacked")


@pytest.mark.parametrize("type_", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_tar_with_a_device_is_refused(tmp_path: Path, type_: bytes) -> None:
    is_refused(tar_file(tmp_path, entry("device", type_=type_)), tmp_path, "not a file, a folder, or a link")


def test_a_zip_with_a_symlink_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    is_refused(tmp_path / "data.zip", tmp_path, "neither a file nor a folder")


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (ArchiveLimits(max_bytes=2999), "more than 2999 bytes"),
        (ArchiveLimits(max_entries=2), "more than 2 entries"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_beyond_a_limit_is_refused(tmp_path: Path, kind: str, limits: ArchiveLimits, why: str) -> None:
    if kind == "zip":
        archive = zip_file(tmp_path, *((name, b"x" * 1000) for name in "abc"))
    else:
        archive = tar_file(tmp_path, *(entry(name, size=1000) for name in "abc"))
    is_refused(archive, tmp_path, why, limits)


def test_a_bomb_is_refused_by_its_ratio_whatever_size_it_states(tmp_path: Path) -> None:
    zeros = b"\0" * (HARMLESS_BYTES // 8)
    bomb = zip_file(tmp_path, *((str(number), zeros) for number in range(9)))
    is_refused(bomb, tmp_path, "more than 200 times its size")
    unpack(bomb, tmp_path / "out", shown="data", limits=ArchiveLimits(max_ratio=2000))
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) == 9 * len(zeros)


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-700])
    return path


def damage(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("spoil", [cut, damage])
@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz"])
def test_a_broken_archive_is_refused(tmp_path: Path, spoil: Callable[[Path], Path], kind: str) -> None:
    content = bytes(number * number % 251 for number in range(5000))
    if kind == "zip":
        archive = zip_file(tmp_path, ("a", content))
    else:
        with tarfile.open(tmp_path / "data.tar", f"w:{kind}") as opened:  # type: ignore[call-overload]
            info = entry("a", size=len(content))
            opened.addfile(info, io.BytesIO(content))
        archive = tmp_path / "data.tar"
    is_refused(spoil(archive), tmp_path, "cannot be unpacked")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(zip_file(tmp_path, ("a", b"x")).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    content[6] |= 1
    (tmp_path / "data.zip").write_bytes(content)
    is_refused(tmp_path / "data.zip", tmp_path, "password|encrypted")


@pytest.mark.parametrize("mode", ["", "gz", "bz2", "xz"])
def test_a_tar_of_any_compression_is_unpacked_with_its_inner_links(tmp_path: Path, mode: str) -> None:
    entries = [entry("a/one"), symlink("a/same", "one"), hard_link("again", "./a/one"), symlink("b", "a")]
    unpack(tar_file(tmp_path, *entries, mode=mode), tmp_path / "out", shown="data", limits=ArchiveLimits())
    out = tmp_path / "out"
    assert (out / "b" / "same").read_text() == (out / "again").read_text() == "x"
    (out / "again").write_text("changed")
    assert (out / "a" / "one").read_text() == "x"


def test_odd_but_harmless_names_stay_inside(tmp_path: Path) -> None:
    entries = [(".//a/./b", b"1"), ("train\\c", b"2"), ("..d", b"3"), ("empty/", b"")]
    unpack(zip_file(tmp_path, *entries), tmp_path / "out", shown="data", limits=ArchiveLimits())
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert found == {"a", "a/b", "train", "train/c", "..d", "empty"}


def test_what_the_folder_has_already_stays_beside_the_archives_files(tmp_path: Path) -> None:
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "mine").write_text("mine")
    (tmp_path / "out" / "a" / "old").write_text("old")
    unpack(zip_file(tmp_path, ("a/old", b"new"), ("b", b"b")), tmp_path / "out", shown="data", limits=ArchiveLimits())
    texts = {path.name: path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert texts == {"mine": "mine", "old": "new", "b": "b"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "data.zip"}


def test_limits_come_from_the_environment(tmp_path: Path) -> None:
    assert ArchiveLimits.of({"RETRAIN_UNPACK_MAX_BYTES": "5", "RETRAIN_UNPACK_MAX_RATIO": ""}) == ArchiveLimits(
        max_bytes=5
    )
    with pytest.raises(DatasetError, match="RETRAIN_UNPACK_MAX_BYTES"):
        ArchiveLimits.of({"RETRAIN_UNPACK_MAX_ENTRIES": "many"})
