"""docs/contributing/add-a-field.md is followed, in a copy of the checkout: the field that it adds works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.acceptance.support.pages import Block, marked_blocks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/contributing/add-a-field.md"
COPIED = ("api", "deploy", "docs/openapi.json", "mypackage", "pyproject.toml", "shared", "tests", "worker")
FOLLOWED_SECONDS = 300


def test_the_field_of_the_page_reaches_the_training_and_the_apis_document(tmp_path: Path) -> None:
    copy_checkout(tmp_path)
    for block in marked_blocks(PAGE):
        if not block.title:
            run(block.text, tmp_path)
        elif (tmp_path / block.title).exists():
            edit(tmp_path / block.title, block)
        else:
            (tmp_path / block.title).write_text(block.text)
    assert '"seed"' in (tmp_path / "build/openapi.json").read_text()


def copy_checkout(folder: Path) -> None:
    """Copy what the page needs of this checkout."""
    for place in map(Path, COPIED):
        if (ROOT / place).is_dir():
            shutil.copytree(ROOT / place, folder / place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / place).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / place, folder / place)


def edit(file: Path, block: Block) -> None:
    """Do what the diff shows. It has no line numbers: what it keeps must be in the file once."""
    text = file.read_text()
    for hunk in block.text.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        assert text.count(before) == 1, f"{block.title} does not have once:\n{before}"
        text = text.replace(before, "".join(line[1:] for line in lines if line[0] in " +"))
    file.write_text(text)


def run(commands: str, folder: Path) -> None:
    """Run the page's commands there."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=FOLLOWED_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
