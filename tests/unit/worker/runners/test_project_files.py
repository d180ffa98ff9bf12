"""What links of a project lead to: files of its own repository come along, once, and nothing else does."""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from shared.errors import Code, UserError
from worker.interruption import NEVER
from worker.runners.docker import project_files
from worker.runners.docker.project_files import ProjectFiles
from worker.runners.process.attempt_files import copy_project
from worker.runners.seam import AttemptSpec

SECRET = "of the host"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A work tree with a project in `flow`, beside a file of the host that no training may see."""
    (tmp_path / "secret").write_text(SECRET)
    folder = tmp_path / "repository"
    for path in ("flow/train.py", "common/util.py", "common/deep/more.py", "shared.csv", ".git/config"):
        write(folder / path, path)
    return folder


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def packed(repository: Path, project: str = "flow") -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        ProjectFiles(tar, repository, own=lambda member: member).add(repository / project, "code")
    archive.seek(0)
    return archive


def unpacked(archive: io.BytesIO, place: Path) -> dict[str, str]:
    """What a program in the container reads under each name; links that lead nowhere are not there."""
    place.mkdir()
    subprocess.run(["tar", "-x", "-C", place], input=archive.read(), check=True)
    files = (Path(folder) / name for folder, _, names in os.walk(place / "code") for name in names)
    return {path.relative_to(place / "code").as_posix(): path.read_text() for path in files if path.exists()}


def test_links_to_files_and_folders_beside_the_project_bring_what_they_lead_to(
    repository: Path, tmp_path: Path
) -> None:
    link(repository / "flow/common", "../common")
    link(repository / "flow/data.csv", "../shared.csv")
    assert unpacked(packed(repository), tmp_path / "out") == {
        "train.py": "flow/train.py",
        "common/util.py": "common/util.py",
        "common/deep/more.py": "common/deep/more.py",
        "data.csv": "shared.csv",
    }


def test_links_in_what_a_link_leads_to_are_followed_too(repository: Path, tmp_path: Path) -> None:
    link(repository / "flow/a", "../common")
    link(repository / "common/b.csv", "../shared.csv")
    link(repository / "common/near.py", "deep/more.py")
    link(repository / "lib", "common/deep")
    link(repository / "flow/c", "../lib")
    found = unpacked(packed(repository), tmp_path / "out")
    assert found["a/b.csv"] == "shared.csv"
    assert found["a/near.py"] == found["c/more.py"] == "common/deep/more.py"


def test_links_that_stay_in_the_project_stay_links(repository: Path) -> None:
    link(repository / "flow/sub/again.py", "../train.py")
    link(repository / "flow/here", "sub")
    with tarfile.open(fileobj=packed(repository)) as tar:
        links = {member.name: member.linkname for member in tar if member.issym()}
    assert links == {"code/sub/again.py": "../train.py", "code/here": "sub"}


def test_a_link_that_comes_back_by_the_projects_own_name_leads_somewhere(repository: Path, tmp_path: Path) -> None:
    link(repository / "flow/again.py", "../flow/train.py")
    assert unpacked(packed(repository), tmp_path / "out")["again.py"] == "flow/train.py"


@pytest.mark.parametrize(
    "target", ["../../secret", "{tmp}/secret", "../.git/config", "../.git", "/etc/passwd", "../no"]
)
def test_nothing_outside_the_repository_nor_its_git_folder_comes_along(
    repository: Path, tmp_path: Path, target: str
) -> None:
    link(repository / "flow/out", target.format(tmp=tmp_path))
    archive = packed(repository)
    with tarfile.open(fileobj=archive) as tar:
        assert tar.getmember("code/out").issym()
        assert {member.name for member in tar} == {"code", "code/train.py", "code/out"}
    assert SECRET.encode() not in archive.getvalue()


def test_a_way_out_through_the_repository_is_no_way_out(repository: Path, tmp_path: Path) -> None:
    link(repository / "common/out", "../..")
    link(repository / "flow/a", "../common/out/secret")
    link(repository / "flow/b", "../common")
    archive = packed(repository)
    assert SECRET.encode() not in archive.getvalue()
    with tarfile.open(fileobj=archive) as tar:
        assert tar.getmember("code/b/out").issym()


@pytest.mark.parametrize("target", ["..", "../flow", ".", "loop"])
def test_a_link_to_what_it_is_in_stays_one(repository: Path, target: str) -> None:
    link(repository / "flow/loop", target)
    with tarfile.open(fileobj=packed(repository)) as tar:
        assert tar.getmember("code/loop").linkname == target


def test_folders_that_lead_to_each_other_come_to_an_end(repository: Path) -> None:
    link(repository / "a/b", "../b")
    link(repository / "b/a", "../a")
    link(repository / "flow/a", "../a")
    with tarfile.open(fileobj=packed(repository)) as tar:
        assert {member.name for member in tar} == {"code", "code/train.py", "code/a", "code/a/b", "code/a/b/a"}


def test_a_file_that_many_links_lead_to_is_in_the_archive_once(repository: Path, tmp_path: Path) -> None:
    (repository / "common/util.py").write_text("x" * 100_000)
    for number in range(50):
        link(repository / f"flow/{number}", "../common")
    archive = packed(repository)
    assert len(archive.getvalue()) < 1_000_000  # five times as much without
    assert len(unpacked(archive, tmp_path / "out")["7/util.py"]) == 100_000


def test_links_that_multiply_are_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_files, "MAX_LINKED", 500)
    for level in range(6):
        for number in range(4):
            link(repository / f"level{level}/{number}", f"../level{level + 1}")
    write(repository / "level6/file", "x")
    link(repository / "flow/start", "../level0")
    with pytest.raises(UserError, match="Let them lead to what is needed only") as caught:
        packed(repository)
    assert caught.value.code is Code.SOURCE_TOO_LARGE


def test_a_chain_of_links_is_followed_up_to_a_limit(repository: Path) -> None:
    for number in range(60):
        link(repository / f"c{number}/next", f"../c{number + 1}")
    write(repository / "c60/file", "x")
    link(repository / "flow/start", "../c45")
    packed(repository)
    link(repository / "flow/far", "../c0")
    with pytest.raises(UserError, match="through more than 20 links"):
        packed(repository)


def test_a_process_has_the_whole_repository_around_its_working_folder(repository: Path, tmp_path: Path) -> None:
    link(repository / "flow/common", "../common")
    spec = AttemptSpec("job", 1, None, "true", repository / "flow", repository)
    state = tmp_path / "state"
    state.mkdir()
    for _ in range(2):  # an earlier try may have been cut off after any step
        copy_project(spec, state, NEVER)
        assert (state / "code/../shared.csv").read_text() == "shared.csv"
        assert (state / "code/common/util.py").read_text() == "common/util.py"
        assert sorted(os.listdir(state / "code")) == ["common", "train.py"]


def test_a_process_takes_no_second_room_on_the_disk_for_its_files(repository: Path, tmp_path: Path) -> None:
    spec = AttemptSpec("job", 1, None, "true", repository / "flow", repository)
    link(repository / "flow/near.py", "train.py")
    (tmp_path / "state").mkdir()
    copy_project(spec, tmp_path / "state", NEVER)
    assert (tmp_path / "state/code/train.py").samefile(repository / "flow/train.py")
    assert (tmp_path / "state/code/near.py").is_symlink()
    shutil.rmtree(repository)
    assert (tmp_path / "state/code/near.py").read_text() == "flow/train.py"


def test_a_process_gets_copies_where_its_folder_is_on_another_disk(repository: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        if os.stat(folder).st_dev == repository.stat().st_dev:
            pytest.skip("this machine has one disk only")
        copy_project(AttemptSpec("job", 1, None, "true", repository), Path(folder), NEVER)
        assert (Path(folder) / "code/flow/train.py").read_text() == "flow/train.py"


def test_a_process_of_a_project_at_the_root_has_only_that(repository: Path, tmp_path: Path) -> None:
    for named in (None, repository):
        copy_project(AttemptSpec("job", 1, None, "true", repository, named), tmp_path, NEVER)
        assert sorted(os.listdir(tmp_path)) == ["code", "repository", "secret"]
        assert not (tmp_path / "code").is_symlink()
