"""The images of the compose stack: what the Dockerfile copies is all that their programs import of ours."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STAGE = re.compile(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", re.MULTILINE | re.DOTALL)
OURS = """
import sys, {program}
for name, module in sys.modules.items():
    if name.partition(".")[0] in ("api", "worker", "shared", "mypackage", "deploy"):
        print(module.__file__)
"""
COPY = re.compile(r"^COPY (?!--)(.+)$", re.MULTILINE)


@pytest.mark.parametrize(
    ("stage", "program"),
    [
        ("api-build", "api.__main__"),
        ("worker-build", "worker.__main__"),
        ("mlflow-build", "deploy.mlflow_guard.own_server"),
    ],
)
def test_an_image_holds_all_that_its_program_imports(tmp_path: Path, stage: str, program: str) -> None:
    copy_as_the_image(stage, tmp_path)
    command = [sys.executable, "-c", OURS.format(program=program)]
    ours = subprocess.run(command, cwd=tmp_path, env={}, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [path for path in ours if not Path(path).is_relative_to(tmp_path)] == []  # mypackage may be installed, too


def test_the_api_s_image_knows_which_version_it_is(tmp_path: Path) -> None:
    copy_as_the_image("api-build", tmp_path)
    command = [sys.executable, "-c", "from shared.version import service_version; print(service_version())"]
    said = subprocess.run(command, cwd=tmp_path, env={}, check=True, capture_output=True, text=True).stdout.strip()
    assert said == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def copy_as_the_image(stage: str, folder: Path) -> None:
    """Do in the folder what the stage's COPY lines do."""
    lines = dict(STAGE.findall((ROOT / "deploy/Dockerfile").read_text()))[stage]
    for *sources, target in map(str.split, COPY.findall(lines)):
        for source in map(ROOT.joinpath, sources):
            if source.is_dir():
                shutil.copytree(source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (folder / target).mkdir(exist_ok=True)
                shutil.copy(source, folder / target)
