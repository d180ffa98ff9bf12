"""Whom a project belongs to inside a container, and with which modes."""

import io
import tarfile
from pathlib import Path

import pytest

from worker.runners.docker.project_archive import Owner, find_owner, write_archive
from worker.runners.launch import start_script
from worker.runners.seam import AttemptSpec

PASSWD = "root:x:0:0:root:/root:/bin/sh\ntrainer:x:1000:100::/home/trainer:/bin/sh\nbroken line\n"
GROUP = "root:x:0:\nusers:x:100:\ngpu:x:44:trainer\n"


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("trainer", Owner(1000, 100)),
        ("1000", Owner(1000, 100)),
        ("trainer:gpu", Owner(1000, 44)),
        ("trainer:7", Owner(1000, 7)),
        ("4321", Owner(4321, 0)),
        ("4321:8", Owner(4321, 8)),
        ("unknown", Owner(0, 0)),
        ("9" * 5000, Owner(0, 0)),
    ],
)
def test_an_image_s_user_is_read_as_the_engine_reads_it(user: str, owner: Owner) -> None:
    assert find_owner(user, passwd=PASSWD, group=GROUP) == owner


def test_an_archive_holds_the_project_alone_with_the_modes_that_git_keeps(tmp_path: Path) -> None:
    source = tmp_path / "checkout"
    (source / "empty").mkdir(parents=True)
    source.chmod(0o700)
    (source / "train.py").write_text("x")
    (source / "train.py").chmod(0o600)
    (source / "run.sh").write_text("x")
    (source / "run.sh").chmod(0o4700)
    (source / "link").symlink_to("train.py")
    spec = AttemptSpec("j", 1, "i", "c", source, private_files={"token": b"t"}, private_env={"token": "T"})
    archive = io.BytesIO()
    write_archive(archive, spec, Owner(5, 6), start=start_script(spec.command))
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        members = {member.name: member for member in tar}
    assert {name: oct(member.mode) for name, member in members.items() if not member.issym()} == {
        "mlflow/projects/code": "0o755",
        "mlflow/projects/code/empty": "0o755",
        "mlflow/projects/code/run.sh": "0o755",
        "mlflow/projects/code/train.py": "0o644",
        "run/retrain-j-1": "0o1777",  # for the proof of start, by whatever user
        "run/retrain-j-1/start": "0o755",
        "run/retrain": "0o700",
        "run/retrain/token": "0o600",
    }
    assert members["mlflow/projects/code/link"].linkname == "train.py"
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(5, 6, "")}
